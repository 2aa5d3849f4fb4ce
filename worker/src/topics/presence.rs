//! Who is here: what a topic's consumer says about its own client.

use std::collections::BTreeMap;
use std::fmt;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use towpath_layer_core::presence::{PresenceError, PresenceLimits, check_key, check_meta};
use towpath_layer_core::{TopicReply, Tracking};

use super::{Presences, Topic, TopicConsumer, names};
use crate::{Error, Result};

/// Keys that one event tracks and untracks at most. With their metas they fit
/// into one message.
const CHANGES_MAX: usize = 128;

/// What a topic's client is told of who is present; see
/// [`TopicConsumer::PRESENCE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// Nothing.
    #[default]
    No,
    /// Who is present, once, behind the answer to its join: `presence_state`.
    State,
    /// The same, and who joins and leaves from then on: `presence_diff`.
    Diffs,
}

impl Watch {
    pub(super) fn of(self, topic: &Topic) -> Option<TopicReply> {
        let topic = topic.name().into();
        let diffs = self == Self::Diffs;
        let watch = Tracking::Watch { topic, diffs };
        (self != Self::No).then_some(TopicReply::Tracking(watch))
    }
}

/// One presence on its way to everybody, in
/// [`TopicConsumer::fetch`](super::TopicConsumer::fetch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    topic: ByteString,
    key: ByteString,
    meta: ByteString,
}

impl Present {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Who it is.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is known of it so far.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if the meta is no `T`.
    pub fn meta<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_str(&self.meta)?)
    }

    /// Adds a field to the meta, or replaces it.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if the value cannot be serialised.
    pub fn set<T: Serialize + ?Sized>(&mut self, field: &str, value: &T) -> Result {
        let value = serde_json::value::to_raw_value(value)?;
        let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(&self.meta)?;
        fields.insert(field.to_owned(), &value);
        self.meta = serde_json::to_string(&fields)?.into();
        Ok(())
    }

    fn checked(self) -> Result<TopicReply> {
        let tracking = Tracking::Track {
            meta: checked(&self.key, &self.meta)?,
            topic: self.topic,
            key: self.key,
        };
        Ok(TopicReply::Tracking(tracking))
    }
}

/// What one event's consumer says of presences: the last word about each key.
#[derive(Default)]
pub(super) struct Changes {
    tracked: Vec<Present>,
    untracked: Vec<(ByteString, ByteString)>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("tracked", &self.tracked.len())
            .field("untracked", &self.untracked.len())
            .finish()
    }
}

impl Changes {
    fn track(&mut self, present: Present) -> Result {
        self.make_room(&present.topic, &present.key)?;
        self.tracked.push(present);
        Ok(())
    }

    fn untrack(&mut self, topic: ByteString, key: ByteString) -> Result {
        self.make_room(&topic, &key)?;
        self.untracked.push((topic, key));
        Ok(())
    }

    fn make_room(&mut self, topic: &ByteString, key: &ByteString) -> Result {
        let other = |known: &ByteString, of: &ByteString| known != key || of != topic;
        self.tracked.retain(|known| other(&known.key, &known.topic));
        self.untracked.retain(|(of, known)| other(known, of));
        if self.tracked.len() + self.untracked.len() >= CHANGES_MAX {
            return Err(Error::internal(format!(
                "one event tracks and untracks {CHANGES_MAX} keys at most"
            )));
        }
        Ok(())
    }
}

fn checked(key: &ByteString, meta: &ByteString) -> Result<ByteString> {
    let meta = check_meta(meta)?;
    let size = key.len() + meta.len();
    let size_max = PresenceLimits::default().stored_size_max;
    if size > size_max {
        return Err(PresenceError::TooLarge { size, size_max }.into());
    }
    Ok(meta)
}

impl Topic {
    /// This client is present in the topic from now on, under a key (a user's
    /// id for example) and with a meta: a JSON object (a struct or a map). A
    /// key that it tracks already gets the new meta, in one change.
    ///
    /// It takes effect once the consumer has returned without an error, and
    /// passes [`fetch`](TopicConsumer::fetch) before. Several clients may have
    /// one key, each with its meta. It ends with [`untrack`](Self::untrack), and
    /// with the conversation, however that ends; in `terminate` it is of no use.
    ///
    /// A client has 16 keys in a topic at most, of 4 KiB in all with their
    /// metas, or of the layer's `group_meta_size_max` if that is less. Its node
    /// sees to that: this returns `Ok` all the same, and what is
    /// beyond is left out, with a warning in the node's log.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] that shows the key (at most 255 bytes, and none of
    /// `__proto__`, `constructor` and `prototype`, at which older clients
    /// break) or the meta, or says that the two have more than 4 KiB alone, or
    /// that one event changes more than 128 keys.
    pub fn track<T: Serialize + ?Sized>(&self, key: impl Into<ByteString>, meta: &T) -> Result {
        self.track_in(self.name(), key, meta)
    }

