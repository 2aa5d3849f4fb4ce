//! Names of channels, groups, nodes and connections.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::Entropy;

/// The longest name of a channel or group, in bytes.
pub const NAME_LEN_MAX: usize = 99;

/// What the names of topics' groups begin with.
const TOPIC_PREFIX: &str = "topic.";

/// What the names of the groups of those who are present begin with.
const PRESENCES_PREFIX: &str = "presence.";

/// What follows for long topics. No escaped byte is `_l`.
const LONG_TOPIC: &str = "_long.";

const CHARACTERS: &str = "ASCII letters, digits, '-', '_' and '.'";

/// A name that breaks the rule for names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} name {name:?} is not valid: {rule}")]
pub struct NameError {
    kind: &'static str,
    name: String,
    rule: String,
}

impl NameError {
    /// A name that is well formed but may not stand here: `rule` says what may.
    #[must_use]
    pub fn misplaced(name: &ChannelName, rule: &str) -> Self {
        Self::new("channel", name.as_str(), rule)
    }

    fn new(kind: &'static str, name: &str, rule: &str) -> Self {
        // A peer may have sent the name: what is shown of it is bounded.
        let name = name.chars().take(NAME_LEN_MAX + 1).collect();
        Self {
            kind,
            name,
            rule: rule.to_owned(),
        }
    }
}

fn push_escaped(name: &mut String, byte: u8) {
    name.push('_');
    push_hex(name, byte);
}

fn push_hex(name: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 0xf] {
        name.extend(char::from_digit(digit.into(), 16));
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn check(kind: &'static str, name: &str, plain: &[&str]) -> Result<(), NameError> {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        let rule = format!(
            "a name has 1 to {NAME_LEN_MAX} characters, this has {}",
            name.len()
        );
        return Err(NameError::new(kind, name, &rule));
    }
    for part in plain {
        if part.is_empty() || !part.bytes().all(is_name_byte) {
            let rule = format!("every part of a name is one or more of {CHARACTERS}");
            return Err(NameError::new(kind, name, &rule));
        }
    }
    Ok(())
}

/// A process that takes part in a layer.
///
/// The number is random, so that the names of a node's reply channels are
/// capabilities: who was not given one cannot guess it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u128);

impl NodeId {
    /// An identity that no other node has.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(entropy.next_u128())
    }

    /// The number itself.
    #[must_use]
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for NodeId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        parse_hex(text, 32)
            .map(Self)
            .ok_or_else(|| NameError::new("node", text, "a node is 32 lower-case hex digits"))
    }
}

/// One connection of one node; never used again for another connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalId(pub u64);

/// The bit that the ids of mailboxes have, and no others.
const MAILBOX: u64 = 1 << 63;

/// The bits that say which listener of a connection it is.
const LISTENER_SHIFT: u32 = 56;
const LISTENER: u64 = 0x7f << LISTENER_SHIFT;

impl LocalId {
    /// Listeners that a connection has at most.
    pub const LISTENERS_MAX: u8 = 0x7f;

    /// The id of a node's mailbox with that number.
    pub(crate) fn mailbox(number: u64) -> Self {
        Self(MAILBOX | number)
    }

    /// A connection's listener: as such it is in groups besides being in them as
    /// itself. What is sent to a listener reaches the connection. There are
    /// [`LISTENERS_MAX`](Self::LISTENERS_MAX); 0 is the connection itself.
    #[must_use]
    pub fn listener(self, number: u8) -> Self {
        let number = u64::from(number) << LISTENER_SHIFT;
        Self((self.0 & !LISTENER) | (number & LISTENER))
    }

    /// Which listener it is; 0 for a connection itself, and for a mailbox.
    #[must_use]
    pub fn listener_number(self) -> u8 {
        u8::try_from((self.0 & LISTENER) >> LISTENER_SHIFT).unwrap_or_default()
    }

    /// The connection whose listener it is, or itself.
    #[must_use]
    pub fn connection(self) -> Self {
        self.listener(0)
    }

    /// Whether it is a mailbox's and no socket's.
    #[must_use]
    pub fn is_mailbox(self) -> bool {
        self.0 & MAILBOX != 0
    }
}

impl fmt::Display for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for LocalId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        parse_hex(text, 16)
            .and_then(|number| u64::try_from(number).ok())
            .map(Self)
            .ok_or_else(|| NameError::new("local id", text, "a local id is 16 hex digits"))
    }
}

