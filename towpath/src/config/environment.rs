//! The environment: `TOWPATH__SECTION__KEY`, two underscores between the parts.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::load::Entry;
use super::section::Kind;
use super::{Origin, Problem, keys};

/// What every variable of ours begins with.
const PREFIX: &str = "TOWPATH__";

/// Variables by name.
pub(crate) type Variables = BTreeMap<String, OsString>;

/// The variables of this process that are meant for us.
pub(crate) fn process() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

/// What the variables say. One that names no key is only warned about: it may
/// be meant for another version that runs in the same environment.
pub(crate) fn read(variables: &Variables) -> (Vec<Entry>, Vec<Problem>, Vec<String>) {
    let (mut entries, mut problems, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let key = path.to_ascii_lowercase().replace("__", ".");
        let Some(field) = keys::field(&key) else {
            let meant = variable(&keys::closest(&key));
            warnings.push(format!(
                "{name} is not a known variable; the closest is {meant}"
            ));
            continue;
        };
        let origin = Origin::Variable(name.clone());
        let Some(text) = value.to_str() else {
            problems.push(Problem {
                origin,
                subject: key,
                reason: "is not UTF-8".to_owned(),
                expected: field.kind.expected(),
                remedy: format!("set {name} anew, or unset it"),
            });
            continue;
        };
        entries.push(Entry {
            key,
            value: parse(field.kind, text),
            origin,
            elements: Vec::new(),
        });
    }
    (entries, problems, warnings)
}

/// The variable that sets a key.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// Text as the value that its key takes. What does not fit stays text, so that
/// it is refused as such later, with all that belongs to an error.
pub(crate) fn parse(kind: Kind, text: &str) -> toml::Value {
    let as_text = || toml::Value::String(text.to_owned());
    match kind {
        Kind::Bytes | Kind::Count(_) => text
            .replace('_', "")
            .parse()
            .map_or_else(|_| as_text(), toml::Value::Integer),
        Kind::Origins if matches!(text, "*" | "same-host") => as_text(),
        Kind::Globs | Kind::Origins | Kind::Secrets if !text.starts_with('[') => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            toml::Value::Array(parts.map(|part| part.to_owned().into()).collect())
        }
        Kind::Globs | Kind::Origins | Kind::Secrets | Kind::Capacities | Kind::Expiries => {
            toml::de::ValueDeserializer::parse(text)
                .and_then(serde::Deserialize::deserialize)
                .unwrap_or_else(|_| as_text())
        }
        Kind::Address
        | Kind::Listener
        | Kind::OptionalAddress
        | Kind::Duration
        | Kind::Delay
        | Kind::Text
        | Kind::Url
        | Kind::Choice(_) => as_text(),
    }
}
