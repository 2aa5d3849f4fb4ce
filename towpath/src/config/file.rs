//! The file: TOML, taken apart into keys that remember their lines.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::load::Entry;
use super::{Origin, Problem, keys};

/// Takes a file apart. What stands at no known key is a problem.
pub(crate) fn read(path: &Path, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let mut reader = Reader {
        path,
        text,
        entries: Vec::new(),
        problems: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(document) => reader.table(&[], document.get_ref()),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            reader.problems.push(Problem {
                origin: reader.origin(start),
                subject: String::new(),
                reason: format!("is not TOML: {}", error.message().replace('\n', ", ")),
                expected: "TOML 1.0, such as listen = \"127.0.0.1:8000\" below [server]".to_owned(),
                remedy: "correct the line".to_owned(),
            });
        }
    }
    (reader.entries, reader.problems)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.bytes().take(offset);
        Origin::File {
            path: self.path.to_owned(),
            line: Some(1 + before.filter(|byte| *byte == b'\n').count()),
        }
    }

    fn table(&mut self, path: &[&str], table: &DeTable<'_>) {
        for (key, value) in table {
            let path: Vec<&str> = path
                .iter()
                .copied()
                .chain([key.get_ref().as_ref()])
                .collect();
            let origin = self.origin(key.span().start);
            match (keys::place(&path), value.get_ref()) {
                (keys::Place::Table, DeValue::Table(inner)) => self.table(&path, inner),
                (keys::Place::Table, _) => self.problems.push(Problem {
                    origin,
                    subject: path.join("."),
                    reason: "is not a table".to_owned(),
                    expected: format!("keys below [{}]", path.join(".")),
                    remedy: "write the keys of the section below its head".to_owned(),
                }),
                (keys::Place::Key(_), _) => self.entry(path.join("."), origin, value),
                (keys::Place::Unknown, _) => {
                    self.problems.push(unknown(origin, &path));
                }
            }
        }
    }

    fn entry(&mut self, key: String, origin: Origin, value: &Spanned<DeValue<'_>>) {
        // A rule in a list may stand lines below the key.
        let elements = value.get_ref().as_array().into_iter().flatten();
        let elements = elements
            .map(|element| self.origin(element.span().start))
            .collect();
        match toml::Value::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(value) => self.entries.push(Entry {
                key,
                value,
                origin,
                elements,
            }),
            Err(error) => self.problems.push(Problem {
                origin,
                subject: key,
                reason: format!("is out of range: {}", error.message()),
                expected: "a value that TOML can hold".to_owned(),
                remedy: "correct the value".to_owned(),
            }),
        }
    }
}

fn unknown(origin: Origin, path: &[&str]) -> Problem {
    let key = path.join(".");
    let expected = match path {
        [section] => format!(
            "a known section; the closest is [{}]",
            keys::closest_section(section)
        ),
        _ => format!("a known key; the closest is {}", keys::closest(&key)),
    };
    Problem {
        origin,
        subject: key,
        reason: "is not a key".to_owned(),
        expected,
        remedy: "correct the name, or remove the line; `config docs` lists all keys".to_owned(),
    }
}
