//! What a consumer is called with, before extractors give it types.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Semaphore;
use towpath_layer_core::{
    Application, ChannelLayer, ChannelName, Content, Event, EventKind, Frame, GroupChange,
    GroupName, Handshake,
};

use crate::{Error, PlaceKind, Result, States};

/// The parameters of a path, in its order.
pub(crate) type Params = SmallVec<[(Arc<str>, ByteString); 2]>;

/// One event or message, on its way to a consumer; what extractors read.
///
/// Cloning is cheap, and all clones are the same event.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    environment: Arc<Environment>,
    params: Params,
    input: Input,
    effects: Mutex<Effects>,
}

/// What the consumers of one worker share.
pub(crate) struct Environment {
    pub(crate) layer: Arc<dyn ChannelLayer>,
    pub(crate) states: States,
    /// Bounds the blocking consumers, also those whose event was given up.
    pub(crate) blocking: Arc<Semaphore>,
}

/// What a consumer was called for.
pub(crate) enum Input {
    /// Something happened on a conversation.
    Event(Event),
    /// A message of the application.
    Custom(ChannelName, Content),
}

/// What a consumer did that its completion repeats.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// The new session, or why it cannot be kept.
    pub(crate) session: Option<Result<Bytes, String>>,
    /// Changes of the conversation's own groups; the last one of each group.
    pub(crate) groups: Vec<GroupChange>,
    /// Whether the handshake was answered.
    pub(crate) answered: bool,
}

impl Context {
    pub(crate) fn new(environment: Arc<Environment>, params: Params, input: Input) -> Self {
        Self {
            inner: Arc::new(Inner {
                environment,
                params,
                input,
                effects: Mutex::default(),
            }),
        }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    pub(crate) fn params(&self) -> &Params {
        &self.inner.params
    }

    pub(crate) fn input(&self) -> &Input {
        &self.inner.input
    }

    /// The layer on which the event came.
    #[must_use]
    pub fn layer(&self) -> &Arc<dyn ChannelLayer> {
        &self.inner.environment.layer
    }

    /// The application's own values.
    #[must_use]
    pub fn states(&self) -> &States {
        &self.inner.environment.states
    }

    /// The channel of the application on which a message came, or the shared
    /// channel of an event.
    #[must_use]
    pub fn channel(&self) -> &str {
        match self.input() {
            Input::Event(event) => event.kind.channel(),
            Input::Custom(channel, _) => channel.as_str(),
        }
    }

    /// What the consumer was called for.
    #[must_use]
    pub fn kind(&self) -> PlaceKind {
        match self.input() {
            Input::Event(event) => PlaceKind::of(&event.kind),
            Input::Custom(..) => PlaceKind::Custom,
        }
    }

    /// The event, if it is one of a conversation.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self.input() {
            Input::Event(event) => Some(event),
            Input::Custom(..) => None,
        }
    }

    /// The path parameter of that name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params().iter().find(|(known, _)| **known == *name)?;
        Some(value)
    }

    /// What is known of the handshake, at connect.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] in any other event.
    pub fn handshake(&self) -> Result<&Handshake> {
        match self.event().map(|event| &event.kind) {
            Some(EventKind::Connect(handshake)) => Ok(handshake),
            _ => Err(self.lacks("handshake")),
        }
    }

    /// The frame that arrived.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if the event is not a receive event.
    pub fn frame(&self) -> Result<&Frame> {
        match self.event().map(|event| &event.kind) {
            Some(EventKind::Receive(frame)) => Ok(frame),
            _ => Err(self.lacks("frame")),
        }
    }

    /// The content of a message or event of the application.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if there is none.
    pub fn content(&self) -> Result<&Content> {
        match self.input() {
            Input::Custom(_, content)
            | Input::Event(Event {
                kind: EventKind::Application(Application { content, .. }),
                ..
            }) => Ok(content),
            Input::Event(_) => Err(self.lacks("content")),
        }
    }

    /// The conversation's reply channel.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] for a message of the application.
    pub fn reply_channel(&self) -> Result<&ChannelName> {
        match self.event() {
            Some(event) => Ok(&event.reply_channel),
            None => Err(self.lacks("connection")),
        }
    }

    pub(crate) fn lacks(&self, what: &str) -> Error {
        Error::internal(format!("what comes on {} has no {what}", self.channel()))
    }

    pub(crate) fn keep_session(&self, session: Result<Bytes, String>) {
        self.inner.effects.lock().session = Some(session);
    }

    pub(crate) fn note_group(&self, change: GroupChange) {
        let mut effects = self.inner.effects.lock();
        let group = group_of(&change);
        effects.groups.retain(|known| group_of(known) != group);
        effects.groups.push(change);
    }

    pub(crate) fn note_answer(&self) {
        self.inner.effects.lock().answered = true;
    }

    pub(crate) fn take_effects(&self) -> Effects {
        std::mem::take(&mut self.inner.effects.lock())
    }
}

fn group_of(change: &GroupChange) -> &GroupName {
    match change {
        GroupChange::Add { group, .. } | GroupChange::Discard { group } => group,
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("channel", &self.channel())
            .finish_non_exhaustive()
    }
}
