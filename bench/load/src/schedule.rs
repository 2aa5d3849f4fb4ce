//! When the messages of an open loop are due, and a timer that is precise enough.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Every one of some speakers speaks once in an interval, spread evenly over it.
#[derive(Debug)]
pub(crate) struct Schedule {
    begun: Instant,
    interval: Duration,
    speaking: usize,
    /// Messages that were due so far.
    count: usize,
}

impl Schedule {
    pub(crate) fn new(begun: Instant, interval: Duration, speaking: usize) -> Self {
        Self {
            begun,
            interval,
            speaking: speaking.max(1),
            count: 0,
        }
    }

    pub(crate) fn next(&self) -> Instant {
        let nanos = self.interval.as_nanos() * self.count as u128 / self.speaking as u128;
        self.begun + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The number of the next message and when it was due, if that has come.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let next = self.next();
        (next <= now).then(|| {
            self.count += 1;
            (self.count - 1, next)
        })
    }
}

/// A timer of the kernel: the timeout of a poll would be rounded up to milliseconds, and
/// the latency of an open loop counts from when a message was due.
#[derive(Debug)]
pub(crate) struct Timer {
    timer: OwnedFd,
}

impl Timer {
    pub(crate) fn new(registry: &Registry, token: Token) -> std::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let mut source = SourceFd(&timer.as_raw_fd());
        registry.register(&mut source, token, Interest::READABLE)?;
        Ok(Self { timer })
    }

    /// Wakes the poll after `time`, instead of what was set before.
    pub(crate) fn set(&self, time: Duration) -> std::io::Result<()> {
        // A time of nothing would stop the timer.
        let time = time.max(Duration::from_nanos(1));
        let value = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: time.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speakers_are_spread_over_the_interval_and_do_not_drift() {
        let begun = Instant::now();
        let mut schedule = Schedule::new(begun, Duration::from_secs(1), 3);
        let later = begun + Duration::from_secs(2);
        let mut dues = Vec::new();
        while let Some((number, due)) = schedule.take(later) {
            assert_eq!(number, dues.len());
            dues.push((due - begun).as_millis());
        }
        assert_eq!(dues, [0, 333, 666, 1000, 1333, 1666, 2000]);
        assert_eq!((schedule.next() - begun).as_millis(), 2333);
    }
}