    /// As [`track`](Self::track): the meta of a key that this client tracks is
    /// replaced. One that makes all of them larger than 4 KiB is left out in the
    /// same way: the old one stays.
    ///
    /// # Errors
    ///
    /// As [`track`](Self::track).
    pub fn update<T: Serialize + ?Sized>(&self, key: impl Into<ByteString>, meta: &T) -> Result {
        self.track(key, meta)
    }

    /// This client is not present under the key any more; fine if it was not.
    /// It takes effect once the consumer has returned without an error.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if one event changes more than 128 keys.
    pub fn untrack(&self, key: impl Into<ByteString>) -> Result {
        self.untrack_in(self.name(), key)
    }

    /// As [`track`](Self::track), in another topic: an inbox of the user, for
    /// example. It ends with this conversation; on a stream of a demultiplexer,
    /// with the socket. A client is present in 64 topics at most: what is beyond
    /// is left out, with a warning of its node.
    ///
    /// # Errors
    ///
    /// As [`track`](Self::track), or if the topic is the protocol's own.
    pub fn track_in<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        key: impl Into<ByteString>,
        meta: &T,
    ) -> Result {
        names::check_topic(topic)?;
        let key = key.into();
        check_key(&key)?;
        let meta = serde_json::to_string(meta)?.into();
        let present = Present {
            topic: topic.into(),
            meta: checked(&key, &meta)?,
            key,
        };
        self.with_presences(|changes| changes.track(present))
    }

    /// As [`untrack`](Self::untrack), in another topic.
    ///
    /// # Errors
    ///
    /// As [`untrack`](Self::untrack), or if the topic is the protocol's own.
    pub fn untrack_in(&self, topic: &str, key: impl Into<ByteString>) -> Result {
        names::check_topic(topic)?;
        let (topic, key) = (topic.into(), key.into());
        self.with_presences(|changes| changes.untrack(topic, key))
    }

    /// Who is present in the topic; what this event has tracked is not there
    /// yet.
    ///
    /// # Errors
    ///
    /// As [`Topics::presences`](super::Topics::presences).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn presences(&self) -> Result<Presences> {
        self.topics().presences(self.name()).await
    }
}

/// What a consumer that has returned said of presences, as everybody will see
/// it.
pub(super) async fn changes<C: TopicConsumer>(topic: &Topic) -> Result<Vec<TopicReply>> {
    let Changes {
        mut tracked,
        untracked,
    } = topic.with_presences(std::mem::take);
    if !tracked.is_empty() {
        C::fetch(&mut tracked, topic).await?;
    }
    let untracked = untracked
        .into_iter()
        .map(|(topic, key)| Ok(TopicReply::Tracking(Tracking::Untrack { topic, key })));
    let tracked = tracked.into_iter().map(Present::checked);
    untracked.chain(tracked).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn present(key: &str, meta: &str) -> Present {
        Present {
            topic: "t".into(),
            key: key.into(),
            meta: meta.into(),
        }
    }

    #[test]
    fn a_field_is_added_or_replaced_and_the_others_stay_as_written() {
        let mut present = present("a", r#"{"n":12345678901234567890123,"name":"?"}"#);
        present.set("name", "Ada").unwrap();
        present.set("admin", &json!([true])).unwrap();
        assert_eq!(
            present.meta,
            r#"{"admin":[true],"n":12345678901234567890123,"name":"Ada"}"#
        );
        let meta: serde_json::Value = present.meta().unwrap();
        assert_eq!(meta["name"], "Ada");
        present.meta::<Vec<u8>>().unwrap_err();
    }

    #[test]
    fn the_last_word_about_a_key_counts() {
        let mut changes = Changes::default();
        let untrack = |changes: &mut Changes, key: &str| changes.untrack("t".into(), key.into());
        changes.track(present("a", "{}")).unwrap();
        untrack(&mut changes, "a").unwrap();
        untrack(&mut changes, "b").unwrap();
        changes.track(present("b", r#"{"n":1}"#)).unwrap();
        changes.track(present("b", r#"{"n":2}"#)).unwrap();
        assert_eq!(changes.tracked, [present("b", r#"{"n":2}"#)]);
        assert_eq!(changes.untracked, [("t".into(), "a".into())]);
    }

    #[test]
    fn one_event_changes_so_many_keys() {
        let mut changes = Changes::default();
        for number in 0..CHANGES_MAX {
            changes.track(present(&number.to_string(), "{}")).unwrap();
        }
        changes.track(present("0", "{}")).unwrap();
        changes.track(present("one more", "{}")).unwrap_err();
        changes.untrack("t".into(), "x".into()).unwrap_err();
    }

    #[test]
    fn a_meta_that_grew_too_large_is_named() {
        let meta = format!(r#"{{"x":"{}"}}"#, "x".repeat(5000));
        let error = present("a", &meta).checked().unwrap_err();
        assert!(error.to_string().contains("at most 4096"), "{error}");
        let not = present("a", "[]").checked().unwrap_err();
        assert!(not.to_string().contains("JSON text of an object"), "{not}");
    }
}
