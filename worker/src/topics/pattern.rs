//! Which topics a consumer takes.

use super::names;

/// A topic, or the beginning of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicPattern {
    text: String,
    is_prefix: bool,
}

impl TopicPattern {
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let (text, is_prefix) = match pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (pattern, false),
        };
        if text.contains('*') {
            return Err("'*' stands for the rest of a topic, once and at its end".to_owned());
        }
        if pattern.is_empty() {
            return Err("a topic has a name".to_owned());
        }
        if !is_prefix && names::is_reserved_topic(text) {
            return Err("the topic is the protocol's own".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            is_prefix,
        })
    }

    pub(crate) fn takes(&self, topic: &str) -> bool {
        if self.is_prefix {
            topic.starts_with(&self.text)
        } else {
            topic == self.text
        }
    }

    /// Whether it takes every topic that the other takes.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.is_prefix {
            other.text.starts_with(&self.text)
        } else {
            self == other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TopicPattern {
        TopicPattern::new(text).unwrap()
    }

    #[test]
    fn a_star_stands_for_any_rest() {
        for (text, topic, takes) in [
            ("room:*", "room:1", true),
            ("room:*", "room:", true),
            ("room:*", "room", false),
            ("foo*", "food:1", true),
            ("lobby", "lobby", true),
            ("lobby", "lobby:1", false),
            ("*", "", true),
        ] {
            assert_eq!(pattern(text).takes(topic), takes, "{text} {topic}");
        }
    }

    #[test]
    fn a_star_elsewhere_an_empty_name_and_the_protocols_topic_are_refused() {
        for text in ["ping:*a", "a*b*", "**", "", "phoenix"] {
            TopicPattern::new(text).unwrap_err();
        }
    }

    #[test]
    fn a_shorter_beginning_covers_a_longer_one() {
        assert!(pattern("foo*").covers(&pattern("food*")));
        assert!(pattern("foo*").covers(&pattern("foo:1")));
        assert!(pattern("foo").covers(&pattern("foo")));
        assert!(!pattern("food*").covers(&pattern("foo*")));
        assert!(!pattern("foo").covers(&pattern("foo*")));
    }
}
