//! Globs over names, and tables of values chosen by glob.

use serde::{Deserialize, Serialize};

/// A pattern over a whole name: `*` stands for any run of characters, every
/// other character for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// The pattern as written.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A character of the pattern that no name has, if there is one: such a
    /// pattern matches nothing.
    #[must_use]
    pub fn foreign_character(&self) -> Option<char> {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.!?*".contains(c);
        self.0.chars().find(|&c| !known(c))
    }

    /// Whether the whole of `name` fits the pattern.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// A value for every name: that of the first glob that matches, or the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobTable<T> {
    rules: Vec<(Glob, T)>,
    default: T,
}

impl<T: Copy> GlobTable<T> {
    /// The same value for every name.
    #[must_use]
    pub fn new(default: T) -> Self {
        Self {
            rules: Vec::new(),
            default,
        }
    }

    /// Adds a rule behind the ones that are there.
    #[must_use]
    pub fn rule(mut self, pattern: &str, value: T) -> Self {
        self.rules.push((Glob::new(pattern), value));
        self
    }

    /// The value for `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> T {
        let rule = self.rules.iter().find(|(glob, _)| glob.matches(name));
        rule.map_or(self.default, |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_the_whole_name() {
        for (pattern, name, fits) in [
            ("websocket.*", "websocket.receive", true),
            ("websocket.*", "websocket", false),
            ("*", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "ace", true),
            ("a*ab", "ab", false),
            ("*.make", "thumbnails.make", true),
            ("*.make", "thumbnails.maker", false),
            ("body?*", "body?abc", true),
            ("b?dy", "body", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_match_wins() {
        let table = GlobTable::new(1).rule("a.b", 2).rule("a.*", 3);
        assert_eq!(
            (table.get("a.b"), table.get("a.c"), table.get("b")),
            (2, 3, 1)
        );
    }
}
