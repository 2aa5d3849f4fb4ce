//! Takes the mask off a payload (RFC 6455 §5.3).

/// Removes a mask, or adds it: eight bytes at a time, in place.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The mask of what follows the first `len` bytes of a payload.
pub(super) fn advance(mut mask: [u8; 4], len: usize) -> [u8; 4] {
    mask.rotate_left(len % 4);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_in_one_piece_and_in_many() {
        let mask = [0x12, 0x34, 0x56, 0x78];
        for len in 0..70 {
            let plain: Vec<u8> = (0..len).collect();
            let masked: Vec<u8> = plain
                .iter()
                .zip(mask.iter().cycle())
                .map(|(b, m)| b ^ m)
                .collect();
            for cut in 0..=plain.len() {
                let mut bytes = masked.clone();
                let (head, tail) = bytes.split_at_mut(cut);
                unmask(head, mask);
                unmask(tail, advance(mask, cut));
                assert_eq!(bytes, plain, "{len} bytes, cut at {cut}");
            }
        }
    }
}
