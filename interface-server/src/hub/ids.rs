//! Which shard a connection is on, told by its number.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use towpath_layer_core::LocalId;

/// Bits of a local id that name the shard.
const SHARD_BITS: u32 = 8;

/// Numbers the connections of one shard; none is given twice.
#[derive(Debug)]
pub(crate) struct Ids {
    shard: u8,
    next: u64,
}

impl Ids {
    pub(crate) fn new(shard: u8) -> Self {
        Self { shard, next: 1 }
    }

    /// The next id: 48 bits of counting, so that the top bit and those of
    /// listeners stay clear.
    pub(crate) fn next(&mut self) -> LocalId {
        let id = (self.next << SHARD_BITS) | u64::from(self.shard);
        self.next += 1;
        LocalId(id)
    }
}

/// The shard that a connection is on.
pub(crate) fn shard_of(id: LocalId) -> usize {
    usize::from(id.0.to_le_bytes()[0])
}

/// Hashes ids that we count ourselves: nobody can choose them to collide.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing; the rotation brings the mixed bits down to where
        // the table looks first.
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(32);
    }
}

pub(crate) type IdMap<T> = HashMap<LocalId, T, BuildHasherDefault<IdHasher>>;
pub(crate) type IdSet = HashSet<LocalId, BuildHasherDefault<IdHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_shard_and_is_not_given_twice() {
        let (mut one, mut two) = (Ids::new(0), Ids::new(255));
        let mut seen = IdSet::default();
        for _ in 0..1000 {
            let (first, second) = (one.next(), two.next());
            assert_eq!((shard_of(first), shard_of(second)), (0, 255));
            assert!(seen.insert(first) && seen.insert(second));
        }
    }

    #[test]
    fn a_listener_is_on_the_shard_of_its_connection() {
        let id = Ids::new(255).next();
        for number in [0, 1, LocalId::LISTENERS_MAX] {
            let listener = id.listener(number);
            assert_eq!((shard_of(listener), listener.connection()), (255, id));
            assert_eq!(listener.listener_number(), number);
            assert!(!listener.is_mailbox());
        }
    }
}
