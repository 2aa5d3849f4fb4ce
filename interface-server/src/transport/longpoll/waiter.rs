//! A request that waits for its session.

use std::time::Duration;

use towpath_layer_core::ChannelName;

/// Whoever waits for an answer, and until when.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) channel: ChannelName,
    pub(super) until: Duration,
    /// When it heard last that it waits.
    told: Duration,
}

/// How old what a request has heard may be: what happens more often than that
/// is not worth a word to another node.
fn told_every(window: Duration) -> Duration {
    window / 2
}

/// How long after a word of its session a request is answered at the latest.
pub(super) fn patience(window: Duration) -> Duration {
    window + told_every(window)
}

impl Waiter {
    /// One that is being told that it waits.
    pub(super) fn new(channel: ChannelName, now: Duration, window: Duration) -> Self {
        Self {
            channel,
            until: now + window,
            told: now,
        }
    }

    /// Lets it wait for another window; whether it has to be told.
    pub(super) fn renew(&mut self, now: Duration, window: Duration) -> bool {
        self.until = now + window;
        let tell = now >= self.told + told_every(window);
        if tell {
            self.told = now;
        }
        tell
    }
}

#[cfg(test)]
mod tests {
    use towpath_layer_core::{LocalId, NodeId, SeededEntropy};

    use super::*;

    #[test]
    fn who_is_told_when_it_has_to_be_never_gives_up_before_its_answer() {
        let window = Duration::from_millis(1000);
        let node = NodeId::random(&SeededEntropy::new(1));
        let channel = ChannelName::reply(node, LocalId(1));
        let mut waiter = Waiter::new(channel, Duration::ZERO, window);
        let (mut heard, mut words) = (Duration::ZERO, 0);
        for taken in (0..=10_000).step_by(30).map(Duration::from_millis) {
            assert!(taken < heard + patience(window));
            if waiter.renew(taken, window) {
                (heard, words) = (taken, words + 1);
            }
            assert!(waiter.until <= heard + patience(window));
        }
        assert_eq!(waiter.until, Duration::from_millis(10_990));
        assert_eq!(words, 19, "one for each half of a window");
    }
}
