//! Where a consumer stands, so that what cannot work there is found at start-up.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use towpath_layer_core::EventKind;

use crate::States;

/// What a consumer is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaceKind {
    /// A socket asks to be opened.
    Connect,
    /// A client asks to join a topic.
    Join,
    /// A frame arrived, or a message of a client to a topic.
    Receive,
    /// A message of a topic is on its way to a client.
    Out,
    /// An event of the application for a conversation.
    Application,
    /// A socket is gone, or a topic was left.
    Disconnect,
    /// A message on a channel of the application.
    Custom,
}

impl PlaceKind {
    pub(crate) fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::Connect(_) => Self::Connect,
            EventKind::Join(_) => Self::Join,
            EventKind::Receive(_) | EventKind::In(_) => Self::Receive,
            EventKind::Out(_) => Self::Out,
            EventKind::Application(_) => Self::Application,
            EventKind::Disconnect { .. } => Self::Disconnect,
        }
    }
}

impl fmt::Display for PlaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Join => "join",
            Self::Receive => "receive",
            Self::Out => "out",
            Self::Application => "event",
            Self::Disconnect => "disconnect",
            Self::Custom => "channel",
        })
    }
}

/// Where a consumer stands: extractors say at start-up whether they can work
/// there.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub(crate) kind: PlaceKind,
    pub(crate) params: &'a [Arc<str>],
    pub(crate) states: &'a States,
    /// Of what it is a method, if it is one.
    pub(crate) this: Option<TypeId>,
    /// Whether it stands on a stream of a demultiplexer.
    pub(crate) in_stream: bool,
}

impl Place<'_> {
    /// What the consumer is called for.
    #[must_use]
    pub fn kind(&self) -> PlaceKind {
        self.kind
    }

    /// The application's own values.
    #[must_use]
    pub fn states(&self) -> &States {
        self.states
    }

    /// Says no if the place is none of `kinds`.
    ///
    /// # Errors
    ///
    /// What `extractor` needs, as the start-up error shows it.
    pub fn require(
        &self,
        extractor: &str,
        kinds: &[PlaceKind],
        needs: &str,
    ) -> std::result::Result<(), String> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        Err(format!(
            "{} consumers cannot take {extractor}: {needs}",
            self.kind
        ))
    }
}

pub(crate) const CONVERSATION: &[PlaceKind] = &[
    PlaceKind::Connect,
    PlaceKind::Join,
    PlaceKind::Receive,
    PlaceKind::Out,
    PlaceKind::Application,
    PlaceKind::Disconnect,
];
