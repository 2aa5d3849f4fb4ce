//! Which topics keep a history, and what a client that joins is told of it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use towpath_layer_core::{Frame, GroupName, History, PlainMember, Resume};

use super::{Topic, TopicConsumer, TopicPattern};
use crate::Result;

/// Under which name a client says what it has seen last; on a stream of a
/// demultiplexer `.` and the stream's name stand behind it.
const LAST_SEEN_ID: &str = "last_seen_id";

/// A position is shorter; what is longer is none, and is cut.
const LAST_SEEN_LEN_MAX: usize = 64;

/// Topics that begin alike, and how much of their past is kept, if any is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) pattern: TopicPattern,
    pub(crate) history: Option<History>,
}

/// Which topics keep a history. Of the patterns of one route the first that
/// fits counts, and of the routes the first that keeps any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histories {
    routes: Arc<Vec<Vec<Kept>>>,
}

impl Histories {
    pub(crate) fn new(routes: impl Iterator<Item = Vec<Kept>>) -> Self {
        Self {
            routes: Arc::new(routes.filter(|route| !route.is_empty()).collect()),
        }
    }

    /// With a pattern that counts before all others.
    pub(super) fn with(&self, kept: Kept) -> Self {
        let mut routes = vec![vec![kept]];
        routes.extend(self.routes.iter().cloned());
        Self {
            routes: Arc::new(routes),
        }
    }

    pub(crate) fn of(&self, topic: &str) -> Option<History> {
        self.routes.iter().find_map(|route| {
            let mut route = route.iter();
            route.find(|kept| kept.pattern.takes(topic))?.history
        })
    }
}

/// Asks the node to tell a client that joins what it has missed, if the topic
/// keeps that. For one that has seen nothing the topic's position is read: its
/// group must not be joined yet.
pub(super) async fn resume<C: TopicConsumer>(
    topic: &Topic,
    payload: &Frame,
) -> Result<Option<Resume>> {
    // The past is of no use to one whose topic ends at once.
    if C::HISTORY.is_none() || topic.stops() {
        return Ok(None);
    }
    let stream = topic.context().framing().stream;
    let last_seen_id = last_seen_id(payload, stream.as_deref());
    let from = match last_seen_id {
        Some(_) => None,
        None => {
            let group = GroupName::topic(topic.name());
            let layer = topic.context().layer();
            Some(layer.group_history(&group, None, 0).await?.position)
        }
    };
    Ok(Some(Resume {
        topic: topic.name().into(),
        last_seen_id,
        latest: C::HISTORY_ON_JOIN,
        from,
        member: topic.is_plain().then(|| member::<C>(topic).to_text()),
    }))
}

/// What the membership of a plain WebSocket says.
pub(super) fn member<C: TopicConsumer>(topic: &Topic) -> PlainMember {
    let stream = topic.context().framing().stream;
    let intercepts = C::INTERCEPT.iter().copied();
    PlainMember {
        stream: stream.unwrap_or_default(),
        intercepts: intercepts.map(ByteString::from_static).collect(),
    }
}

/// What the client has seen last of the topic, or of its stream, as it says in
/// the payload of its join; anything but a string says nothing.
fn last_seen_id(payload: &Frame, stream: Option<&str>) -> Option<ByteString> {
    let Frame::Text(json) = payload else {
        return None;
    };
    let name = match stream {
        None => Cow::Borrowed(LAST_SEEN_ID),
        Some(stream) => Cow::Owned(format!("{LAST_SEEN_ID}.{stream}")),
    };
    let mut json = serde_json::Deserializer::from_str(json);
    let seen = json.deserialize_map(Field(&name)).ok()??;
    let text: String = serde_json::from_str(seen.get()).ok()?;
    let len = text.floor_char_boundary(LAST_SEEN_LEN_MAX);
    text.get(..len).map(ByteString::from)
}

/// One field of an object, whatever it is.
struct Field<'n>(&'n str);

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            if name == self.0 {
                found = Some(fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn history(size: usize) -> Option<History> {
        let ttl = Duration::from_secs(1);
        (size > 0).then_some(History { size, ttl })
    }

    fn kept(pattern: &str, size: usize) -> Kept {
        Kept {
            pattern: TopicPattern::new(pattern).unwrap(),
            history: history(size),
        }
    }

    #[test]
    fn the_first_pattern_of_a_route_counts_and_the_first_route_that_keeps() {
        let routes = [
            vec![kept("room:lobby", 0), kept("room:*", 1)],
            Vec::new(),
            vec![kept("news", 2), kept("room:*", 3)],
        ];
        let histories = Histories::new(routes.into_iter());
        for (topic, size) in [("room:1", 1), ("room:lobby", 3), ("news", 2), ("old", 0)] {
            assert_eq!(histories.of(topic), history(size), "{topic}");
        }
        let mine = histories.with(kept("news", 9));
        assert_eq!(mine.of("news"), history(9));
        assert_eq!(mine.of("room:1"), history(1));
    }

    #[test]
    fn what_was_seen_last_is_a_string_of_the_payload() {
        for (payload, seen) in [
            (r#"{"last_seen_id":"00-1","a":1}"#, Some("00-1")),
            (r#" {"last_seen_id":"0\u0030-1"}"#, Some("00-1")),
            (r#"{"last_seen_id":null}"#, None),
            (r#"{"last_seen_id":7}"#, None),
            (r#"{"a":1}"#, None),
            (r#"["00-1"]"#, None),
            (r#""00-1""#, None),
            ("{", None),
        ] {
            let payload = Frame::Text(payload.into());
            assert_eq!(last_seen_id(&payload, None).as_deref(), seen, "{payload:?}");
        }
        assert_eq!(last_seen_id(&Frame::Bytes("{}".into()), None), None);
        let long = format!(r#"{{"last_seen_id":"{}"}}"#, "\u{e9}".repeat(1000));
        let cut = last_seen_id(&Frame::Text(long.into()), None).unwrap();
        assert_eq!(cut.len(), LAST_SEEN_LEN_MAX);
    }

    #[test]
    fn what_was_seen_last_of_a_stream_stands_under_its_name() {
        let payload = r#"{"last_seen_id":"0-1","last_seen_id.a":"0-2","last_seen_id.a b":"0-3"}"#;
        let payload = Frame::Text(payload.into());
        for (stream, seen) in [("a", Some("0-2")), ("a b", Some("0-3")), ("b", None)] {
            assert_eq!(last_seen_id(&payload, Some(stream)).as_deref(), seen);
        }
    }
}
