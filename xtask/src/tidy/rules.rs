//! The rules for one file: its name and text in, faults out.

use std::fmt;
use std::path::Path;

const LINES_MAX: usize = 800;

/// One breach of a rule, shown as `file:line: message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A text that may not stand in a file.
struct Forbidden {
    text: String,
    /// Only where no letter, digit or `_` stands beside it.
    whole_word: bool,
    rust_only: bool,
    reason: &'static str,
}

/// All rules.
pub(super) struct Rules {
    forbidden: Vec<Forbidden>,
}

impl Rules {
    /// The texts are put together from pieces, so that this file does not break its own rules.
    pub(super) fn new() -> Self {
        let mut forbidden = Vec::new();
        let mut forbid = |text: String, whole_word, rust_only, reason| {
            forbidden.push(Forbidden {
                text,
                whole_word,
                rust_only,
                reason,
            });
        };
        for word in [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("XX", "X"),
        ] {
            forbid(word.to_owned(), true, false, "finish it, or leave it out");
        }
        for call in [concat!("todo", "!("), concat!("unimplemented", "!(")] {
            forbid(call.to_owned(), false, true, "finish it, or leave it out");
        }
        forbid(
            concat!("#[", "ignore").to_owned(),
            false,
            true,
            "a test that does not run",
        );
        for folder in ["work/", "root/", "tmp/bash_jobs"] {
            forbid(format!("/{folder}"), false, false, "a path of one machine");
        }
        for scheme in ["http", "https"] {
            for host in ["registry", "index", "static", "files", "deb", "proxy"] {
                forbid(
                    format!("{scheme}://{host}."),
                    false,
                    false,
                    "the host of a registry",
                );
            }
        }
        Self { forbidden }
    }

    /// Every fault of one file.
    pub(super) fn faults(&self, file: &str, text: &str) -> Vec<Fault> {
        let path = Path::new(file);
        let is_rust = path.extension().is_some_and(|it| it == "rs");
        let mut faults = Vec::new();
        let mut fault = |line, message| {
            faults.push(Fault {
                file: file.to_owned(),
                line,
                message,
            })
        };

        if is_rust && text.lines().count() > LINES_MAX {
            fault(
                LINES_MAX + 1,
                format!("over {LINES_MAX} lines: is it one idea?"),
            );
        }
        if is_rust && path.components().any(|it| it.as_os_str() == "src") && !has_docs(text) {
            fault(1, "no module documentation (`//!`) at the top".to_owned());
        }
        for (index, line) in text.lines().enumerate() {
            for forbidden in &self.forbidden {
                if (is_rust || !forbidden.rust_only) && forbidden.stands_in(line) {
                    fault(
                        index + 1,
                        format!("`{}`: {}", forbidden.text, forbidden.reason),
                    );
                }
            }
        }
        faults
    }
}

impl Forbidden {
    fn stands_in(&self, line: &str) -> bool {
        let is_word = |it: char| it.is_alphanumeric() || it == '_';
        line.match_indices(&self.text).any(|(at, found)| {
            let before = line.get(..at).and_then(|it| it.chars().next_back());
            let after = line
                .get(at + found.len()..)
                .and_then(|it| it.chars().next());
            !self.whole_word || !(before.is_some_and(is_word) || after.is_some_and(is_word))
        })
    }
}

/// Module documentation comes before everything but other inner attributes.
fn has_docs(text: &str) -> bool {
    let is_docs = |line: &&str| line.starts_with("//!") || line.starts_with("#![doc");
    let may_precede = |line: &&str| line.is_empty() || line.starts_with("#![");
    text.lines()
        .find(|line| is_docs(line) || !may_precede(line))
        .is_some_and(|line| is_docs(&line))
}

/// Whether a page names a folder as code: `` `folder` `` or `` `folder/…` ``.
pub(super) fn names(page: &str, folder: &str) -> bool {
    ["`", "/"]
        .iter()
        .any(|end| page.contains(&format!("`{folder}{end}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, text: &str, lines: &[usize]) {
        let faults = Rules::new().faults(file, text);
        let found: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(found, lines, "{faults:?}");
    }

    #[test]
    fn leftovers_are_found_as_whole_words() {
        check(
            "notes.md",
            concat!("a\n// TO", "DO: later\nTO", "DOS\nmktemp XXXXXX"),
            &[2],
        );
        check("a/tests/it.rs", concat!("fn a() { todo", "!() }"), &[1]);
        check(
            "a/tests/it.rs",
            concat!("#[test]\n#[ig", "nore = \"slow\"]\nfn a() {}"),
            &[2],
        );
    }

    #[test]
    fn machine_paths_and_registry_hosts_are_found() {
        check(
            "a.toml",
            concat!("x = \"/wo", "rk/main\"\ny = \"/ro", "ot/.cargo\""),
            &[1, 2],
        );
        check(
            "a.json",
            concat!("\"https://regi", "stry.example.org/a\""),
            &[1],
        );
        check("a.json", "\"https://example.org/registry\"", &[]);
    }

    #[test]
    fn long_files_are_found_in_rust_only() {
        let text = "\n".repeat(LINES_MAX + 1);
        check("a/tests/long.rs", &text, &[LINES_MAX + 1]);
        check("a/tests/just.rs", text.trim_end_matches('\n'), &[]);
        check("long.md", &text, &[]);
    }

    #[test]
    fn modules_in_src_need_docs() {
        check("a/src/lib.rs", "use std::fmt;\n//! Late.", &[1]);
        check("a/src/lib.rs", "//! A crate.", &[]);
        check(
            "a/src/lib.rs",
            "#![allow(missing_docs)]\n\n//! A crate.",
            &[],
        );
        check("a/src/lib.rs", "#![doc = include_str!(\"docs.md\")]", &[]);
        check("a/tests/it.rs", "use std::fmt;", &[]);
    }

    #[test]
    fn a_page_names_a_folder_as_code() {
        assert!(names("### `worker` runs consumers", "worker"));
        assert!(names("see `worker/src`", "worker"));
        assert!(!names("a worker, `towpath-worker`", "worker"));
    }
}
