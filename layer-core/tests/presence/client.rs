//! The client's side, as the clients of Phoenix do it, over the JSON text.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Presence {
    metas: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Diff {
    joins: BTreeMap<String, Presence>,
    leaves: BTreeMap<String, Presence>,
}

/// What one client knows of who is here.
#[derive(Debug, Default)]
pub(crate) struct Client {
    state: BTreeMap<String, Presence>,
    /// References that it has been told, and of those the ones that came again.
    told: BTreeSet<String>,
    again: BTreeSet<String>,
}

fn reference(meta: &Value) -> &str {
    meta["phx_ref"].as_str().unwrap()
}

impl Client {
    /// `presence_state`.
    pub(crate) fn sync_state(&mut self, text: &str) {
        let known = self.references();
        self.state = serde_json::from_str(text).unwrap();
        for new in self.references().difference(&known) {
            self.note(new);
        }
    }

    /// Nobody has left and come again but these.
    pub(crate) fn check(&self, back: &BTreeSet<String>) {
        let wrong: Vec<_> = self.again.difference(back).collect();
        assert!(wrong.is_empty(), "{wrong:?} came twice");
    }

    fn note(&mut self, reference: &str) {
        if !self.told.insert(reference.to_owned()) {
            self.again.insert(reference.to_owned());
        }
    }

    /// `presence_diff`: nobody joins who is here, and nobody leaves who is not.
    pub(crate) fn sync_diff(&mut self, text: &str) {
        let Diff { joins, leaves } = serde_json::from_str(text).unwrap();
        let known = self.references();
        for (key, mut joined) in joins {
            for meta in &joined.metas {
                assert!(!known.contains(reference(meta)), "{meta} joins twice");
                self.note(reference(meta));
            }
            let current = self.state.remove(&key);
            let mut metas = current.map_or_else(Vec::new, |current| current.metas);
            metas.append(&mut joined.metas);
            self.state.insert(key, Presence { metas });
        }
        for (key, left) in leaves {
            for meta in &left.metas {
                assert!(known.contains(reference(meta)), "{meta} left twice");
            }
            let gone: BTreeSet<_> = left.metas.iter().map(reference).collect();
            let current = self.state.get_mut(&key).unwrap();
            current.metas.retain(|meta| !gone.contains(reference(meta)));
            if current.metas.is_empty() {
                self.state.remove(&key);
            }
        }
    }

    fn references(&self) -> BTreeSet<String> {
        let metas = self.state.values().flat_map(|presence| &presence.metas);
        metas.map(|meta| reference(meta).to_owned()).collect()
    }

    /// Every presence it knows, as key, reference and what the meta says.
    pub(crate) fn view(&self) -> BTreeSet<(String, String, u64)> {
        let presences = self.state.iter();
        let metas = presences.flat_map(|(key, presence)| {
            let metas = presence.metas.iter();
            metas.map(move |meta| {
                let said = meta["n"].as_u64().unwrap();
                (key.clone(), reference(meta).to_owned(), said)
            })
        });
        metas.collect()
    }
}
