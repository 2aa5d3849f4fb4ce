//! The machine, which tests that load it have one after another.

use tokio::sync::{Mutex, MutexGuard};

static MACHINE: Mutex<()> = Mutex::const_new(());

/// Waits until no other test loads the machine, which ends because each of them
/// does: two at a time would keep one another from what they expect in time.
pub async fn alone() -> MutexGuard<'static, ()> {
    MACHINE.lock().await
}
