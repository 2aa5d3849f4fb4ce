//! The buckets of many identities, in this process.

use std::fmt;
use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

/// Identities that are known at a time, unless it is said otherwise.
const LEN_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// When the bucket of each identity is full again. The identity that was not
/// heard of for longest is forgotten for a new one, and then has a full bucket.
pub(super) struct Identities {
    full_at: Mutex<LruCache<String, u64>>,
}

impl Identities {
    pub(super) fn new(len_max: usize) -> Self {
        let len_max = NonZeroUsize::new(len_max).unwrap_or(NonZeroUsize::MIN);
        // Room for all of them would be taken at once.
        let mut full_at = LruCache::unbounded();
        full_at.resize(len_max);
        Self {
            full_at: Mutex::new(full_at),
        }
    }

    /// Changes the bucket of an identity, if the change is one.
    pub(super) fn change<E>(
        &self,
        identity: String,
        change: impl FnOnce(u64) -> Result<u64, E>,
    ) -> Result<(), E> {
        let mut known = self.full_at.lock();
        let full_at = known.get_or_insert_mut(identity, || 0);
        *full_at = change(*full_at)?;
        Ok(())
    }
}

impl Default for Identities {
    fn default() -> Self {
        Self::new(LEN_MAX.get())
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.full_at.lock();
        f.debug_struct("Identities")
            .field("len", &known.len())
            .field("len_max", &known.cap())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(identities: &Identities, identity: &str) -> u64 {
        let mut before = 0;
        let change = |full_at| {
            before = full_at;
            Ok::<_, ()>(full_at + 1)
        };
        identities.change(identity.to_owned(), change).unwrap();
        before
    }

    #[test]
    fn the_identity_not_heard_of_for_longest_is_forgotten() {
        let identities = Identities::new(2);
        assert_eq!((seen(&identities, "ada"), seen(&identities, "bob")), (0, 0));
        assert_eq!(seen(&identities, "ada"), 1);
        assert_eq!(seen(&identities, "eve"), 0);
        assert_eq!(identities.full_at.lock().len(), 2);
        assert_eq!((seen(&identities, "ada"), seen(&identities, "bob")), (2, 0));
    }
}
