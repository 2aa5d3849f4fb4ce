//! A message's payload: its sender, its sequence number, and filler.

use crate::dialect::Dialect;
use crate::wire;

/// Sender and sequence number stand at the head of every payload.
const SENDER_DIGITS: usize = 4;
const SEQUENCE_DIGITS: usize = 8;

/// The shortest payload, in bytes: the marker and nothing else.
pub const PAYLOAD_BYTES_MIN: usize = SENDER_DIGITS + SEQUENCE_DIGITS;
/// The longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;

static FILLER: [u8; PAYLOAD_BYTES_MAX] = [b'x'; PAYLOAD_BYTES_MAX];

/// One sender's message, framed once and stamped anew for each sending.
#[derive(Debug)]
pub(crate) struct Template {
    frame: Vec<u8>,
    sequence_at: usize,
}

impl Template {
    pub(crate) fn new(dialect: Dialect, sender: usize, payload_bytes: usize) -> Self {
        let mut payload = vec![b'x'; payload_bytes];
        write_digits(
            payload.get_mut(..SENDER_DIGITS).unwrap_or_default(),
            sender as u64,
        );
        let (prefix, suffix) = dialect.around_payload();
        let text = [prefix, &payload, suffix].concat();
        let frame = wire::client_frame(wire::TEXT, &text);
        let sequence_at = frame.len() - suffix.len() - payload_bytes + SENDER_DIGITS;
        Self { frame, sequence_at }
    }

    pub(crate) fn stamp(&mut self, sequence: u64) -> &[u8] {
        let digits = self.sequence_at..self.sequence_at + SEQUENCE_DIGITS;
        write_digits(self.frame.get_mut(digits).unwrap_or_default(), sequence);
        &self.frame
    }
}

/// Sender and sequence number of a payload; `None` if it is not one of ours.
pub(crate) fn marker(payload: &[u8]) -> Option<(usize, u64)> {
    let (sender, rest) = payload.split_first_chunk::<SENDER_DIGITS>()?;
    let (sequence, filler) = rest.split_first_chunk::<SEQUENCE_DIGITS>()?;
    if FILLER.get(..filler.len()) != Some(filler) {
        return None;
    }
    Some((
        usize::try_from(read_digits(sender)?).ok()?,
        read_digits(sequence)?,
    ))
}

// Five bits a character, from `0` to `O`: nothing that JSON would write in another way.
const DIGIT_ZERO: u8 = b'0';
const DIGIT_BITS: u32 = 5;
const DIGIT_MASK: u64 = (1 << DIGIT_BITS) - 1;

fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = DIGIT_ZERO + (number & DIGIT_MASK) as u8;
        number >>= DIGIT_BITS;
    }
}

fn read_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let value = u64::from(digit.wrapping_sub(DIGIT_ZERO));
        (value <= DIGIT_MASK).then_some(number << DIGIT_BITS | value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_frame_carries_its_sender_and_sequence() {
        for payload_bytes in [PAYLOAD_BYTES_MIN, 64, 128, PAYLOAD_BYTES_MAX] {
            for dialect in [Dialect::Raw, Dialect::SocketIo, Dialect::Phoenix] {
                let mut template = Template::new(dialect, 19_999, payload_bytes);
                for sequence in [0, 1, 31, 32, 1 << 39] {
                    let frame = template.stamp(sequence).to_vec();
                    let (prefix, suffix) = dialect.around_payload();
                    let end = frame.len() - suffix.len();
                    let payload = &frame[end - payload_bytes..end];
                    assert_eq!(marker(payload), Some((19_999, sequence)));
                    assert!(frame[..end - payload_bytes].ends_with(prefix));
                    assert_eq!(frame[0], 0x80 | wire::TEXT);
                    assert_eq!(frame[1] & 0x80, 0x80, "client frames are masked");
                }
            }
        }
        assert_eq!(marker(b"000000000000xyx"), None);
        assert_eq!(marker(b"00000000000Z"), None);
        assert_eq!(marker(b"0000"), None);
    }
}
