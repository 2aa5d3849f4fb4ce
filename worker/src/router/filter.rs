//! Filters: a route may ask for more than a path or a channel.

use std::borrow::Cow;
use std::fmt;

use regex::Regex;
use towpath_layer_core::{Content, Event, EventKind, Handshake};

use super::content::any_field;

/// What a message must be like for a route to take it; `and` joins several.
///
/// ```
/// use towpath_worker::{Filter, field, header, query};
///
/// let filter: Filter = field("kind").equals("resize").and(field("size").matches(r"\d{1,3}"));
/// let mobile = header("user-agent").matches("(?i).*mobile.*");
/// let second = query("version").equals(2);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
struct Condition {
    value: Field,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Equals(String),
    Matches(String),
}

/// A value of a message that a [`Filter`] looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    source: Source,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Field,
    Header,
    Query,
}

/// A field of the message.
///
/// On a channel of the application: a top-level field of the content. Of an
/// event: `path`, `order`; at connect `scheme`, `client` (the address) and
/// `subprotocol` (any that the peer offers); of a frame `text`; of an event of
/// the application `event` (its name); at disconnect `code` and `reason`.
#[must_use]
pub fn field(name: impl Into<String>) -> Field {
    Field {
        source: Source::Field,
        name: name.into(),
    }
}

/// A header field of the handshake, `name` in lower case; if it stands there
/// several times, any of them.
#[must_use]
pub fn header(name: impl Into<String>) -> Field {
    Field {
        source: Source::Header,
        name: name.into(),
    }
}

/// A parameter of the handshake's query string; if it stands there several
/// times, any of them.
#[must_use]
pub fn query(name: impl Into<String>) -> Field {
    Field {
        source: Source::Query,
        name: name.into(),
    }
}

const ALWAYS: &[&str] = &["path", "order"];
const AT_CONNECT: &[&str] = &["scheme", "client", "subprotocol"];
const LATER: &[&str] = &["text", "event", "code", "reason"];

impl Field {
    /// The value, as text, is `value`. A message without the field is not
    /// taken.
    #[must_use]
    pub fn equals(self, value: impl fmt::Display) -> Filter {
        self.is(Test::Equals(value.to_string()))
    }

    /// The whole value, as text, matches a regular expression. A message
    /// without the field is not taken.
    #[must_use]
    pub fn matches(self, pattern: impl Into<String>) -> Filter {
        self.is(Test::Matches(pattern.into()))
    }

    fn is(self, test: Test) -> Filter {
        let condition = Condition { value: self, test };
        Filter {
            conditions: vec![condition],
        }
    }

    fn is_only_at_connect(&self) -> bool {
        self.source != Source::Field || AT_CONNECT.contains(&self.name.as_str())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::Field => "field",
            Source::Header => "header",
            Source::Query => "query",
        };
        write!(f, "{source}({:?})", self.name)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Condition { value, test } in &self.conditions {
            match test {
                Test::Equals(text) => write!(f, " if {value} equals {text:?}")?,
                Test::Matches(pattern) => write!(f, " if {value} matches {pattern:?}")?,
            }
        }
        Ok(())
    }
}

impl Filter {
    /// Asks for both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.conditions.extend(other.conditions);
        self
    }

    /// Prepares the filter of a route for events.
    pub(crate) fn compile_for_events(&self) -> Result<CompiledFilter, String> {
        for condition in &self.conditions {
            let name = condition.value.name.as_str();
            let known = [ALWAYS, AT_CONNECT, LATER].concat();
            if condition.value.source == Source::Field && !known.contains(&name) {
                return Err(format!("an event has no field {name:?}, but {known:?}"));
            }
        }
        self.compile()
    }

    /// Prepares the filter of a channel of the application.
    pub(crate) fn compile_for_content(&self) -> Result<CompiledFilter, String> {
        let handshake = |value: &Field| value.source != Source::Field;
        match self.conditions.iter().find(|one| handshake(&one.value)) {
            Some(one) => Err(format!("a channel has no handshake with a {}", one.value)),
            None => self.compile(),
        }
    }

    fn compile(&self) -> Result<CompiledFilter, String> {
        let conditions = self.conditions.iter().map(|Condition { value, test }| {
            let test = match test {
                Test::Equals(text) => CompiledTest::Equals(text.clone()),
                Test::Matches(pattern) => {
                    let regex = Regex::new(&format!("^(?:{pattern})$"));
                    CompiledTest::Matches(regex.map_err(|error| error.to_string())?)
                }
            };
            Ok((value.clone(), test))
        });
        let conditions = conditions.collect::<Result<Vec<_>, String>>()?;
        Ok(CompiledFilter { conditions })
    }
}

