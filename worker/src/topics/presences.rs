//! Who is present in a topic, read from the layer.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use futures_util::TryStreamExt;
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use towpath_layer_core::presence::{Entry, Stored};
use towpath_layer_core::{ChannelLayer, GroupName, Member};

use crate::{Result, held};

/// Who is present in a topic, on all nodes, as the layer knew it when it was
/// asked: by key, with the meta of each connection that tracks it.
///
/// As JSON it is what clients of Phoenix know: `{"key": {"metas": [{…,
/// "phx_ref": …}]}}`.
///
/// ```
/// use serde_json::json;
/// use towpath_worker::{Payload, Result, Topics};
///
/// async fn report(Payload(room): Payload<String>, topics: Topics) -> Result {
///     let present = topics.presences(format!("room:{room}")).await?;
///     for (user, metas) in present.list() {
///         println!("{user} has {} tabs", metas.len());
///     }
///     topics.broadcast("admin", "crowd", &json!({"room": room, "users": present.count()})).await?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presences {
    keys: BTreeMap<ByteString, Vec<PresenceMeta>>,
}

/// One presence under a key: one connection that tracks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceMeta {
    entry: Arc<Entry>,
}

impl Presences {
    pub(super) async fn read(layer: &dyn ChannelLayer, topic: &str) -> Result<Self> {
        let group = GroupName::presences(topic);
        held::flush().await;
        let mut members = layer.group_members(&group);
        let mut presences = Self::default();
        while let Some(member) = members.try_next().await? {
            for entry in entries(&member) {
                presences.add(entry);
            }
        }
        for metas in presences.keys.values_mut() {
            metas.sort_by(|one, other| one.age().cmp(&other.age()));
        }
        Ok(presences)
    }

    fn add(&mut self, entry: Arc<Entry>) {
        let metas = self.keys.entry(entry.key.clone()).or_default();
        let known = |meta: &PresenceMeta| meta.entry.reference == entry.reference;
        if !metas.iter().any(known) {
            metas.push(PresenceMeta { entry });
        }
    }

    /// Every key with its metas, by key; those of one node oldest first.
    pub fn list(&self) -> impl Iterator<Item = (&str, &[PresenceMeta])> {
        self.keys.iter().map(|(key, metas)| (&**key, &**metas))
    }

    /// The metas of one key; none if it is not present.
    #[must_use]
    pub fn get_by_key(&self, key: &str) -> &[PresenceMeta] {
        self.keys.get(key).map_or(&[], |metas| metas)
    }

    /// How many keys are present.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }
}

/// What a membership has stored; anybody may write that, but a presence is its
/// own node's.
fn entries(member: &Member) -> Vec<Arc<Entry>> {
    let node = member.channel.as_reply().map(|(node, _)| node);
    match Stored::decode(&member.meta) {
        Ok(stored) if Some(stored.source.node) == node => stored.entries,
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::debug!(channel = %member.channel, %error, "a presence cannot be read");
            Vec::new()
        }
    }
}

impl PresenceMeta {
    /// What the consumer tracked, and [`fetch`](super::TopicConsumer::fetch)
    /// added.
    ///
    /// # Errors
    ///
    /// An internal [`Error`](crate::Error) if the meta is no `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_str(self.text())?)
    }

    /// The same as the JSON text of an object.
    #[must_use]
    pub fn text(&self) -> &ByteString {
        &self.entry.meta
    }

    /// Which presence it is (`phx_ref`); an update is another.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.entry.reference
    }

    /// Which presence it has taken the place of (`phx_ref_prev`).
    #[must_use]
    pub fn previous(&self) -> Option<&str> {
        self.entry.previous.as_deref()
    }

    /// References of one source are counted up, in digits without leading zeros.
    fn age(&self) -> (usize, &str) {
        (self.reference().len(), self.reference())
    }
}

impl Serialize for Presences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Metas<'a> {
            metas: &'a [PresenceMeta],
        }
        serializer.collect_map(self.list().map(|(key, metas)| (key, Metas { metas })))
    }
}

/// With the references behind its own fields.
impl Serialize for PresenceMeta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(self.text()).map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &fields {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("phx_ref", self.reference())?;
        if let Some(previous) = self.previous() {
            map.serialize_entry("phx_ref_prev", previous)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reference: &str, previous: Option<&str>, meta: &str) -> Arc<Entry> {
        Arc::new(Entry {
            reference: reference.into(),
            previous: previous.map(Into::into),
            key: "ada".into(),
            meta: meta.into(),
        })
    }

    #[test]
    fn json_has_the_shape_that_clients_know() {
        let mut presences = Presences::default();
        presences.add(entry("a1", Some("a0"), r#"{"at": 1.50}"#));
        presences.add(entry("a1", Some("a0"), r#"{"at": 1.50}"#));
        presences.add(entry("a2", None, "{}"));
        assert_eq!(
            serde_json::to_string(&presences).unwrap(),
            concat!(
                r#"{"ada":{"metas":[{"at":1.50,"phx_ref":"a1","phx_ref_prev":"a0"},"#,
                r#"{"phx_ref":"a2"}]}}"#
            )
        );
        assert_eq!(presences.count(), 1);
        let [first, second] = presences.get_by_key("ada") else {
            panic!("{presences:?}");
        };
        assert_eq!(first.previous(), Some("a0"));
        assert_eq!(second.reference(), "a2");
        second.json::<Vec<u8>>().unwrap_err();
        assert!(presences.get_by_key("bob").is_empty());
    }

    #[test]
    fn a_shorter_reference_is_older() {
        let meta = |reference| PresenceMeta {
            entry: entry(reference, None, "{}"),
        };
        assert!(meta("pz").age() < meta("p10").age());
    }
}
