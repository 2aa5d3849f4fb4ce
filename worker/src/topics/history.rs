//! Which topics keep a history, and what a client that joins is told of it.

use std::sync::Arc;

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;
use towpath_layer_core::{Frame, History, Resume};

use super::{Topic, TopicConsumer, TopicPattern};

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
/// keeps that.
pub(super) fn resume<C: TopicConsumer>(topic: &Topic, payload: &Frame) -> Option<Resume> {
    C::HISTORY?;
    // The past is of no use to one whose topic ends at once.
    if topic.stops() {
        return None;
    }
    let stream = || topic.context().framing().stream.unwrap_or_default();
    Some(Resume {
        topic: topic.name().into(),
        last_seen_id: last_seen_id(payload),
        latest: C::HISTORY_ON_JOIN,
        stream: topic.is_plain().then(stream),
    })
}

#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(borrow, default)]
    last_seen_id: Option<&'a RawValue>,
}

/// What the client has seen last, as it says; anything but a string says
/// nothing.
fn last_seen_id(payload: &Frame) -> Option<ByteString> {
    let Frame::Text(json) = payload else {
        return None;
    };
    // An array would be read as the fields in their order.
    let object = json.trim_start().starts_with('{').then_some(&**json)?;
    let seen: Seen<'_> = serde_json::from_str(object).ok()?;
    let text: String = serde_json::from_str(seen.last_seen_id?.get()).ok()?;
    let len = text.floor_char_boundary(LAST_SEEN_LEN_MAX);
    text.get(..len).map(ByteString::from)
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
            assert_eq!(last_seen_id(&payload).as_deref(), seen, "{payload:?}");
        }
        assert_eq!(last_seen_id(&Frame::Bytes("{}".into())), None);
        let long = format!(r#"{{"last_seen_id":"{}"}}"#, "\u{e9}".repeat(1000));
        let cut = last_seen_id(&Frame::Text(long.into())).unwrap();
        assert_eq!(cut.len(), LAST_SEEN_LEN_MAX);
    }
}
