//! A message that comes in pieces: of a frame, or of several.

use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::Frame;

use super::Violation;

/// A message of which a part has come. It holds what came, and room for at
/// most as much again.
#[derive(Debug)]
pub(super) struct Joined {
    payload: Payload,
    /// Frames that have begun.
    pub(super) frames: usize,
}

#[derive(Debug)]
enum Payload {
    Text(Text),
    Bytes(Vec<u8>),
}

/// Text, and the first bytes of a character that is not whole.
#[derive(Debug, Default)]
struct Text {
    whole: String,
    torn: [u8; 4],
    torn_len: usize,
}

impl Joined {
    pub(super) fn new(is_text: bool) -> Self {
        let payload = if is_text {
            Payload::Text(Text::default())
        } else {
            Payload::Bytes(Vec::new())
        };
        Self { payload, frames: 1 }
    }

    /// Bytes that have come.
    pub(super) fn len(&self) -> usize {
        match &self.payload {
            Payload::Text(text) => text.whole.len() + text.torn_len,
            Payload::Bytes(bytes) => bytes.len(),
        }
    }

    /// Adds a piece. `left` is what the message's last frame still brings, if
    /// that is known.
    pub(super) fn push(&mut self, piece: &[u8], left: Option<usize>) -> Result<(), Violation> {
        match &mut self.payload {
            Payload::Text(text) => {
                let piece_len = text.torn_len + piece.len();
                let room = text.whole.capacity() - text.whole.len();
                let more = growth(text.whole.capacity(), room, piece_len, left);
                text.whole.reserve_exact(more);
                text.push(piece)
            }
            Payload::Bytes(bytes) => {
                let room = bytes.capacity() - bytes.len();
                let more = growth(bytes.capacity(), room, piece.len(), left);
                bytes.reserve_exact(more);
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// The message, in memory of its size.
    pub(super) fn finish(self) -> Result<Frame, Violation> {
        match self.payload {
            Payload::Text(text) if text.torn_len > 0 => Err(Violation::NotUtf8),
            Payload::Text(text) => Ok(Frame::Text(ByteString::from(text.whole.into_boxed_str()))),
            Payload::Bytes(bytes) => Ok(Frame::Bytes(Bytes::from(bytes.into_boxed_slice()))),
        }
    }
}

/// How much more to reserve for a piece: twice what is there, so that many
/// pieces are moved rarely, but not more than there will be.
fn growth(capacity: usize, room: usize, piece: usize, left: Option<usize>) -> usize {
    if piece <= room {
        return 0;
    }
    let doubled = capacity.max(piece);
    left.map_or(doubled, |left| doubled.min(piece + left))
}

impl Text {
    /// Checks as it goes, so that bad bytes are refused as soon as they come.
    fn push(&mut self, mut piece: &[u8]) -> Result<(), Violation> {
        while self.torn_len > 0 {
            let Some((next, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.complete(*next)?;
        }
        match std::str::from_utf8(piece) {
            Ok(text) => self.whole.push_str(text),
            Err(error) if error.error_len().is_some() => return Err(Violation::NotUtf8),
            Err(error) => {
                let (whole, torn) = piece.split_at(error.valid_up_to());
                self.whole
                    .push_str(std::str::from_utf8(whole).unwrap_or_default());
                for byte in torn {
                    self.complete(*byte)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a byte to the torn character.
    fn complete(&mut self, byte: u8) -> Result<(), Violation> {
        let Some(slot) = self.torn.get_mut(self.torn_len) else {
            return Err(Violation::NotUtf8);
        };
        *slot = byte;
        self.torn_len += 1;
        match std::str::from_utf8(self.torn.get(..self.torn_len).unwrap_or_default()) {
            Ok(character) => {
                self.whole.push_str(character);
                self.torn_len = 0;
                Ok(())
            }
            Err(error) if error.error_len().is_some() => Err(Violation::NotUtf8),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
impl Joined {
    pub(super) fn capacity(&self) -> usize {
        match &self.payload {
            Payload::Text(text) => text.whole.capacity(),
            Payload::Bytes(bytes) => bytes.capacity(),
        }
    }
}
