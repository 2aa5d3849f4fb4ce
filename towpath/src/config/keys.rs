//! The keys that exist, and the one that a wrong key was probably meant to be.

use super::section::Field;
use super::{Api, Layer, Log, Operator, Server, Worker};

/// A section that stands once in the configuration.
pub(crate) struct Section {
    /// Its name, or for layers the form of it.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) about: &'static str,
    /// Its keys.
    pub(crate) fields: &'static [Field],
}

/// The table that holds the layers by name.
pub(crate) const LAYERS: &str = "layers";

/// Every section, in the order in which people are shown them.
pub(crate) const SECTIONS: [Section; 6] = [
    Section {
        name: "server",
        about: Server::ABOUT,
        fields: Server::FIELDS,
    },
    Section {
        name: "worker",
        about: Worker::ABOUT,
        fields: Worker::FIELDS,
    },
    Section {
        name: "layers.<name>",
        about: Layer::ABOUT,
        fields: Layer::FIELDS,
    },
    Section {
        name: "api",
        about: Api::ABOUT,
        fields: Api::FIELDS,
    },
    Section {
        name: "operator",
        about: Operator::ABOUT,
        fields: Operator::FIELDS,
    },
    Section {
        name: "log",
        about: Log::ABOUT,
        fields: Log::FIELDS,
    },
];

/// What a path names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// A table of keys or tables.
    Table,
    /// A key.
    Key(&'static Field),
    /// Nothing.
    Unknown,
}

/// What stands at `path`.
pub(crate) fn place(path: &[&str]) -> Place {
    match path {
        [] | [LAYERS] => Place::Table,
        [LAYERS, name] if is_layer_name(name) => Place::Table,
        [LAYERS, name, key] if is_layer_name(name) => find(Layer::FIELDS, key),
        [section] if SECTIONS.iter().any(|known| known.name == *section) => Place::Table,
        [section, key] => SECTIONS
            .iter()
            .find(|known| known.name == *section)
            .map_or(Place::Unknown, |known| find(known.fields, key)),
        _ => Place::Unknown,
    }
}

/// The key with this dotted name.
pub(crate) fn field(key: &str) -> Option<&'static Field> {
    match place(&key.split('.').collect::<Vec<_>>()) {
        Place::Key(field) => Some(field),
        Place::Table | Place::Unknown => None,
    }
}

fn find(fields: &'static [Field], key: &str) -> Place {
    let found = fields.iter().find(|field| field.name == key);
    found.map_or(Place::Unknown, Place::Key)
}

fn is_layer_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

/// Every key as a dotted name; for layers, those of the layer called `layer`.
pub(crate) fn names(layer: &str) -> impl Iterator<Item = (String, &'static Field)> {
    SECTIONS.iter().flat_map(move |section| {
        let section_name = section.name.replace("<name>", layer);
        section
            .fields
            .iter()
            .map(move |field| (format!("{section_name}.{}", field.name), field))
    })
}

/// The key whose name is the least different from `wrong`.
pub(crate) fn closest(wrong: &str) -> String {
    let mut parts = wrong.split('.');
    let layer = match (parts.next(), parts.next()) {
        (Some(LAYERS), Some(name)) if is_layer_name(name) => name,
        _ => super::DEFAULT_LAYER,
    };
    let distance = |name: &String| edits(wrong, name);
    let best = names(layer).map(|(name, _)| name).min_by_key(distance);
    best.unwrap_or_default()
}

/// The section whose name is the least different from `wrong`.
pub(crate) fn closest_section(wrong: &str) -> &'static str {
    let names = SECTIONS.iter().map(|section| section.name);
    let distance = |name: &&str| edits(wrong, name);
    names.min_by_key(distance).unwrap_or_default()
}

/// How many characters must be changed, added or removed to make `b` of `a`
/// (Levenshtein's distance, one row at a time).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut above_left = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let above = *cell;
            left = (above_left + usize::from(from != to))
                .min(above + 1)
                .min(left + 1);
            above_left = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, distance) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_finds_the_key_that_was_meant() {
        for (wrong, meant) in [
            ("server.ping_intervall", "server.ping_interval"),
            ("server.concurrency", "worker.concurrency"),
            ("servr.listen", "server.listen"),
            ("layers.default.urls", "layers.default.url"),
            ("layers.jobs.ulr", "layers.jobs.url"),
            ("log.level", "log.filter"),
        ] {
            assert_eq!(closest(wrong), meant);
        }
    }
}
