//! Sources to one configuration: merged key by key, and every value traced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::environment::{self, Variables};
use super::section::{Field, Kind};
use super::{Config, ConfigError, Origin, Problem, check, file, keys, show};

/// A value for one key, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The dotted name of the key.
    pub(crate) key: String,
    /// Its value.
    pub(crate) value: toml::Value,
    /// Where it stands.
    pub(crate) origin: Origin,
    /// If it is a list in a file: where each element stands.
    pub(crate) elements: Vec<Origin>,
}

/// A key that a flag of the command line sets.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag, `--listen` for example.
    pub name: &'static str,
    /// The dotted name of the key.
    pub key: String,
    /// The value, as the environment would have it.
    pub value: String,
}

/// What a configuration is made of, besides the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    file: Option<(PathBuf, String)>,
    variables: Variables,
    flags: Vec<Flag>,
}

/// A configuration that is in order.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is odd about it, but usable.
    pub warnings: Vec<String>,
    origins: BTreeMap<String, Origin>,
}

impl Sources {
    /// No source: the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file; what it says is looked at by [`load`](Self::load).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the file cannot be read.
    pub fn read_file(self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| Problem {
            origin: Origin::File {
                path: path.to_owned(),
                line: None,
            },
            subject: String::new(),
            reason: format!("cannot be read: {error}"),
            expected: "a TOML file".to_owned(),
            remedy: "correct the path behind --config, or leave --config out".to_owned(),
        })?;
        Ok(self.file(path, text))
    }

    /// A file with this text.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.file = Some((path.into(), text.into()));
        self
    }

    /// The environment of this process.
    #[must_use]
    pub fn environment(mut self) -> Self {
        self.variables.extend(environment::process());
        self
    }

    /// One variable, as if it stood in the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Flags of the command line.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = Flag>) -> Self {
        self.flags.extend(flags);
        self
    }

    /// Puts the sources together: defaults, file, environment, flags, the later
    /// over the earlier, each key by itself.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names every key or value that is wrong.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let (mut entries, mut problems) = match &self.file {
            Some((path, text)) => file::read(path, text),
            None => (Vec::new(), Vec::new()),
        };
        let (variables, refused, warnings) = environment::read(&self.variables);
        entries.extend(variables);
        problems.extend(refused);
        entries.extend(self.flags.iter().map(flag_entry));

        let merged = merge(entries);
        let config = build(&merged, &mut problems);
        let origins: BTreeMap<String, Origin> = merged
            .into_iter()
            .map(|(key, entry)| (key, entry.origin))
            .collect();
        let loaded = config.map(|config| Loaded {
            config,
            warnings,
            origins,
        });
        if let Some(loaded) = &loaded {
            problems.extend(check::check(loaded));
        }
        match loaded {
            Some(loaded) if problems.is_empty() => Ok(loaded),
            _ => Err(ConfigError { problems }),
        }
    }
}

impl Loaded {
    /// Where the value of a key came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// The keys that somebody chose.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = &str> {
        self.origins.keys().map(String::as_str)
    }
}

fn flag_entry(flag: &Flag) -> Entry {
    let kind = keys::field(&flag.key).map_or(Kind::Text, |field| field.kind);
    Entry {
        key: flag.key.clone(),
        value: environment::parse(kind, &flag.value),
        origin: Origin::Flag(flag.name),
        elements: Vec::new(),
    }
}

/// One entry for each key: the last. Lists from flags that may be repeated are
/// one list.
fn merge(entries: Vec<Entry>) -> BTreeMap<String, Entry> {
    let mut merged: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in entries {
        match (merged.get_mut(&entry.key), entry.value) {
            (
                Some(Entry {
                    value: toml::Value::Array(list),
                    origin,
                    ..
                }),
                toml::Value::Array(more),
            ) if *origin == entry.origin => {
                list.extend(more);
            }
            (_, value) => {
                merged.insert(entry.key.clone(), Entry { value, ..entry });
            }
        }
    }
    merged
}

/// The configuration that the entries make, over the defaults. A value that
/// does not fit becomes a problem and its key stays at the default, so that the
/// next wrong value is found too.
fn build(entries: &BTreeMap<String, Entry>, problems: &mut Vec<Problem>) -> Option<Config> {
    let defaults = defaults(entries.keys());
    let mut fitting: BTreeMap<&str, &Entry> =
        entries.iter().map(|(k, e)| (k.as_str(), e)).collect();
    // Each turn takes an entry away, or is the last.
    loop {
        let mut tree = defaults.clone();
        for entry in fitting.values() {
            set(&mut tree, &entry.key, entry.value.clone());
        }
        let error = match serde_path_to_error::deserialize(toml::Value::Table(tree)) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let owner = fitting.keys().copied().find(|key| owns(key, &path));
        let Some(entry) = owner.and_then(|key| fitting.remove(key)) else {
            problems.push(unowned(&path, error.inner().message()));
            return None;
        };
        problems.push(misfit(entry, &path, error.inner().message()));
    }
}

/// Whether the thing at `path` is `key` or a part of its value.
fn owns(key: &str, path: &str) -> bool {
    path.strip_prefix(key)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The defaults as a tree, with a section for each layer that a key names.
fn defaults<'k>(keys: impl Iterator<Item = &'k String>) -> toml::Table {
    let mut config = Config::default();
    for key in keys {
        let mut parts = key.split('.');
        if let (Some(keys::LAYERS), Some(name)) = (parts.next(), parts.next()) {
            config.layers.entry(name.to_owned()).or_default();
        }
    }
    show::tree(&config)
}

fn set(tree: &mut toml::Table, key: &str, value: toml::Value) {
    let mut at = tree;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.insert(part.to_owned(), value);
            return;
        }
        let inner = at.entry(part).or_insert_with(|| toml::Table::new().into());
        match inner {
            toml::Value::Table(table) => at = table,
            // Only sections stand above a key.
            _ => return,
        }
    }
}

fn misfit(entry: &Entry, path: &str, message: &str) -> Problem {
    let field = keys::field(&entry.key);
    let kind = field.map_or(Kind::Text, |field| field.kind);
    let reason = match kind {
        // A rule has parts, so what is wrong with it must be told.
        Kind::Capacities | Kind::Expiries => format!("does not fit: {message}"),
        _ => "does not fit".to_owned(),
    };
    Problem {
        origin: element(entry, path).unwrap_or(&entry.origin).clone(),
        subject: show::assignment(&entry.key, kind, &entry.value),
        reason,
        expected: kind.expected(),
        remedy: remedy(&entry.key, field),
    }
}

/// Where the element of a list stands that `path` goes through.
fn element<'e>(entry: &'e Entry, path: &str) -> Option<&'e Origin> {
    let index = path.strip_prefix(&entry.key)?.strip_prefix('[')?;
    let (index, _) = index.split_once(']')?;
    entry.elements.get(index.parse::<usize>().ok()?)
}

/// What to do about a wrong value.
pub(crate) fn remedy(key: &str, field: Option<&Field>) -> String {
    let default = field.and_then(|field| show::default(key, field));
    match default {
        Some(default) => format!("correct it, or leave it out for the default, {default}"),
        None => "correct it, or leave it out".to_owned(),
    }
}

fn unowned(path: &str, message: &str) -> Problem {
    Problem {
        origin: Origin::Default,
        subject: path.to_owned(),
        reason: format!("does not fit: {message}"),
        expected: "the form that `config docs` shows".to_owned(),
        remedy: "report this as a fault of towpath".to_owned(),
    }
}
