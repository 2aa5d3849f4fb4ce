//! Time in a test: virtual, which moves when nothing else can, or real.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time;

/// How a test's time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// It stands while anything can run, and then jumps to the next timer.
    Virtual,
    /// As on the wall.
    Real,
}

/// The shortest virtual sleep: it ends when nothing can run any more.
const SETTLE: Duration = Duration::from_millis(1);

impl Clock {
    /// Sets the runtime's clock up as is needed.
    ///
    /// # Panics
    ///
    /// If the runtime cannot have a virtual clock.
    pub(super) fn set_up(self) {
        let stands = stands();
        match self {
            Self::Virtual if stands => {}
            Self::Virtual if has_one_thread() => time::pause(),
            Self::Virtual => panic!(
                "TestApp::memory needs a runtime with one thread, whose clock can be moved: \
                 write #[tokio::test] or #[tokio::test(start_paused = true)], or ask for \
                 TestApp::memory(app).real_time()"
            ),
            Self::Real if stands => time::resume(),
            Self::Real => {}
        }
    }

    /// The longest wait for what is expected.
    pub(super) fn patience(self) -> Duration {
        match self {
            Self::Virtual => Duration::from_secs(1),
            Self::Real => Duration::from_secs(10),
        }
    }

    /// How long nothing has to come, to say that nothing comes.
    pub(super) fn silence(self) -> Duration {
        match self {
            Self::Virtual => Duration::from_secs(1),
            Self::Real => Duration::from_millis(100),
        }
    }

    /// Waits until nothing can run, as far as that can be told.
    pub(super) async fn settle(self) {
        match self {
            Self::Virtual => time::sleep(SETTLE).await,
            Self::Real => tokio::task::yield_now().await,
        }
    }

    /// Lets time pass, and everything that is due in it happen.
    pub(super) async fn pass(self, time: Duration) {
        time::sleep(time).await;
        self.settle().await;
    }
}

fn has_one_thread() -> bool {
    Handle::current().runtime_flavor() != RuntimeFlavor::MultiThread
}

/// Whether the runtime's clock is paused; tokio has no way to ask.
fn stands() -> bool {
    let (wall, ours) = (Instant::now(), time::Instant::now());
    while wall.elapsed() < Duration::from_micros(10) {
        spin_loop();
    }
    time::Instant::now() == ours
}
