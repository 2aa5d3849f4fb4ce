//! The header of a frame, checked before a byte of its payload is kept.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{Input, Limits, Violation, mask};

/// Bytes of a masked frame's header: two, an extended length, a mask.
const LEN_MAX: usize = 14;

/// The payload of a control frame, in bytes (RFC 6455 §5.5).
const CONTROL_LEN_MAX: usize = 125;

/// A header as it was sent.
#[derive(Debug)]
pub(super) struct Header {
    fields: FrameHeader,
    payload_len: u64,
    /// Bytes of the header itself.
    len: usize,
}

/// A frame whose header was good, and as much of its payload as is to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) opcode: OpCode,
    pub(super) is_final: bool,
    mask: [u8; 4],
    pub(super) left: usize,
}

/// The first bytes of a header that is not whole.
#[derive(Debug, Default)]
pub(super) struct Torn {
    bytes: [u8; LEN_MAX],
    len: usize,
}

impl Torn {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Goes on with a header in the next bytes, all of which it keeps if they
    /// do not complete it.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, Violation> {
        let known = self.len;
        let room = self.bytes.get_mut(known..).unwrap_or_default();
        let copied = room.len().min(input.len());
        for (slot, byte) in room.iter_mut().zip(input.bytes()) {
            *slot = *byte;
        }
        let whole = self.bytes.get(..known + copied).unwrap_or_default();
        if let Some(header) = Header::parse(whole)? {
            input.take(header.len.saturating_sub(known));
            self.len = 0;
            return Ok(Some(header));
        }
        input.take(copied);
        self.len += copied;
        Ok(None)
    }
}

impl Header {
    /// Reads a header in place, if all of it is there.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Option<Self>, Violation> {
        let header = Self::parse(input.bytes())?;
        if let Some(header) = &header {
            input.take(header.len);
        }
        Ok(header)
    }

    fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let mut cursor = Cursor::new(bytes);
        // It fails for no other reason.
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::ReservedOpcode)?;
        Ok(parsed.map(|(fields, payload_len)| Self {
            fields,
            payload_len,
            len: usize::try_from(cursor.position()).unwrap_or(LEN_MAX),
        }))
    }

    /// Checks all that a header can break. `begun` is the message that goes on:
    /// its bytes and its frames.
    pub(super) fn check(
        self,
        begun: Option<(usize, usize)>,
        limits: &Limits,
    ) -> Result<Frame, Violation> {
        let Self {
            fields,
            payload_len,
            len,
        } = self;
        let left = usize::try_from(payload_len)
            .ok()
            .filter(|left| *left <= limits.frame_size_max)
            .ok_or(Violation::TooLarge)?;
        let mask = fields.mask.ok_or(Violation::Unmasked)?;
        if fields.rsv1 || fields.rsv2 || fields.rsv3 {
            return Err(Violation::ReservedBit);
        }
        if len > fields.len(payload_len) {
            return Err(Violation::LongLength);
        }
        match (fields.opcode, begun) {
            (OpCode::Control(_), _) if !fields.is_final => return Err(Violation::ControlInPieces),
            (OpCode::Control(_), _) if left > CONTROL_LEN_MAX => {
                return Err(Violation::ControlTooLarge);
            }
            (OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)), _) => {
                return Err(Violation::ReservedOpcode);
            }
            (OpCode::Data(Data::Continue), None) => return Err(Violation::NothingToContinue),
            (OpCode::Data(Data::Text | Data::Binary), Some(_)) => {
                return Err(Violation::MessageInMessage);
            }
            (OpCode::Control(_), _) => {}
            (OpCode::Data(_), begun) => {
                let (size, frames) = begun.unwrap_or_default();
                if left > limits.message_size_max.saturating_sub(size) {
                    return Err(Violation::TooLarge);
                }
                if frames >= limits.fragments_max {
                    return Err(Violation::TooManyFragments);
                }
            }
        }
        Ok(Frame {
            opcode: fields.opcode,
            is_final: fields.is_final,
            mask,
            left,
        })
    }
}

impl Frame {
    /// The next piece of the payload, unmasked.
    pub(super) fn piece<'a>(&mut self, input: &mut Input<'a>) -> &'a [u8] {
        let piece = input.take(self.left);
        mask::unmask(piece, self.mask);
        self.mask = mask::advance(self.mask, piece.len());
        self.left -= piece.len();
        piece
    }
}
