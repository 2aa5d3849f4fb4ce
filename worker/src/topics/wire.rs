//! The frames of a topic on a plain WebSocket: those of version 1 of the
//! protocol.

use std::borrow::Cow;

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;
use towpath_layer_core::{Frame, Reference, Reply, TopicReply};

use super::names;
use crate::framing::Framing;
use crate::{Error, Result};

/// A frame of the peer.
#[derive(Debug, Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(borrow)]
    pub(super) event: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) payload: Option<&'a RawValue>,
    #[serde(rename = "ref", default)]
    pub(super) reference: Option<Reference>,
    #[serde(borrow, default)]
    pub(super) topic: Option<Cow<'a, str>>,
}

impl<'a> Incoming<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            let expected = "expected {\"event\": …, \"payload\": …, \"ref\": …}";
            Error::bad_payload(format!("{expected}: {error}"))
        })
    }
}

/// `{"reason": …}`.
pub(crate) fn reason(reason: &str) -> Frame {
    let json = serde_json::json!({ "reason": reason });
    Frame::Text(json.to_string().into())
}

/// What a plain WebSocket's peer is told, and its node: in one reply, as far as
/// that goes.
pub(super) fn replies(framing: &Framing, topic: &str, said: Vec<TopicReply>) -> Result<Vec<Reply>> {
    let resumes = said
        .iter()
        .any(|said| matches!(said, TopicReply::Resume(_)));
    let mut first = Reply {
        // The node writes the frame that would accept the handshake.
        accept: resumes.then(Box::default),
        ..Reply::default()
    };
    let mut more = Vec::new();
    for said in said {
        match said {
            TopicReply::Resume(_) | TopicReply::Tracking(_) => first.topic.push(said),
            TopicReply::Joined { .. } if resumes => first.topic.push(said),
            said => {
                let reply = framing.encoded(frame(topic, &said)?);
                if first.frame.is_none() {
                    first.frame = reply.frame;
                } else {
                    more.push(reply);
                }
            }
        }
    }
    more.insert(0, first);
    Ok(more)
}

/// What the peer of a plain WebSocket is told.
pub(super) fn frame(topic: &str, reply: &TopicReply) -> Result<String> {
    match reply {
        TopicReply::Joined { response } => answer(topic, None, "ok", response),
        TopicReply::Push { event, payload } => Ok(write(topic, event, None, json(payload)?)),
        TopicReply::Answer {
            reference,
            status,
            response,
        } => answer(topic, Some(reference), status, response),
        TopicReply::Stop => Ok(write(topic, names::CLOSE, None, "{}")),
        _ => Err(Error::internal(
            "a refusal denies the handshake, and what is for all goes through the group",
        )),
    }
}

/// An answer to a message, whatever topic that named.
pub(super) fn answer(
    topic: &str,
    reference: Option<&Reference>,
    status: &str,
    response: &Frame,
) -> Result<String> {
    let payload = format!(
        "{{\"status\":{},\"response\":{}}}",
        quoted(status),
        json(response)?
    );
    Ok(write(topic, names::REPLY, reference, &payload))
}

fn json(payload: &Frame) -> Result<&ByteString> {
    match payload {
        Frame::Text(json) => Ok(json),
        Frame::Bytes(_) => Err(Error::internal(
            "a plain WebSocket carries the JSON of a topic, and no bytes",
        )),
    }
}

fn write(topic: &str, event: &str, reference: Option<&Reference>, payload: &str) -> String {
    let reference = match reference {
        None => "null".to_owned(),
        Some(Reference::Text(text)) => quoted(text),
        Some(Reference::Number(number)) => number.to_string(),
    };
    format!(
        "{{\"topic\":{},\"event\":{},\"ref\":{reference},\"payload\":{payload}}}",
        quoted(topic),
        quoted(event),
    )
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_version_1() {
        let answer = TopicReply::Answer {
            reference: Reference::Text("7\"".into()),
            status: "ok".into(),
            response: Frame::Text("[1]".into()),
        };
        assert_eq!(
            frame("room:1", &answer).unwrap(),
            r#"{"topic":"room:1","event":"phx_reply","ref":"7\"","payload":{"status":"ok","response":[1]}}"#
        );
        let push = TopicReply::Push {
            event: "new".into(),
            payload: Frame::Text("{}".into()),
        };
        assert_eq!(
            frame("a", &push).unwrap(),
            r#"{"topic":"a","event":"new","ref":null,"payload":{}}"#
        );
    }

    #[test]
    fn bytes_are_refused() {
        let push = TopicReply::Push {
            event: "new".into(),
            payload: Frame::Bytes("x".into()),
        };
        frame("a", &push).unwrap_err();
    }

    #[test]
    fn a_reference_is_a_text_a_number_or_nothing() {
        for (text, reference) in [
            (
                r#"{"event":"a","ref":"1"}"#,
                Some(Reference::Text("1".into())),
            ),
            (r#"{"event":"a","ref":1}"#, Some(Reference::Number(1))),
            (r#"{"event":"a","ref":null}"#, None),
            (r#"{"event":"a"}"#, None),
        ] {
            assert_eq!(Incoming::read(text).unwrap().reference, reference, "{text}");
        }
        Incoming::read(r#"{"payload":{}}"#).unwrap_err();
        Incoming::read("[]").unwrap_err();
    }
}
