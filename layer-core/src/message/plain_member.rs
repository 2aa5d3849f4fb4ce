//! What the membership of a plain WebSocket in a topic's group says.

use bytes::Bytes;
use bytestring::ByteString;

/// What stands between the stream and the events.
const SEPARATOR: char = '\0';

/// A plain WebSocket that is in a topic's group, as the metadata of its
/// membership has it: the node frames what it is told as its stream, and hands
/// events that are intercepted to its consumer. A
/// [listener](crate::LocalId::listener)'s peer is told nothing: its consumer,
/// that of the stream, hears of the broadcasts.
///
/// ```
/// use towpath_layer_core::PlainMember;
///
/// let member = PlainMember {
///     stream: "news".into(),
///     intercepts: vec!["secret".into()],
/// };
/// let meta = member.to_text().into_bytes();
/// assert_eq!(PlainMember::of(&meta), member);
///
/// let bare = PlainMember::of(&b"news"[..].into());
/// assert!(bare.intercepts.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlainMember {
    /// The stream of its demultiplexer; empty without one.
    pub stream: ByteString,
    /// The events of broadcasts that its consumer sees first.
    pub intercepts: Vec<ByteString>,
}

impl PlainMember {
    /// The metadata; none is larger than what it is made of and a byte an event.
    #[must_use]
    pub fn to_text(&self) -> ByteString {
        let mut text = String::from(&*self.stream);
        for event in &self.intercepts {
            text.push(SEPARATOR);
            text.push_str(event);
        }
        text.into()
    }

    /// Reads metadata. What is no UTF-8 says nothing.
    #[must_use]
    pub fn of(meta: &Bytes) -> Self {
        let Ok(text) = ByteString::try_from(meta.clone()) else {
            return Self::default();
        };
        let mut parts = text.split(SEPARATOR).map(|part| text.slice_ref(part));
        Self {
            stream: parts.next().unwrap_or_default(),
            intercepts: parts.collect(),
        }
    }
}
