//! Which topics there are: literals, and prefixes with a star (§3.1).

use bytestring::ByteString;

/// A topic, or a prefix of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: ByteString,
    is_prefix: bool,
}

/// A pattern with a star that is not its last character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the topic pattern {pattern:?} has a star that is not its last character")]
pub(crate) struct PatternError {
    /// The pattern.
    pub(crate) pattern: String,
}

impl Pattern {
    /// A literal topic, or a prefix and then `*`; `*` alone takes every topic.
    ///
    /// # Errors
    ///
    /// If a star stands elsewhere.
    pub(crate) fn new(pattern: &str) -> Result<Self, PatternError> {
        let prefix = pattern.strip_suffix('*');
        let text = prefix.unwrap_or(pattern);
        if text.contains('*') {
            let pattern = pattern.to_owned();
            return Err(PatternError { pattern });
        }
        Ok(Self {
            text: ByteString::from(text),
            is_prefix: prefix.is_some(),
        })
    }

    /// Whether the pattern takes a topic.
    pub(crate) fn takes(&self, topic: &str) -> bool {
        if self.is_prefix {
            topic.starts_with(&*self.text)
        } else {
            topic == &*self.text
        }
    }
}

/// The topics of a mount, in the order in which they were declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Routes(Vec<Pattern>);

impl Routes {
    /// Routes with these patterns.
    pub(crate) fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns)
    }

    /// The number of the first pattern that takes a topic.
    pub(crate) fn find(&self, topic: &str) -> Option<usize> {
        self.0.iter().position(|pattern| pattern.takes(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&str]) -> Routes {
        let patterns = patterns.iter().map(|pattern| Pattern::new(pattern));
        Routes::new(patterns.collect::<Result<_, _>>().unwrap())
    }

    #[test]
    fn the_first_pattern_that_takes_a_topic_wins() {
        let routes = routes(&["food*", "foo*", "room:1", "room:*"]);
        for (topic, found) in [
            ("food:1", Some(0)),
            ("foo", Some(1)),
            ("room:1", Some(2)),
            ("room:12", Some(3)),
            ("room:", Some(3)),
            ("room", None),
            ("", None),
        ] {
            assert_eq!(routes.find(topic), found, "{topic}");
        }
    }

    #[test]
    fn a_star_alone_takes_every_topic() {
        let routes = routes(&["*"]);
        assert!(routes.find("").is_some() && routes.find("a:b").is_some());
    }

    #[test]
    fn a_star_stands_only_at_the_end() {
        for pattern in ["ping:*a", "**", "*a*", "*:a"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::new("").is_ok());
    }
}