/// A filter that can be applied.
#[derive(Debug)]
pub(crate) struct CompiledFilter {
    conditions: Vec<(Field, CompiledTest)>,
}

#[derive(Debug)]
enum CompiledTest {
    Equals(String),
    Matches(Regex),
}

impl CompiledTest {
    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Equals(text) => text == value,
            Self::Matches(regex) => regex.is_match(value),
        }
    }
}

impl CompiledFilter {
    /// Whether it looks at what only a connect event tells.
    pub(crate) fn looks_at_handshake(&self) -> bool {
        let mut values = self.conditions.iter().map(|(value, _)| value);
        values.any(Field::is_only_at_connect)
    }

    pub(crate) fn takes_event(&self, event: &Event) -> bool {
        let mut all = self.conditions.iter();
        all.all(|(value, test)| value_of_event(value, event, &|text| test.accepts(text)))
    }

    /// Whether a later event of a conversation fits, whose connect event was
    /// taken by this filter.
    pub(crate) fn takes_later_event(&self, event: &Event) -> bool {
        let later = |value: &Field| !value.is_only_at_connect();
        let mut all = self.conditions.iter().filter(|(value, _)| later(value));
        all.all(|(value, test)| value_of_event(value, event, &|text| test.accepts(text)))
    }

    pub(crate) fn takes_content(&self, content: &Content) -> bool {
        let mut all = self.conditions.iter();
        all.all(|(value, test)| any_field(content, &value.name, &|text| test.accepts(text)))
    }
}

fn value_of_event(value: &Field, event: &Event, accepts: &dyn Fn(&str) -> bool) -> bool {
    match (value.source, value.name.as_str(), &event.kind) {
        (Source::Field, "path", _) => accepts(&event.path),
        (Source::Field, "order", _) => accepts(&event.order.to_string()),
        (_, name, EventKind::Connect(handshake)) => {
            value_of_handshake(value.source, name, handshake, accepts)
        }
        (Source::Field, "text", EventKind::Receive(towpath_layer_core::Frame::Text(text))) => {
            accepts(text)
        }
        (Source::Field, "event", EventKind::Application(event)) => accepts(&event.name),
        (Source::Field, "code", EventKind::Disconnect { code, .. }) => accepts(&code.to_string()),
        (Source::Field, "reason", EventKind::Disconnect { reason, .. }) => accepts(reason),
        _ => false,
    }
}

fn value_of_handshake(
    source: Source,
    name: &str,
    handshake: &Handshake,
    accepts: &dyn Fn(&str) -> bool,
) -> bool {
    match (source, name) {
        (Source::Header, _) => handshake
            .headers
            .iter()
            .any(|(known, value)| *known == *name && std::str::from_utf8(value).is_ok_and(accepts)),
        (Source::Query, _) => {
            let pairs: Result<Vec<(Cow<'_, str>, Cow<'_, str>)>, _> =
                serde_urlencoded::from_bytes(&handshake.query_string);
            let mut pairs = pairs.into_iter().flatten();
            pairs.any(|(known, value)| known == name && accepts(&value))
        }
        (Source::Field, "scheme") => accepts(&handshake.scheme),
        (Source::Field, "client") => {
            let client = handshake.client.as_ref();
            client.is_some_and(|(address, _)| accepts(address))
        }
        (Source::Field, "subprotocol") => {
            let mut offered = handshake.subprotocols.iter();
            offered.any(|subprotocol| accepts(subprotocol))
        }
        (Source::Field, _) => false,
    }
}
