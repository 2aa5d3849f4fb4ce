//! Where and when a run is, found out from the machine.

use std::process::Command;

use super::run::About;

impl About {
    /// This machine, today, at the commit of the tree around the current directory. What
    /// cannot be found out stays empty.
    pub(crate) fn here(command: String) -> Self {
        Self {
            machine: machine(),
            date: answer("date", &["-u", "+%F"]),
            commit: commit(),
            command,
        }
    }
}

fn commit() -> String {
    let commit = answer("git", &["rev-parse", "--short", "HEAD"]);
    let changes = answer("git", &["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changes.is_empty() { "" } else { "+" };
    format!("{commit}{mark}")
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = field("/proc/cpuinfo", "model name", ':');
    let memory = gibibytes(&field("/proc/meminfo", "MemTotal", ':'));
    let system = field("/etc/os-release", "PRETTY_NAME", '=');
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let parts = [
        format!("{cores} cores"),
        processor,
        memory,
        format!("Linux {}", kernel.trim()),
        system.trim_matches('"').to_owned(),
    ];
    let known: Vec<String> = parts.into_iter().filter(|it| !it.is_empty()).collect();
    known.join(", ")
}

/// The first value of that name in a file of names and values.
fn field(file: &str, name: &str, separator: char) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let values = text.lines().filter_map(|line| line.split_once(separator));
    let mut found = values.filter(|(found, _)| found.trim() == name);
    found
        .next()
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

fn gibibytes(kibibytes: &str) -> String {
    let figure = kibibytes.trim_end_matches("kB").trim().parse::<u64>();
    figure.map_or_else(
        |_| String::new(),
        |kibibytes| format!("{} GiB", kibibytes.div_ceil(1 << 20)),
    )
}

/// What a program says in one line.
fn answer(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_knows_where_and_when_it_is() {
        let about = About::here("towpath-bench run".to_owned());
        assert!(about.machine.contains("GiB"), "{about:?}");
        assert_eq!(about.date.len(), "2026-11-21".len(), "{about:?}");
        assert_eq!(gibibytes("25165824 kB"), "24 GiB");
        assert_eq!(gibibytes(""), "");
    }
}
