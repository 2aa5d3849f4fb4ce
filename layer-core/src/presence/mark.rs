//! References of entries, and what a set of them comes to.

use bytestring::ByteString;
use sha2::{Digest, Sha256};

use super::Source;

const RADIX: u32 = 32;
/// 64 bits in digits of five.
const PREFIX_LEN: usize = 13;

/// The references that a source draws for its entries.
///
/// Clients see them, so the node's id cannot be had from them. They begin
/// differently for each source, and go on counting through all of its topics.
#[derive(Debug, Clone)]
pub struct References {
    prefix: String,
    next: u64,
}

impl References {
    /// The references of a source. One is made for the life of the source: a
    /// second would draw the same again.
    #[must_use]
    pub fn new(source: Source) -> Self {
        let hash = Sha256::new()
            .chain_update(source.node.as_u128().to_be_bytes())
            .chain_update(source.incarnation.to_be_bytes())
            .chain_update([source.shard])
            .finalize();
        let number = hash
            .iter()
            .take(size_of::<u64>())
            .fold(0, |number, byte| (number << 8) | u64::from(*byte));
        let digits = digits(number);
        let prefix = format!("{digits:0>PREFIX_LEN$}");
        Self { prefix, next: 0 }
    }

    /// A reference that no other entry has.
    pub fn draw(&mut self) -> ByteString {
        let reference = format!("{}{}", self.prefix, digits(self.next));
        self.next += 1;
        reference.into()
    }
}

fn digits(mut number: u64) -> String {
    let mut digits = Vec::with_capacity(PREFIX_LEN);
    loop {
        // The rest of a division by 32 is a digit.
        let digit = u32::try_from(number % u64::from(RADIX)).unwrap_or_default();
        digits.extend(char::from_digit(digit, RADIX));
        number /= u64::from(RADIX);
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// A set of references in 64 bits: equal sets have equal digests, others almost
/// never. One more or one less costs no walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum(u64);

impl Sum {
    pub(super) fn of(digest: u64) -> Self {
        Self(digest)
    }

    pub(super) fn digest(self) -> u64 {
        self.0
    }

    pub(super) fn add(&mut self, reference: &str) {
        self.0 = self.0.wrapping_add(hash(reference));
    }

    pub(super) fn remove(&mut self, reference: &str) {
        self.0 = self.0.wrapping_sub(hash(reference));
    }
}

/// FNV-1a, then the finaliser of MurmurHash3: without it the hashes of
/// references that differ in their last digit come to the same sums.
fn hash(reference: &str) -> u64 {
    let folded = reference.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (folded ^ (folded >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{NodeId, SeededEntropy};

    fn source(shard: u8) -> Source {
        let node = NodeId::random(&SeededEntropy::new(1));
        Source {
            node,
            incarnation: 0,
            shard,
        }
    }

    #[test]
    fn no_reference_is_drawn_twice_and_none_shows_the_node() {
        let node = source(0).node.to_string();
        let mut all = HashSet::new();
        for shard in 0..3 {
            let mut references = References::new(source(shard));
            for _ in 0..2000 {
                let reference = references.draw();
                assert!(!reference.contains(&node[..8]), "{reference}");
                assert!(reference.len() <= 16, "{reference}");
                assert!(all.insert(reference));
            }
        }
    }

    #[test]
    fn neighbouring_references_do_not_come_to_the_same_sum() {
        let mut references = References::new(source(0));
        let drawn: Vec<_> = (0..64).map(|_| references.draw()).collect();
        let mut sums = HashSet::new();
        for (at, first) in drawn.iter().enumerate() {
            for second in &drawn[at + 1..] {
                let mut sum = Sum::default();
                sum.add(first);
                sum.add(second);
                assert!(sums.insert(sum.digest()), "{first} and {second}");
            }
        }
    }
}
