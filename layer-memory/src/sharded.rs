//! Parts that are locked apart, chosen by name.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

const PARTS: usize = 16;

/// One `T` for each sixteenth of the names, so that names rarely share a lock.
#[derive(Debug)]
pub(crate) struct Sharded<T> {
    hasher: RandomState,
    parts: [T; PARTS],
}

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T> Sharded<T> {
    /// Parts that `part` makes.
    pub(crate) fn new(mut part: impl FnMut() -> T) -> Self {
        Self {
            hasher: RandomState::default(),
            parts: std::array::from_fn(|_| part()),
        }
    }

    /// The part that `name` belongs to.
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "reduced modulo the length"
    )]
    pub(crate) fn of(&self, name: &str) -> &T {
        &self.parts[self.hasher.hash_one(name) as usize % PARTS]
    }

    /// All parts, always in the same order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter()
    }
}
