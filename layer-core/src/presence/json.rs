//! The JSON text that clients get, put together from the metas' own text.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;

use super::{Diff, Entry};

/// What a meta takes besides its own text, about, in bytes.
const META_OVERHEAD: usize = 64;

impl Diff {
    /// The JSON text of `presence_diff`: keys in their order, oldest meta first.
    #[must_use]
    pub fn to_json(&self) -> ByteString {
        let entries = self.joins.iter().chain(&self.leaves);
        let metas: usize = entries.map(|entry| entry.meta.len() + META_OVERHEAD).sum();
        let mut text = String::with_capacity(metas + META_OVERHEAD);
        text.push_str("{\"joins\":");
        presences(&mut text, by_key(&self.joins).into_iter());
        text.push_str(",\"leaves\":");
        presences(&mut text, by_key(&self.leaves).into_iter());
        text.push('}');
        text.into()
    }
}

/// `presence_state`.
pub(super) fn state<'a, M>(keys: impl Iterator<Item = (&'a ByteString, M)>) -> ByteString
where
    M: IntoIterator<Item = &'a Arc<Entry>>,
{
    let mut text = String::new();
    presences(&mut text, keys.map(|(key, metas)| (&**key, metas)));
    text.into()
}

fn by_key(entries: &[Arc<Entry>]) -> BTreeMap<&str, Vec<&Arc<Entry>>> {
    let mut keys: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for entry in entries {
        keys.entry(&entry.key).or_default().push(entry);
    }
    keys
}

fn presences<'a, M>(text: &mut String, keys: impl Iterator<Item = (&'a str, M)>)
where
    M: IntoIterator<Item = &'a Arc<Entry>>,
{
    text.push('{');
    for (at, (key, metas)) in keys.enumerate() {
        separate(text, at);
        push_string(text, key);
        text.push_str(":{\"metas\":[");
        for (at, entry) in metas.into_iter().enumerate() {
            separate(text, at);
            push_meta(text, entry);
        }
        text.push_str("]}");
    }
    text.push('}');
}

fn separate(text: &mut String, at: usize) {
    if at > 0 {
        text.push(',');
    }
}

/// The meta with its references behind its own fields.
fn push_meta(text: &mut String, entry: &Entry) {
    let fields = entry.meta.trim();
    let fields = fields.strip_prefix('{').unwrap_or_default();
    let fields = fields.strip_suffix('}').unwrap_or_default().trim();
    text.push('{');
    if !fields.is_empty() {
        text.push_str(fields);
        text.push(',');
    }
    text.push_str("\"phx_ref\":");
    push_string(text, &entry.reference);
    if let Some(previous) = &entry.previous {
        text.push_str(",\"phx_ref_prev\":");
        push_string(text, previous);
    }
    text.push('}');
}

/// A JSON string (RFC 8259 §7).
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\0'..='\x1f' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => text.push(character),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(reference: &str, previous: Option<&str>, key: &str, meta: &str) -> Arc<Entry> {
        Arc::new(Entry {
            reference: reference.into(),
            previous: previous.map(Into::into),
            key: key.into(),
            meta: meta.into(),
        })
    }

    #[test]
    fn a_diff_has_the_shape_that_clients_know() {
        let diff = Diff {
            joins: vec![
                entry("b", Some("a"), "u2", "{ \"at\":1 }"),
                entry("c", None, "u1", "{ }"),
                entry("d", None, "u2", "{}"),
            ],
            leaves: vec![entry("a", None, "u2", "{\"at\":0}")],
        };
        assert_eq!(
            diff.to_json(),
            concat!(
                r#"{"joins":{"u1":{"metas":[{"phx_ref":"c"}]},"#,
                r#""u2":{"metas":[{"at":1,"phx_ref":"b","phx_ref_prev":"a"},{"phx_ref":"d"}]}},"#,
                r#""leaves":{"u2":{"metas":[{"at":0,"phx_ref":"a"}]}}}"#
            )
        );
    }

    #[test]
    fn nobody_here_is_an_empty_object() {
        assert_eq!(state(std::iter::empty::<(_, Vec<_>)>()), "{}");
    }

    proptest! {
        #[test]
        fn every_key_is_a_json_string(key in any::<String>()) {
            let mut text = String::new();
            push_string(&mut text, &key);
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), key);
        }
    }
}
