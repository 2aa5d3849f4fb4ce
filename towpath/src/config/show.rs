//! The configuration as people and programs are shown it.

use serde::Serialize;

use super::section::{Field, Kind};
use super::{Config, DEFAULT_LAYER, Loaded, keys};

/// One key, its value, and where that came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The dotted name of the key.
    pub key: String,
    /// Its value as a TOML file would have it, passwords hidden; nothing if it
    /// is not set and has no default.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: String,
}

impl Loaded {
    /// Every key, in the order of the reference.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let tree = tree(&self.config);
        let mut settings: Vec<Setting> = Vec::new();
        for layer in self.config.layers.keys() {
            for (key, field) in keys::names(layer) {
                if settings.iter().any(|setting| setting.key == key) {
                    continue;
                }
                settings.push(Setting {
                    value: get(&tree, &key).map(|value| text(field.kind, value)),
                    origin: self.origin(&key).to_string(),
                    key,
                });
            }
        }
        settings
    }
}

/// The configuration as a tree of TOML values.
pub(crate) fn tree(config: &Config) -> toml::Table {
    // A struct of plain data always has a TOML form; a test holds this.
    toml::Table::try_from(config).unwrap_or_default()
}

/// The value at a dotted key.
pub(crate) fn get<'t>(tree: &'t toml::Table, key: &str) -> Option<&'t toml::Value> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let value = tree.get(first)?;
    match rest {
        Some(rest) => get(value.as_table()?, rest),
        None => Some(value),
    }
}

/// The default of a key as TOML, if it has one.
pub(crate) fn default(key: &str, field: &Field) -> Option<String> {
    let key = match key.split('.').collect::<Vec<_>>().as_slice() {
        [keys::LAYERS, _, name] => format!("{}.{DEFAULT_LAYER}.{name}", keys::LAYERS),
        _ => key.to_owned(),
    };
    get(&tree(&Config::default()), &key).map(|value| text(field.kind, value))
}

/// `key = value` with passwords hidden.
pub(crate) fn assignment(key: &str, kind: Kind, value: &toml::Value) -> String {
    format!("{key} = {}", text(kind, value))
}

fn text(kind: Kind, value: &toml::Value) -> String {
    match (kind, value) {
        (Kind::Url, toml::Value::String(url)) => format!("{:?}", without_password(url)),
        (Kind::Secrets, toml::Value::Array(secrets)) => {
            let hidden: Vec<_> = secrets.iter().map(|_| "\"***\"").collect();
            format!("[{}]", hidden.join(", "))
        }
        (Kind::Secrets, _) => "***".to_owned(),
        _ => value.to_string(),
    }
}

/// A URL with `***` in place of its password.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Whatever this is, it may hold a secret.
        return "***".to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // A password may hold an unescaped @, or / and ?: then the tail has the host.
    if let Some((_, host)) = tail.rsplit_once('@') {
        return format!("{scheme}://***@{host}");
    }
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}:***@{host}{tail}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("redis://h:1/0", "redis://h:1/0"),
            ("redis://:secret@h:1", "redis://:***@h:1"),
            ("redis://me:secret@h:1/0", "redis://me:***@h:1/0"),
            ("redis://secret@h", "redis://secret:***@h"),
            ("redis://me:se/cr@et@h/0", "redis://***@h/0"),
            ("secret", "***"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        for value in [toml::Value::from("secret"), vec!["secret", "secret"].into()] {
            let shown = assignment("api.tokens", Kind::Secrets, &value);
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn the_default_configuration_has_a_toml_form() {
        let tree = tree(&Config::default());
        let unset: Vec<String> = keys::names(DEFAULT_LAYER)
            .map(|(key, _)| key)
            .filter(|key| get(&tree, key).is_none())
            .collect();
        assert_eq!(unset, ["layers.default.url"]);
    }
}
