//! Which processes a stopped server has left behind.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// What was killed is gone within this many looks.
const LOOKS_MAX: u32 = 200;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What the kernel says about a process, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    name: String,
    /// One that has ended and that its parent has not asked for: not left over.
    ended: bool,
    parent: u32,
    group: u32,
}

/// The process groups, other than this process's own, that children of it are in.
pub(super) fn groups_of_children() -> anyhow::Result<BTreeSet<u32>> {
    let own = std::process::id();
    let all = processes()?;
    let own_group = all.iter().find(|(pid, _)| *pid == own);
    let own_group = own_group.context("this process is not in /proc")?.1.group;
    let children = all.iter().filter(|(_, process)| process.parent == own);
    let groups = children.map(|(_, process)| process.group);
    Ok(groups.filter(|group| *group != own_group).collect())
}

/// Waits until these groups have no processes.
///
/// # Errors
///
/// If they still have after 2 seconds: it names them.
pub(super) async fn gone(groups: &BTreeSet<u32>) -> anyhow::Result<()> {
    let mut left = Vec::new();
    for _ in 0..LOOKS_MAX {
        left = processes()?;
        left.retain(|(_, process)| !process.ended && groups.contains(&process.group));
        if left.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let left = left.iter().map(|(pid, it)| format!("{} ({pid})", it.name));
    bail!("left behind: {}", left.collect::<Vec<_>>().join(", "))
}

fn processes() -> anyhow::Result<Vec<(u32, Process)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        // One that ends just now is no longer there.
        let stat = fs::read_to_string(entry.path().join("stat"));
        found.extend(stat.ok().and_then(|stat| Some((pid, process(&stat)?))));
    }
    Ok(found)
}

/// `PID (name) state parent group …`; the name may hold anything.
fn process(stat: &str) -> Option<Process> {
    let (before, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    Some(Process {
        name: before.split_once('(')?.1.to_owned(),
        ended: matches!(fields.next()?, "Z" | "X"),
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_read_past_a_name_with_parentheses() {
        let read = process("42 (a) b (c)) S 7 40 40 0 -1 4194560 1 0 0 0").unwrap();
        let expected = Process {
            name: "a) b (c)".to_owned(),
            ended: false,
            parent: 7,
            group: 40,
        };
        assert_eq!(read, expected);
        assert!(process("42 (a) Z 7 40 40").unwrap().ended);
        assert_eq!(process("42 (a) S"), None);
    }

    #[tokio::test]
    async fn a_group_is_gone_only_when_its_last_process_has_ended() {
        let mut sleep = Command::new("sleep");
        let mut child = sleep.arg("600").process_group(0).spawn().unwrap();
        let groups = groups_of_children().unwrap();
        assert!(groups.contains(&child.id()));
        let group = BTreeSet::from([child.id()]);
        let error = gone(&group).await.unwrap_err().to_string();
        assert!(error.contains("sleep"), "{error}");
        child.kill().unwrap();
        gone(&group).await.unwrap();
        child.wait().unwrap();
    }
}
