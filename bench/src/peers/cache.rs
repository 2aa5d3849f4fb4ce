//! The folder in which what was installed for the peers stays from run to run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::step::Steps;

/// Holds the contents of the stamp: an entry without it is half installed.
const STAMP: &str = "installed";

/// The cache, held by one process at a time.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    pub(super) steps: Steps,
    _lock: File,
}

impl Cache {
    /// Opens the cache, makes it if need be, and keeps other processes out of it.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or another process has it now.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)
            .and_then(|()| folder.canonicalize())
            .and_then(|folder| {
                let lock = File::create(folder.join("lock"))?;
                Ok((folder, lock))
            })
            .with_context(|| format!("the cache {} cannot be written", folder.display()))
            .and_then(|(folder, lock)| match lock.try_lock() {
                Ok(()) => Ok(Self {
                    steps: Steps::new(folder.join("step.log")),
                    folder,
                    _lock: lock,
                }),
                Err(TryLockError::WouldBlock) => bail!(
                    "another benchmark prepares its peers in {}: wait for it",
                    folder.display()
                ),
                Err(TryLockError::Error(error)) => Err(error.into()),
            })
    }

    /// The folder of an entry that was installed from exactly this `stamp`; where there
    /// is none, it is emptied and `install` fills it.
    ///
    /// # Errors
    ///
    /// Those of `install`; the next call begins anew then.
    pub(super) fn entry(
        &self,
        name: &str,
        stamp: &str,
        install: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        if fs::read_to_string(folder.join(STAMP)).is_ok_and(|there| there == stamp) {
            return Ok(folder);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        install(&folder)?;
        fs::write(folder.join(STAMP), stamp)?;
        Ok(folder)
    }

    /// Writes a program of this binary into an entry, and says where it is.
    pub(super) fn program(entry: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = entry.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_installed_once_for_each_stamp_and_again_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let mut installed = 0;
        let mut install = |stamp: &str, good: bool| {
            cache.entry("a", stamp, |entry| {
                installed += 1;
                assert!(!entry.join("rest").exists());
                fs::write(entry.join("rest"), stamp)?;
                anyhow::ensure!(good, "the network is away");
                Ok(())
            })
        };
        assert!(install("one", false).is_err());
        let entry = install("one", true).unwrap();
        assert_eq!(entry, install("one", true).unwrap());
        assert_eq!(fs::read_to_string(entry.join("rest")).unwrap(), "one");
        install("two", true).unwrap();
        assert_eq!(installed, 3);
    }

    #[test]
    fn one_process_has_the_cache_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Cache::open(folder.path()).unwrap();
        let error = Cache::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("another benchmark"), "{error}");
        drop(first);
        Cache::open(folder.path()).unwrap();
    }
}
