//! The frames of version 2 of the protocol, as its clients write and read them.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use super::pattern::Pattern;
use crate::testing::record::shown_bytes;

/// The event of an answer.
pub(super) const REPLY: &str = "phx_reply";

const PUSH_KIND: u8 = 0;
const REPLY_KIND: u8 = 1;
const BROADCAST_KIND: u8 = 2;

/// What a message carries.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Json(Value),
    Bytes(Bytes),
}

impl Body {
    pub(super) fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(json) => Some(json),
            Self::Bytes(_) => None,
        }
    }

    /// Whether it is JSON that a test expects.
    pub(super) fn carries(&self, pattern: &impl Pattern) -> bool {
        self.json().is_some_and(|json| pattern.fits(json))
    }

    /// Whether it is what a test does not want to see: bytes are, if that asks
    /// for nothing of what is carried.
    pub(super) fn may_be(&self, pattern: &impl Pattern) -> bool {
        match self {
            Self::Json(json) => pattern.fits(json),
            Self::Bytes(_) => pattern.fits(&Value::Object(serde_json::Map::new())),
        }
    }

    /// The JSON that it is known to be.
    pub(super) fn into_json(self) -> Value {
        match self {
            Self::Json(json) => json,
            Self::Bytes(_) => Value::Null,
        }
    }

    /// The bytes that it is known to be.
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Json(_) => Bytes::new(),
        }
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(json) => json.fmt(f),
            Self::Bytes(bytes) => f.write_str(&shown_bytes(bytes)),
        }
    }
}

/// One message for the client.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mail {
    pub(super) join_ref: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) topic: String,
    pub(super) event: String,
    /// Of an answer.
    pub(super) status: Option<String>,
    pub(super) body: Body,
}

impl Mail {
    /// Whether it went to everybody, and not to this client alone.
    pub(super) fn is_broadcast(&self) -> bool {
        self.join_ref.is_none() && self.reference.is_none() && self.event != REPLY
    }

    /// The JSON that it carries.
    pub(super) fn json(&self) -> Option<&Value> {
        self.body.json()
    }

    /// A text frame.
    pub(super) fn read_text(text: &str) -> Option<Self> {
        let (join_ref, reference, topic, event, mut payload): Frame =
            serde_json::from_str(text).ok()?;
        let status = (event == REPLY)
            .then(|| payload.get("status")?.as_str().map(str::to_owned))
            .flatten();
        if status.is_some() {
            payload = payload.get_mut("response").map(Value::take)?;
        }
        Some(Self {
            join_ref,
            reference,
            topic,
            event,
            status,
            body: Body::Json(payload),
        })
    }

    /// A binary frame.
    pub(super) fn read_bytes(bytes: &Bytes) -> Option<Self> {
        let kind = *bytes.first()?;
        let fields = match kind {
            PUSH_KIND => 3,
            REPLY_KIND => 4,
            BROADCAST_KIND => 2,
            _ => return None,
        };
        let (lens, mut rest) = bytes.get(1..)?.split_at_checked(fields)?;
        let mut texts = Vec::new();
        for len in lens {
            let (text, behind) = rest.split_at_checked(usize::from(*len))?;
            texts.push(std::str::from_utf8(text).ok()?.to_owned());
            rest = behind;
        }
        let body = Body::Bytes(bytes.slice_ref(rest));
        let mut texts = texts.into_iter();
        let mut next = || texts.next();
        Some(match kind {
            PUSH_KIND => Self {
                join_ref: next(),
                reference: None,
                topic: next()?,
                event: next()?,
                status: None,
                body,
            },
            REPLY_KIND => Self {
                join_ref: next(),
                reference: next(),
                topic: next()?,
                event: REPLY.to_owned(),
                status: next(),
                body,
            },
            _ => Self {
                join_ref: None,
                reference: None,
                topic: next()?,
                event: next()?,
                status: None,
                body,
            },
        })
    }
}

/// `[join_ref, ref, topic, event, payload]`.
type Frame = (Option<String>, Option<String>, String, String, Value);

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.topic, self.event)?;
        if let Some(status) = &self.status {
            write!(f, " {status}")?;
        }
        write!(f, " {}", self.body)
    }
}

/// A client's message as a text frame.
pub(super) fn text(
    join_ref: Option<&str>,
    reference: &str,
    topic: &str,
    event: &str,
    payload: &Value,
) -> String {
    serde_json::json!([join_ref, reference, topic, event, payload]).to_string()
}

/// A client's message as a binary frame, unless one of its words is too long.
pub(super) fn bytes(
    join_ref: &str,
    reference: &str,
    topic: &str,
    event: &str,
    payload: &[u8],
) -> Option<Bytes> {
    let words = [join_ref, reference, topic, event];
    let mut frame = vec![PUSH_KIND];
    for word in words {
        frame.push(u8::try_from(word.len()).ok()?);
    }
    for word in words {
        frame.extend_from_slice(word.as_bytes());
    }
    frame.extend_from_slice(payload);
    Some(frame.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(frame: &'static [u8]) -> Mail {
        Mail::read_bytes(&Bytes::from_static(frame)).unwrap()
    }

    #[test]
    fn frames_are_read_as_the_protocol_writes_them() {
        let push = read(b"\x00\x02\x05\x0512topicevente");
        assert_eq!(push.join_ref.as_deref(), Some("12"));
        assert_eq!(push.body, Body::Bytes("e".into()));
        assert!(!push.is_broadcast());
        let reply = read(b"\x01\x02\x03\x05\x0212123topicok");
        assert_eq!(reply.status.as_deref(), Some("ok"));
        assert_eq!(reply.reference.as_deref(), Some("123"));
        assert!(read(b"\x02\x05\x05topiceventabc").is_broadcast());
        let text = r#"["1","2","t","phx_reply",{"status":"ok","response":[1]}]"#;
        let reply = Mail::read_text(text).unwrap();
        assert_eq!(reply.json(), Some(&json!([1])));
        assert_eq!(reply.to_string(), "t phx_reply ok [1]");
    }

    #[test]
    fn what_is_no_frame_is_not_read() {
        for frame in [&b""[..], b"\x03", b"\x00\x02", b"\x02\x05\x05topic"] {
            assert_eq!(Mail::read_bytes(&Bytes::from_static(frame)), None);
        }
        assert_eq!(Mail::read_text("{}"), None);
    }
}
