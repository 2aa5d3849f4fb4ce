//! What one client knows of who is here, by the algorithm of the Phoenix
//! clients, and whether it was told anything that it should not have been.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, ensure};
use serde::Deserialize;

/// Presences by key, as the server tells them.
type Keys = HashMap<String, Metas>;

#[derive(Debug, Deserialize)]
struct Metas {
    metas: Vec<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    n: u64,
    phx_ref: String,
    phx_ref_prev: Option<String>,
}

/// The payload of `presence_diff`.
#[derive(Debug, Deserialize)]
pub struct Diff {
    joins: Keys,
    leaves: Keys,
}

/// The payload of `presence_state`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct State(Keys);

/// Who somebody is: a key, and a number that no other presence has.
pub type Who = (String, u64);

/// The view of one client since it joined.
#[derive(Debug, Default)]
pub struct View {
    stated: bool,
    here: HashMap<String, Who>,
    joins: HashSet<String>,
    leaves: HashSet<String>,
}

impl View {
    pub fn state(&mut self, State(state): State) -> Result<()> {
        ensure!(!self.stated, "a second state");
        self.stated = true;
        self.join(state)
    }

    pub fn diff(&mut self, diff: Diff) -> Result<()> {
        ensure!(self.stated, "a diff before the state");
        for meta in metas(&diff.joins) {
            let Some(previous) = &meta.phx_ref_prev else {
                continue;
            };
            let replaced = metas(&diff.leaves).any(|left| left.phx_ref == *previous);
            ensure!(
                replaced || !self.here.contains_key(previous),
                "{meta:?} takes the place of one that stays"
            );
        }
        ensure!(
            !diff.joins.is_empty() || !diff.leaves.is_empty(),
            "an empty diff"
        );
        for (key, left) in diff.leaves {
            for meta in left.metas {
                let who = (key.clone(), meta.n);
                let known = self.here.remove(&meta.phx_ref);
                let heard = self.leaves.contains(&meta.phx_ref);
                ensure!(!heard, "the leave of {who:?} {meta:?} was heard twice");
                ensure!(
                    known.as_ref() == Some(&who),
                    "{who:?} {meta:?} left as {known:?}"
                );
                self.leaves.insert(meta.phx_ref);
            }
        }
        self.join(diff.joins)
    }

    fn join(&mut self, joins: Keys) -> Result<()> {
        for (key, joined) in joins {
            for meta in joined.metas {
                let who = (key.clone(), meta.n);
                let new = self.joins.insert(meta.phx_ref.clone());
                ensure!(new, "the join of {who:?} {meta:?} was heard twice");
                self.here.insert(meta.phx_ref, who);
            }
        }
        Ok(())
    }

    /// Who is here as far as it knows; nothing before it was told.
    pub fn here(&self) -> Option<impl ExactSizeIterator<Item = &Who> + Clone> {
        self.stated.then(|| self.here.values())
    }
}

fn metas(keys: &Keys) -> impl Iterator<Item = &Meta> {
    keys.values().flat_map(|key| &key.metas)
}
