//! What the process may use, and has used: open files, processor time.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::error::LoadError;

/// Besides its connections a process has some files open.
const FILES_BESIDES: u64 = 64;

/// Raises the limit on open files as far as it goes, for this process and for those that
/// it starts, and makes sure that it allows `connections`.
///
/// # Errors
///
/// [`LoadError::Files`] if the hard limit is too low, [`LoadError::System`] if the limit
/// cannot be set.
pub fn raise_file_limit(connections: usize) -> Result<(), LoadError> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(std::io::Error::from)?;
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX);
    match limit.maximum {
        Some(hard) if hard < wanted.saturating_add(FILES_BESIDES) => Err(LoadError::Files {
            wanted: connections,
            hard,
        }),
        _ => Ok(()),
    }
}

/// Processor time that all threads of this process have used so far.
#[must_use]
pub fn cpu_used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_files_are_refused_with_the_limit() {
        raise_file_limit(1).unwrap();
        let hard = getrlimit(Resource::Nofile).maximum.unwrap();
        let wanted = usize::try_from(hard).unwrap();
        let error = raise_file_limit(wanted).unwrap_err().to_string();
        assert!(error.contains(&format!("hard limit of {hard}")), "{error}");
    }

    #[test]
    fn work_takes_time() {
        let before = cpu_used();
        let mut spent = Duration::ZERO;
        while spent.is_zero() {
            spent = cpu_used() - before;
        }
        assert!(before > Duration::ZERO);
    }
}
