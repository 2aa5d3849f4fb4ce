//! Frames as a client reads and writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::protocol::phoenix::{Incoming, Payload, Ref};
use towpath_layer_core::Frame;

/// What a message carries, parsed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Json(Value),
    Binary(Vec<u8>),
}

/// A message, whichever way it goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) join_ref: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) topic: String,
    pub(super) event: String,
    pub(super) content: Content,
}

fn owned(reference: Option<&Ref>) -> Option<String> {
    reference.map(|reference| reference.text().into_owned())
}

impl From<Incoming> for Told {
    fn from(incoming: Incoming) -> Self {
        Self {
            join_ref: owned(incoming.join_ref.as_ref()),
            reference: owned(incoming.reference.as_ref()),
            topic: incoming.topic.to_string(),
            event: incoming.event.to_string(),
            content: match incoming.payload {
                Payload::Json(json) => Content::Json(serde_json::from_str(&json).unwrap()),
                Payload::Binary(bytes) => Content::Binary(bytes.to_vec()),
            },
        }
    }
}

impl Content {
    fn json(&self) -> &Value {
        match self {
            Self::Json(value) => value,
            Self::Binary(_) => panic!("no JSON"),
        }
    }
}

impl Told {
    pub(super) fn to_v1(&self) -> Value {
        json!({
            "join_ref": self.join_ref,
            "ref": self.reference,
            "topic": self.topic,
            "event": self.event,
            "payload": self.content.json(),
        })
    }

    pub(super) fn to_v2(&self) -> Value {
        let Self {
            join_ref,
            reference,
            topic,
            event,
            content,
        } = self;
        json!([join_ref, reference, topic, event, content.json()])
    }

    /// The binary push of a client; null is written as the empty string.
    pub(super) fn to_binary(&self) -> Bytes {
        let strings = [
            self.join_ref.as_deref().unwrap_or_default(),
            self.reference.as_deref().unwrap_or_default(),
            &self.topic,
            &self.event,
        ];
        let mut frame = vec![0];
        frame.extend(strings.map(|text| u8::try_from(text.len()).unwrap()));
        for text in strings {
            frame.extend_from_slice(text.as_bytes());
        }
        match &self.content {
            Content::Binary(bytes) => frame.extend_from_slice(bytes),
            Content::Json(_) => panic!("no bytes"),
        }
        frame.into()
    }
}

fn string(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.as_str().unwrap().to_owned())
}

/// Reads a frame of the server in version 1.
pub(super) fn read_v1(frame: &Frame) -> Told {
    let Frame::Text(text) = frame else {
        panic!("a binary frame in version 1");
    };
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 4, "just the four keys");
    Told {
        join_ref: None,
        reference: string(&value["ref"]),
        topic: string(&value["topic"]).unwrap(),
        event: string(&value["event"]).unwrap(),
        content: Content::Json(value["payload"].clone()),
    }
}

/// Reads a frame of the server in version 2.
pub(super) fn read_v2(frame: &Frame) -> Told {
    let text = match frame {
        Frame::Text(text) => text,
        Frame::Bytes(bytes) => return read_binary(bytes),
    };
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(value.as_array().unwrap().len(), 5);
    Told {
        join_ref: string(&value[0]),
        reference: string(&value[1]),
        topic: string(&value[2]).unwrap(),
        event: string(&value[3]).unwrap(),
        content: Content::Json(value[4].clone()),
    }
}

/// A binary frame of the server; of a reply, the status stands for the event.
fn read_binary(frame: &[u8]) -> Told {
    let strings = match frame[0] {
        0 => 3,
        1 => 4,
        2 => 2,
        kind => panic!("kind {kind}"),
    };
    let mut at = 1 + strings;
    let mut read = frame[1..at].iter().map(|size| {
        let end = at + usize::from(*size);
        let text = String::from_utf8(frame[at..end].to_vec()).unwrap();
        at = end;
        text
    });
    let (mut join_ref, mut reference) = (None, None);
    if strings > 2 {
        join_ref = read.next();
    }
    if strings > 3 {
        reference = read.next();
    }
    let (topic, event) = (read.next().unwrap(), read.next().unwrap());
    Told {
        join_ref,
        reference,
        topic,
        event,
        content: Content::Binary(frame[at..].to_vec()),
    }
}
