//! What the kernel says about processes: processor time and memory.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Pid;

/// Processor time of a process group so far: of its processes and of those of their
/// children that have ended.
pub(crate) fn group_cpu(group: Pid) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for (pid, stat) in group_members(group)? {
        // Ticks are coarse but know threads that have ended.
        sum += ticks(stat.own).max(threads_cpu(pid)) + ticks(stat.children);
    }
    Ok(sum)
}

/// Processor time of a process's threads, to the nanosecond; nothing if it has ended.
fn threads_cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let times = threads.into_iter().flatten().flatten().map(|thread| {
        let time = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let nanos = time.split_whitespace().next().map(str::parse::<u64>);
        nanos.and_then(Result::ok).unwrap_or(0)
    });
    Duration::from_nanos(times.sum())
}

/// Resident memory of a process group in bytes, without the kernel's share.
pub(crate) fn group_rss(group: Pid) -> anyhow::Result<u64> {
    let mut sum = 0;
    for (pid, _) in group_members(group)? {
        // One that ends just now has none. VmRSS would be off by some pages a thread.
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        sum += kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024;
    }
    anyhow::ensure!(sum > 0, "the server has ended");
    Ok(sum)
}

/// Processor time that the whole machine has spent on anything, also on the host's
/// other guests.
pub(crate) fn machine_cpu() -> anyhow::Result<Duration> {
    machine_ticks(&fs::read_to_string("/proc/stat")?)
        .map(ticks)
        .context("/proc/stat")
}

/// What waits in this machine's socket to the peer at that port of 127.0.0.1, in bytes;
/// `None` if there is no such connection.
pub(crate) fn queued_to(port: u16) -> anyhow::Result<Option<u64>> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    Ok(queued(&table, port))
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs(count) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(1)
}

fn group_members(group: Pid) -> anyhow::Result<Vec<(u32, Stat)>> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        // One that ends just now is no longer there.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        members.extend(
            Stat::parse(&stat)
                .filter(|stat| stat.group == group.as_raw_nonzero().get())
                .map(|stat| (pid, stat)),
        );
    }
    Ok(members)
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    group: i32,
    own: u64,
    children: u64,
}

impl Stat {
    /// The name, in parentheses, may hold anything; after it the group is the 3rd field,
    /// and from the 12th on come user and system time, its own and its ended children's.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let both = |at: usize| {
            let times = fields.get(at..at + 2)?.iter();
            times.map(|it| it.parse::<u64>().ok()).sum::<Option<u64>>()
        };
        Some(Self {
            group: fields.get(2)?.parse().ok()?,
            own: both(11)?,
            children: both(13)?,
        })
    }
}

// user, nice, system, idle, iowait, irq, softirq, steal; all but the two of idling.
fn machine_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields = fields.split_whitespace().take(8).enumerate();
    let busy = fields.filter(|(at, _)| !matches!(at, 3 | 4));
    busy.map(|(_, field)| field.parse::<u64>().ok()).sum()
}

/// `sl local remote st tx:rx …`, numbers in hexadecimal.
fn queued(table: &str, port: u16) -> Option<u64> {
    let peer = format!("0100007F:{port:04X}");
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(2);
        let (remote, state, queues) = (fields.next()?, fields.next()?, fields.next()?);
        let open = remote == peer && state == "01";
        let waiting = queues.split_once(':')?.0;
        open.then(|| u64::from_str_radix(waiting, 16).ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_past_a_name_with_parentheses() {
        let stat = "42 (a) b (c)) S 1 40 1 0 -1 4194560 1 0 0 0 700 30 5 6 20 0 2 0 99 1 1";
        let read = Stat::parse(stat);
        let expected = Stat {
            group: 40,
            own: 730,
            children: 11,
        };
        assert_eq!(read, Some(expected));
        assert_eq!(Stat::parse("42 (short) S 1"), None);
    }

    #[test]
    fn idling_is_no_load() {
        let stat = "cpu  1 2 4 1000 1000 8 16 32 64 64\ncpu0 9 9 9 9 9 9 9 9 9 9\n";
        assert_eq!(machine_ticks(stat), Some(63));
    }

    #[test]
    fn what_waits_for_a_peer_is_found_by_its_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr\n   \
            0: 0100007F:1F40 0100007F:C000 01 0000A000:00000001 00:00000000 00000000\n   \
            1: 0100007F:C000 0100007F:1F40 01 00000000:00000000 00:00000000 00000000\n";
        assert_eq!(queued(table, 0xC000), Some(0xA000));
        assert_eq!(queued(table, 0x1F40), Some(0));
        assert_eq!(queued(table, 1), None);
    }

    #[test]
    fn a_group_has_used_some_memory_and_no_more_time_than_the_machine() {
        let group = rustix::process::getpgrp();
        assert!(group_rss(group).unwrap() > 1 << 20);
        assert!(group_cpu(group).unwrap() <= machine_cpu().unwrap());
    }
}
