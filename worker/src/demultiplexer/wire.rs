//! The frames of a demultiplexer: `{"stream": …, "payload": …}` in both
//! directions, as Channels 1.x has them, and `{"stream": …, "error": …}`.

use std::borrow::Cow;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A frame of the peer.
#[derive(Debug, Deserialize)]
pub(crate) struct Incoming<'a> {
    #[serde(borrow)]
    pub(crate) stream: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) payload: &'a RawValue,
}

/// What a peer is told whose frame came to nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal<'a> {
    /// The stream that it named, if it named one.
    pub(crate) stream: Option<&'a str>,
    pub(crate) error: Reason<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Reason<'a> {
    /// What kind of error it is.
    pub(crate) code: &'static str,
    /// What was expected.
    pub(crate) reason: &'a str,
}

/// The frame that carries a payload, which is JSON already.
pub(crate) fn payload(stream: &str, json: &str) -> ByteString {
    let mut frame = String::with_capacity(stream.len() + json.len() + 24);
    frame.push_str("{\"stream\":");
    frame.push_str(&serde_json::Value::from(stream).to_string());
    frame.push_str(",\"payload\":");
    frame.push_str(json);
    frame.push('}');
    frame.into()
}

/// Where the session of a stream is kept.
pub(crate) fn slot(stream: &str) -> String {
    format!("stream:{stream}")
}

/// The stream that a frame names, if it names one at all.
pub(crate) fn named_stream(frame: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        stream: String,
    }
    let named: Named = serde_json::from_str(frame).ok()?;
    Some(named.stream)
}
