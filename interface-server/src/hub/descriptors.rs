//! Room for descriptors, made once.

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit};

/// Descriptors that the process's table has room for from the start, 8 bytes
/// each in the kernel.
const DESCRIPTORS: u64 = 1 << 16;

/// Makes the process's table of descriptors large at once. The kernel doubles
/// it as needed, and where there are several threads each doubling holds up
/// the one that asked by many milliseconds, until no core reads the old table.
/// So may this, once.
pub(super) fn reserve() {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let highest = limit.min(DESCRIPTORS).saturating_sub(1);
    let Ok(highest) = i32::try_from(highest) else {
        return;
    };
    // Closed at once; the table stays as large.
    if let Err(error) = fcntl_dupfd_cloexec(std::io::stderr(), highest) {
        tracing::debug!(%error, "no room for descriptors was made beforehand");
    }
}
