//! Counts the frames of a message while its bytes pass.
//!
//! The WebSocket library bounds the bytes of a message, not its frames: a
//! million empty ones would cost a million turns and no byte.

/// A message came in more frames than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message came in too many frames")]
pub(crate) struct TooManyFragments;

/// Bytes of a masked frame's header: two, an extended length, a mask.
const HEADER_LEN_MAX: usize = 14;

/// Follows frame headers in a stream of bytes; leaves all checking of them to
/// the library.
#[derive(Debug, Default)]
pub(crate) struct FragmentCount {
    header: [u8; HEADER_LEN_MAX],
    header_len: usize,
    /// Payload bytes that still belong to the frame.
    payload_left: u64,
    fragments: usize,
}

impl FragmentCount {
    /// Looks at the next bytes of the stream.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        fragments_max: usize,
    ) -> Result<(), TooManyFragments> {
        loop {
            let skipped = usize::try_from(self.payload_left)
                .map_or(bytes.len(), |left| left.min(bytes.len()));
            self.payload_left -= skipped as u64;
            let Some((next, rest)) = bytes.get(skipped..).and_then(<[u8]>::split_first) else {
                return Ok(());
            };
            bytes = rest;
            if let Some(slot) = self.header.get_mut(self.header_len) {
                *slot = *next;
                self.header_len += 1;
            }
            if let Some(payload) = self.complete() {
                self.payload_left = payload;
                self.header_len = 0;
                self.count(fragments_max)?;
            }
        }
    }

    /// The payload's length, once the header is complete.
    fn complete(&self) -> Option<u64> {
        let header = self.header.get(..self.header_len)?;
        let (&[_, second], extended) = header.split_first_chunk::<2>()?;
        let mask_len = if second & 0x80 == 0 { 0 } else { 4 };
        let (len, length_len) = match second & 0x7f {
            126 => {
                let (length, _) = extended.split_first_chunk::<2>()?;
                (u64::from(u16::from_be_bytes(*length)), 2)
            }
            127 => {
                let (length, _) = extended.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*length), 8)
            }
            short => (u64::from(short), 0),
        };
        (extended.len() == length_len + mask_len).then_some(len)
    }

    fn count(&mut self, fragments_max: usize) -> Result<(), TooManyFragments> {
        let first = self.header.first().copied().unwrap_or_default();
        let is_control = first & 0x08 != 0;
        let is_final = first & 0x80 != 0;
        if is_control {
            return Ok(());
        }
        self.fragments += 1;
        if self.fragments > fragments_max {
            return Err(TooManyFragments);
        }
        if is_final {
            self.fragments = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match len {
            0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
            126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[1, 2, 3, 4]);
        frame.resize(frame.len() + len, 0x81);
        frame
    }

    #[test]
    fn it_counts_the_frames_of_one_message_in_pieces_of_any_size() {
        let mut stream = Vec::new();
        for len in [0, 5, 125, 126, 300, 70_000] {
            stream.extend(frame(0x02, len));
            stream.extend(frame(0x89, 3));
            stream.extend(frame(0x00, len));
            stream.extend(frame(0x80, len));
        }
        for piece in [1, 2, 13, 4096, stream.len()] {
            let mut count = FragmentCount::default();
            let fed: Result<Vec<()>, _> = stream
                .chunks(piece)
                .map(|bytes| count.feed(bytes, 3))
                .collect();
            assert!(fed.is_ok(), "pieces of {piece}");
            let mut count = FragmentCount::default();
            let fed: Result<Vec<()>, _> = stream
                .chunks(piece)
                .map(|bytes| count.feed(bytes, 2))
                .collect();
            assert_eq!(fed, Err(TooManyFragments), "pieces of {piece}");
        }
    }

    #[test]
    fn an_absurd_length_is_left_to_the_library() {
        let mut count = FragmentCount::default();
        let header = [
            0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4,
        ];
        count.feed(&header, 1).unwrap();
        count.feed(&[0; 100], 1).unwrap();
    }
}
