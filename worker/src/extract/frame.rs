//! The frame that arrived.

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;
use towpath_layer_core::Frame;

use super::FromContext;
use crate::place::PlaceKind;
use crate::{Context, Error, Place, Result};

const NEEDS_FRAME: &str = "only a receive consumer has a frame";

/// The text of a text frame; a binary frame is the peer's bad payload. On a
/// stream of a demultiplexer the payload has to be a JSON string, and this is
/// its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text(pub ByteString);

impl FromContext for Text {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Text", &[PlaceKind::Receive], NEEDS_FRAME)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        match context.frame()? {
            Frame::Text(text) => context.framing().read_text(text.clone()).map(Self),
            Frame::Bytes(_) => Err(Error::bad_payload("a text frame is expected")),
        }
    }
}

/// The content of a binary frame; a text frame is the peer's bad payload.
impl FromContext for Bytes {
    fn check(place: &Place<'_>) -> Result<(), String> {
        if place.in_stream {
            return Err("a stream of a demultiplexer carries JSON and no Bytes".to_owned());
        }
        place.require("Bytes", &[PlaceKind::Receive], NEEDS_FRAME)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        match context.frame()? {
            Frame::Bytes(bytes) => Ok(bytes.clone()),
            Frame::Text(_) => Err(Error::bad_payload("a binary frame is expected")),
        }
    }
}

/// The frame, whichever kind it is; on a stream of a demultiplexer the payload
/// as it is, which is JSON.
impl FromContext for Frame {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Frame", &[PlaceKind::Receive], NEEDS_FRAME)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        context.frame().cloned()
    }
}

/// A text or binary frame, read as JSON. What does not fit is the peer's bad
/// payload, and the reason names the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromContext for Json<T> {
    fn check(place: &Place<'_>) -> Result<(), String> {
        let needs = "only a receive consumer has a frame; \
                     what consumers send each other is a Payload";
        place.require("Json", &[PlaceKind::Receive], needs)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        read_json(context.frame()?).map(Self)
    }
}

/// Reads a frame as JSON.
pub(crate) fn read_json<T: DeserializeOwned>(frame: &Frame) -> Result<T> {
    let json = frame.as_bytes();
    serde_json::from_slice(json).map_err(|error| Error::bad_payload(explain::<T>(json, &error)))
}

/// Reads again what did not fit, this time with an eye on where: the first
/// reading does not pay for it.
fn explain<T: DeserializeOwned>(json: &[u8], error: &serde_json::Error) -> String {
    let mut reader = serde_json::Deserializer::from_slice(json);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(located) if located.path().iter().len() > 0 => located.to_string(),
        Ok(_) | Err(_) => error.to_string(),
    }
}