fn parse_hex(text: &str, digits: usize) -> Option<u128> {
    let canonical = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.bytes().all(canonical) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// What kind of channel a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// Any process may receive from it.
    Shared,
    /// One reader, anywhere (`name?random`).
    SingleReader,
    /// It belongs to one connection of one node (`reply.<node>!<id>`).
    Reply {
        /// The node that holds the connection.
        node: NodeId,
        /// The connection on that node.
        local: LocalId,
    },
}

/// The name of a channel.
///
/// ASCII letters, digits, `-`, `_`, `.`; 1 to 99 characters. A name with one
/// `?` is a single-reader channel; a name with one `!` is a reply channel,
/// which only a layer makes. Cloning is cheap.
#[derive(Clone)]
pub struct ChannelName {
    text: Arc<str>,
    kind: ChannelKind,
}

impl ChannelName {
    /// Validates a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] shows the name and the rule that it breaks.
    pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
        let name = name.as_ref();
        let kind = if let Some((node, local)) = name.split_once('!') {
            check("channel", name, &[node, local])?;
            reply_kind(node, local).ok_or_else(|| {
                let rule =
                    "a name with '!' is a reply channel, 'reply.<node>!<id>', made by a layer";
                NameError::new("channel", name, rule)
            })?
        } else if let Some((prefix, rest)) = name.split_once('?') {
            check("channel", name, &[prefix, rest])?;
            ChannelKind::SingleReader
        } else {
            check("channel", name, &[name])?;
            ChannelKind::Shared
        };
        Ok(Self {
            text: name.into(),
            kind,
        })
    }

    /// The reply channel of a connection of a node.
    #[must_use]
    pub fn reply(node: NodeId, local: LocalId) -> Self {
        let text = format!("reply.{node}!{local}").into();
        Self {
            text,
            kind: ChannelKind::Reply { node, local },
        }
    }

    /// A new single-reader channel: `prefix`, `?` and 24 random characters.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the prefix is not a name, or leaves no room.
    pub fn single_reader(prefix: &str, entropy: &dyn Entropy) -> Result<Self, NameError> {
        let random = format!("{:032x}", entropy.next_u128());
        Self::new(format!("{prefix}?{}", random.get(..24).unwrap_or(&random)))
    }

    /// The same name in memory of its own. Threads that clone and drop one name
    /// without a break hinder each other; each is better off with its own.
    #[must_use]
    pub fn unshared(&self) -> Self {
        Self {
            text: Arc::from(&*self.text),
            kind: self.kind,
        }
    }

    /// The reply channel of the same connection's
    /// [listener](LocalId::listener); any other channel as it is.
    #[must_use]
    pub fn listener(&self, number: u8) -> Self {
        match self.kind {
            ChannelKind::Reply { node, local } if local.listener_number() != number => {
                Self::reply(node, local.listener(number))
            }
            _ => self.clone(),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What kind of channel it is.
    #[must_use]
    pub fn kind(&self) -> ChannelKind {
        self.kind
    }

    /// The node and connection, if this is a reply channel.
    #[must_use]
    pub fn as_reply(&self) -> Option<(NodeId, LocalId)> {
        match self.kind {
            ChannelKind::Reply { node, local } => Some((node, local)),
            ChannelKind::Shared | ChannelKind::SingleReader => None,
        }
    }
}

fn reply_kind(node: &str, local: &str) -> Option<ChannelKind> {
    let node = node.strip_prefix("reply.")?.parse().ok()?;
    let local = local.parse().ok()?;
    Some(ChannelKind::Reply { node, local })
}

impl PartialEq for ChannelName {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ChannelName {}

impl std::hash::Hash for ChannelName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for ChannelName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ChannelName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

/// The name of a group: ASCII letters, digits, `-`, `_`, `.`; 1 to 99
/// characters. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Arc<str>);

impl GroupName {
    /// Validates a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] shows the name and the rule that it breaks.
    pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
        let name = name.as_ref();
        check("group", name, &[name])?;
        Ok(Self(name.into()))
    }

    /// The group of everybody who joined a topic. No two topics share one: this
    /// is the only place that knows how.
    ///
    /// Letters, digits, `-` and `.` stand for themselves, every other byte as
    /// `_` and two hex digits; what is too long for a name is its SHA-256.
    #[must_use]
    pub fn topic(topic: &str) -> Self {
        Self::of_topic(TOPIC_PREFIX, topic)
    }

    /// The metadata of a connection without topics that is in the group of its
    /// socket's id: no stream of a demultiplexer has such a name. It is ended by
    /// `disconnect`, and told nothing else.
    pub const SOCKET_ID_META: &'static [u8] = b"\xff";

    /// The group of everybody who is present in a topic, named alike.
    #[must_use]
    pub fn presences(topic: &str) -> Self {
        Self::of_topic(PRESENCES_PREFIX, topic)
    }

    fn of_topic(prefix: &str, topic: &str) -> Self {
        let mut name = String::from(prefix);
        for byte in topic.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') {
                name.push(char::from(byte));
            } else {
                push_escaped(&mut name, byte);
            }
        }
        if name.len() > NAME_LEN_MAX {
            name.truncate(prefix.len());
            name.push_str(LONG_TOPIC);
            for byte in Sha256::digest(topic) {
                push_hex(&mut name, byte);
            }
        }
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_form!(ChannelName);
text_form!(GroupName);

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[track_caller]
    fn refused(name: &str) {
        let shown = ChannelName::new(name).unwrap_err().to_string();
        assert!(shown.starts_with("channel name"), "{shown}");
    }

    #[test]
    fn a_name_is_ascii_anchored_at_both_ends_and_at_most_99_long() {
        for name in ["a.b-c_d", "websocket.receive", "A9", &"x".repeat(99), "a?b"] {
            assert_eq!(ChannelName::new(name).unwrap().as_str(), name);
        }
        for name in [
            "", "a b", "a/b", "a:b", "é", "!a", "?a", "a!", "a?", "a\n", "a!b", "٣",
        ] {
            refused(name);
        }
        for name in ["a!b!c", "a?b?c", "a!b?c", "a?b!c", "a?é", &"x".repeat(100)] {
            refused(name);
        }
        for name in ["a!b", "a?b", "", "a\n", &"x".repeat(100)] {
            GroupName::new(name).unwrap_err();
        }
    }

    #[test]
    fn every_topic_has_a_group_of_its_own() {
        for (topic, group) in [
            ("room:lobby", "topic.room_3alobby"),
            ("", "topic."),
            ("a-b.c_d", "topic.a-b.c_5fd"),
            ("ä", "topic._c3_a4"),
        ] {
            assert_eq!(GroupName::topic(topic).as_str(), group);
        }
        let (long, other) = ("x".repeat(94), "x".repeat(95));
        assert_eq!(
            GroupName::topic(&"x".repeat(93)).as_str().len(),
            NAME_LEN_MAX
        );
        for topic in [&long, &other] {
            let name = GroupName::topic(topic);
            assert_eq!(GroupName::new(name.as_str()).unwrap(), name);
            assert!(name.as_str().starts_with("topic._long."), "{name}");
        }
        assert_ne!(GroupName::topic(&long), GroupName::topic(&other));
        assert_ne!(GroupName::topic("long.x"), GroupName::topic(&long));
        assert_eq!(GroupName::presences("a:b").as_str(), "presence.a_3ab");
    }

    #[test]
    fn the_error_shows_the_name_and_the_rule() {
        let error = GroupName::new("chat room").unwrap_err().to_string();
        assert_eq!(
            error,
            "group name \"chat room\" is not valid: every part of a name is one or more of \
             ASCII letters, digits, '-', '_' and '.'"
        );
    }

    #[test]
    fn a_reply_channel_carries_its_node_and_connection() {
        let node = NodeId::random(&SeededEntropy::new(1));
        let name = ChannelName::reply(node, LocalId(7));
        let read = ChannelName::new(name.as_str()).unwrap();
        assert_eq!(read.as_reply(), Some((node, LocalId(7))));
        assert_eq!(read, name);
        refused(&name.as_str().to_uppercase());
    }

    #[test]
    fn a_single_reader_name_is_new_each_time() {
        let entropy = SeededEntropy::new(1);
        let one = ChannelName::single_reader("body", &entropy).unwrap();
        let two = ChannelName::single_reader("body", &entropy).unwrap();
        assert_eq!(one.kind(), ChannelKind::SingleReader);
        assert_ne!(one, two);
        ChannelName::single_reader(&"x".repeat(80), &entropy).unwrap_err();
    }
}
