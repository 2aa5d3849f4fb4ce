//! Names and texts, written as SQL.

use crate::BindingError;

/// An identifier in quotes.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in quotes.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name of a feed: part of the names of all that is installed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedName(String);

impl FeedName {
    pub(crate) fn new(name: &str) -> Result<Self, BindingError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=20).contains(&name.len()) && name.bytes().all(fits) {
            return Ok(Self(format!("towpath_{name}")));
        }
        Err(BindingError::FeedName {
            name: name.to_owned(),
        })
    }

    /// `towpath_` and the name: it needs no quotes.
    pub(crate) fn prefix(&self) -> &str {
        &self.0
    }
}

impl Default for FeedName {
    fn default() -> Self {
        Self("towpath_binding".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_are_doubled() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn a_feed_name_needs_no_quotes() {
        for name in ["", "a-b", "A", "a\"", &"x".repeat(21)] {
            FeedName::new(name).unwrap_err();
        }
        assert_eq!(FeedName::new("shop_2").unwrap().prefix(), "towpath_shop_2");
    }
}
