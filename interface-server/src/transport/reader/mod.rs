//! Bytes → messages.
//!
//! A [`Reader`] takes messages out of bytes that somebody else holds, where
//! they stand. It keeps memory of its own only while a frame or a message has
//! begun and is not whole, and never more than the limits allow; what breaks
//! them is refused before its payload is kept.

mod header;
mod joined;
mod mask;
#[cfg(test)]
mod tests;
mod violation;

use bytes::Bytes;
use bytestring::ByteString;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use towpath_layer_core::Frame as Payload;

use crate::protocol::close;
use header::{Frame, Header, Torn};
use joined::Joined;

pub(crate) use violation::Violation;

/// What a peer may send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Payload of one frame, in bytes.
    pub(crate) frame_size_max: usize,
    /// Payload of one message, in bytes.
    pub(crate) message_size_max: usize,
    /// Frames of one message.
    pub(crate) fragments_max: usize,
}

/// What a peer has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    /// A message.
    Data(Payload),
    /// It wants this back.
    Ping(Bytes),
    /// It is there.
    Pong,
    /// It closes; without a code, the code is 1005.
    Close { code: u16, reason: ByteString },
}

/// Bytes of the peer, of which messages are taken from the front.
#[derive(Debug, Default)]
pub(crate) struct Input<'a>(&'a mut [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// What is not taken.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes so many bytes, or all.
    fn take(&mut self, len: usize) -> &'a mut [u8] {
        let bytes = std::mem::take(&mut self.0);
        let (taken, rest) = bytes.split_at_mut(len.min(bytes.len()));
        self.0 = rest;
        taken
    }
}

/// Takes messages out of the bytes of one peer.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    begun: Option<Box<Begun>>,
}

/// What has begun and is not whole.
#[derive(Debug, Default)]
struct Begun {
    header: Torn,
    frame: Option<Frame>,
    /// The payload of a control frame.
    control: Vec<u8>,
    message: Option<Joined>,
}

impl Begun {
    fn is_over(&self) -> bool {
        self.header.is_empty()
            && self.frame.is_none()
            && self.control.is_empty()
            && self.message.is_none()
    }
}

impl Reader {
    /// The next message; none if the input ends before it does. All of the
    /// input is taken then. After an error there is nothing more to read.
    pub(crate) fn next(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<Received>, Violation> {
        let received = loop {
            let Some(mut frame) = self.frame(input, limits)? else {
                break None;
            };
            let piece = frame.piece(input);
            let received = match frame.opcode {
                OpCode::Control(control) => self.control(control, frame, piece)?,
                OpCode::Data(data) => self.data(data, frame, piece)?.map(Received::Data),
            };
            if received.is_some() || frame.left > 0 {
                break received;
            }
        };
        if self.begun.as_ref().is_some_and(|begun| begun.is_over()) {
            self.begun = None;
        }
        Ok(received)
    }

    /// How many bytes are known to come: the rest of a frame's payload.
    pub(crate) fn expected(&self) -> usize {
        let frame = self.begun.as_ref().and_then(|begun| begun.frame);
        frame.map_or(0, |frame| frame.left)
    }

    /// The frame that goes on, or the next.
    fn frame(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<Frame>, Violation> {
        let header = match &mut self.begun {
            Some(begun) => {
                if let Some(frame) = begun.frame.take() {
                    return Ok(Some(frame));
                }
                if begun.header.is_empty() {
                    Header::read(input)?
                } else {
                    begun.header.read(input)?
                }
            }
            None => Header::read(input)?,
        };
        if let Some(header) = header {
            let message = self.begun.as_mut().and_then(|begun| begun.message.as_mut());
            let size = message
                .as_ref()
                .map(|message| (message.len(), message.frames));
            let frame = header.check(size, limits)?;
            if let (Some(message), OpCode::Data(_)) = (message, frame.opcode) {
                message.frames += 1;
            }
            return Ok(Some(frame));
        }
        if input.len() > 0 {
            self.begin().header.read(input)?;
        }
        Ok(None)
    }

    fn begin(&mut self) -> &mut Begun {
        self.begun.get_or_insert_default()
    }

    fn message(&self) -> Option<&Joined> {
        self.begun.as_ref()?.message.as_ref()
    }

    /// A piece of a message; the message, if that was its last.
    fn data(
        &mut self,
        data: Data,
        frame: Frame,
        piece: &[u8],
    ) -> Result<Option<Payload>, Violation> {
        let is_text = data == Data::Text;
        let is_last = frame.is_final && frame.left == 0;
        if is_last && self.message().is_none() {
            return whole(is_text, piece).map(Some);
        }
        let begun = self.begin();
        let message = begun.message.get_or_insert_with(|| Joined::new(is_text));
        message.push(piece, frame.is_final.then_some(frame.left))?;
        if is_last {
            return begun.message.take().map(Joined::finish).transpose();
        }
        begun.frame = Some(frame).filter(|frame| frame.left > 0);
        Ok(None)
    }

    fn control(
        &mut self,
        control: Control,
        frame: Frame,
        piece: &[u8],
    ) -> Result<Option<Received>, Violation> {
        if frame.left > 0 {
            let begun = self.begin();
            begun.control.extend_from_slice(piece);
            begun.frame = Some(frame);
            return Ok(None);
        }
        match &mut self.begun {
            Some(begun) if !begun.control.is_empty() => {
                let mut joined = std::mem::take(&mut begun.control);
                joined.extend_from_slice(piece);
                controlled(control, &joined).map(Some)
            }
            _ => controlled(control, piece).map(Some),
        }
    }
}

/// A message that came in one piece.
fn whole(is_text: bool, payload: &[u8]) -> Result<Payload, Violation> {
    if !is_text {
        return Ok(Payload::Bytes(Bytes::copy_from_slice(payload)));
    }
    let text = std::str::from_utf8(payload).map_err(|_| Violation::NotUtf8)?;
    Ok(Payload::Text(ByteString::from(text)))
}

fn controlled(control: Control, payload: &[u8]) -> Result<Received, Violation> {
    match control {
        Control::Ping => Ok(Received::Ping(Bytes::copy_from_slice(payload))),
        Control::Pong => Ok(Received::Pong),
        Control::Close => closed(payload),
        Control::Reserved(_) => Err(Violation::ReservedOpcode),
    }
}

fn closed(payload: &[u8]) -> Result<Received, Violation> {
    let (code, reason) = match payload.split_first_chunk::<2>() {
        Some((code, reason)) => (u16::from_be_bytes(*code), reason),
        None if payload.is_empty() => (close::NO_STATUS, payload),
        None => return Err(Violation::HalfACode),
    };
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
    if !payload.is_empty() && !close::may_be_sent(code) {
        return Err(Violation::CloseCode);
    }
    let reason = ByteString::from(reason);
    Ok(Received::Close { code, reason })
}
