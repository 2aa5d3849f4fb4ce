//! Parts that are locked apart, chosen by name.

const PARTS: usize = 16;

/// One `T` for each sixteenth of the names, so that names rarely share a lock.
#[derive(Debug)]
pub(crate) struct Sharded<T> {
    parts: [T; PARTS],
}

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| T::default()),
        }
    }
}

impl<T> Sharded<T> {
    /// The part that `name` belongs to.
    #[expect(clippy::indexing_slicing, reason = "reduced modulo the length")]
    pub(crate) fn of(&self, name: &str) -> &T {
        // Whoever picks names to meet in one part gains a shared lock, nothing
        // more: the maps inside hash with a secret.
        let hash = name.bytes().fold(0usize, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        &self.parts[hash % PARTS]
    }

    /// All parts, always in the same order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter()
    }
}
