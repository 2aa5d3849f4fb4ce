//! What a consumer is called with, before extractors give it types.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Semaphore;
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, Event, EventKind, Frame, GroupChange, Handshake, Message,
    Reply,
};

use crate::demultiplexer::wire;
use crate::effects::{Answer, Effect, Effects, Savepoint};
use crate::envelope::Envelope;
use crate::framing::Framing;
use crate::held::Held;
use crate::topics::Histories;
use crate::{Error, FromContext, PlaceKind, Result, States};

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
    /// What came beside the session.
    envelope: Envelope,
    effects: Mutex<Effects>,
    /// Of what it is a part, if it does not stand for the whole event.
    part: Option<Part>,
}

/// How a consumer sees an event that it shares with others, or a part of it.
#[derive(Clone)]
struct Part {
    whole: Context,
    framing: Framing,
    this: Option<Arc<dyn Any + Send + Sync>>,
    /// Whether what goes to the connection waits for the consumer's end.
    holds: bool,
}

/// What the consumers of one worker share.
pub(crate) struct Environment {
    pub(crate) layer: Arc<dyn ChannelLayer>,
    pub(crate) states: States,
    /// Which topics keep a history.
    pub(crate) histories: Histories,
    /// Bounds the blocking consumers, also those whose event was given up.
    pub(crate) blocking: Arc<Semaphore>,
}

/// What a consumer was called for.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// Something happened on a conversation.
    Event(Event),
    /// A message of the application.
    Custom(ChannelName, Content),
}

impl Inner {
    fn check_session(&self, effects: &Effects) -> Result {
        let Input::Event(event) = &self.input else {
            return Ok(());
        };
        let own = match &effects.session {
            Some(Err(reason)) => return Err(Error::internal(reason.clone())),
            Some(Ok(session)) => session,
            None => &event.session,
        };
        let size_max = self.environment.layer.limits().session_size_max;
        let kept = effects.kept(self.envelope.clone());
        kept.check_size(own, size_max).map_err(Error::internal)
    }
}

impl Context {
    pub(crate) fn new(
        environment: Arc<Environment>,
        params: Params,
        input: Input,
        envelope: Envelope,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                environment,
                params,
                input,
                envelope,
                effects: Mutex::default(),
                part: None,
            }),
        }
    }

    /// The same event as a consumer inside of another sees it.
    fn part(&self, input: Input, change: impl FnOnce(&mut Part)) -> Self {
        let mut part = self.inner.part.clone().unwrap_or_else(|| Part {
            whole: self.clone(),
            framing: Framing::default(),
            this: None,
            holds: false,
        });
        change(&mut part);
        Self {
            inner: Arc::new(Inner {
                environment: Arc::clone(&self.inner.environment),
                params: self.inner.params.clone(),
                input,
                envelope: Envelope::default(),
                effects: Mutex::default(),
                part: Some(part),
            }),
        }
    }

    /// For a consumer of one stream of a demultiplexer: the event as that
    /// stream sees it.
    pub(crate) fn stream(&self, framing: &Framing, event: Event) -> Self {
        self.part(Input::Event(event), |part| part.framing = framing.clone())
    }

    /// For a method of a value.
    pub(crate) fn with_this(&self, this: Arc<dyn Any + Send + Sync>) -> Self {
        self.part(self.inner.input.clone(), |part| part.this = Some(this))
    }

    /// For a consumer whose writes wait until it has returned.
    pub(crate) fn holding(&self) -> Self {
        self.part(self.inner.input.clone(), |part| part.holds = true)
    }

    fn whole(&self) -> &Inner {
        match &self.inner.part {
            Some(part) => &part.whole.inner,
            None => &self.inner,
        }
    }

    pub(crate) fn this(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.inner.part.as_ref()?.this.as_ref()
    }

    pub(crate) fn framing(&self) -> Framing {
        let part = self.inner.part.as_ref();
        part.map(|part| part.framing.clone()).unwrap_or_default()
    }

    pub(crate) fn holds(&self) -> bool {
        self.inner.part.as_ref().is_some_and(|part| part.holds)
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

    /// The layer on which the event came. What is asked of it may overtake what
    /// the consumer wrote last to its own connection; [`Layer`](crate::Layer)
    /// and [`Groups`](crate::Groups) keep the order.
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
            Input::Custom(_, content) => Ok(content),
            Input::Event(event) => match &event.kind {
                EventKind::Application(event) => Ok(&event.content),
                _ => Err(self.lacks("content")),
            },
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

    /// What an extractor makes of the event.
    ///
    /// # Errors
    ///
    /// Those of the extractor.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing from the event.
    pub async fn extract<E: FromContext>(&self) -> Result<E> {
        E::from_context(self).await
    }

    /// The conversation's session, or the stream's, as the last event or who
    /// ran before in this one left it.
    pub(crate) fn session(&self) -> Option<Bytes> {
        let event = self.event()?;
        if let Some(stream) = &self.framing().stream {
            return Some(self.slot(&wire::slot(stream)));
        }
        match &self.whole().effects.lock().session {
            Some(Ok(kept)) => Some(kept.clone()),
            Some(Err(_)) | None => Some(event.session.clone()),
        }
    }

    pub(crate) fn keep_session(&self, session: Result<Bytes, String>) {
        let mut effects = self.whole().effects.lock();
        match (self.framing().stream, session) {
            (Some(stream), Ok(session)) => effects.keep_slot(&wire::slot(&stream), session),
            (_, session) => effects.session = Some(session),
        }
    }

    /// What travels with the conversation under a name, beside its session:
    /// where middleware keeps what it has to know of a connection. Empty if
    /// nothing was kept.
    #[must_use]
    pub fn slot(&self, name: &str) -> Bytes {
        let whole = self.whole();
        let kept = whole.effects.lock().slot(name);
        kept.unwrap_or_else(|| whole.envelope.slot(name))
    }

    /// Keeps a state under a name from this event on, unless the event fails or
    /// is refused; the failure of one stream of a demultiplexer does not undo
    /// it. It counts to the size of the session; an empty one takes no room.
    /// Names that begin with `stream:` are the demultiplexer's.
    pub fn keep_slot(&self, name: &str, state: Bytes) {
        self.whole().effects.lock().keep_slot(name, state);
    }

    pub(crate) fn with_held<R>(&self, change: impl FnOnce(&mut Held) -> R) -> R {
        change(&mut self.whole().effects.lock().held)
    }

    /// Whether anything else than the job still has the event: a task that the
    /// consumer has started, for one.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.inner) > 1
    }

    pub(crate) fn note_group(&self, change: GroupChange) {
        self.whole().effects.lock().note_group(change);
    }

    pub(crate) fn note_answer(&self, answer: Option<Answer>, waits: bool) {
        self.whole().effects.lock().note_answer(answer, waits);
    }

    pub(crate) fn answer(&self) -> Option<Answer> {
        self.whole().effects.lock().answer
    }

    /// Accepts the handshake with that subprotocol, if nobody names another.
    #[cfg(feature = "tokens")]
    pub(crate) fn prefer_subprotocol(&self, subprotocol: &'static str) {
        let accept = &mut self.whole().effects.lock().accept;
        let preferred = || ByteString::from_static(subprotocol);
        accept.subprotocol.get_or_insert_with(preferred);
    }

    /// Accepts the handshake with a header field more.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if there is no handshake, or it is answered.
    pub(crate) fn add_accept_header(&self, name: &'static str, value: Bytes) -> Result {
        self.handshake()?;
        let effects = &mut *self.whole().effects.lock();
        if effects.answer.is_some() {
            let reason = "the handshake is answered; what goes along is added before";
            return Err(Error::internal(reason));
        }
        let field = (ByteString::from_static(name), value);
        effects.accept.headers.push(field);
        Ok(())
    }

    /// Whether a reply means something to the conversation: a topic's has
    /// messages, and no frames and no handshake.
    pub(crate) fn check_reply(&self, reply: &Reply) -> Result {
        let is_socket = reply.frame.is_some() || reply.accept.is_some() || reply.deny.is_some();
        let topic = self.event().and_then(|event| event.topic.as_deref());
        match topic.filter(|_| is_socket) {
            Some(topic) => Err(Error::internal(format!(
                "the client of the topic {topic:?} is told by Topic::push, not by frames"
            ))),
            None => Ok(()),
        }
    }

    /// Completes the reply that accepts the handshake.
    pub(crate) fn complete_accept(&self, reply: &mut Reply) {
        if self.kind() == PlaceKind::Connect {
            self.whole().effects.lock().complete_accept(reply);
        }
    }

    /// Whether it is an event of one topic of a socket.
    pub(crate) fn in_topic(&self) -> bool {
        self.event().is_some_and(|event| event.topic.is_some())
    }

    /// Whether it is an event of one stream of a demultiplexer.
    #[cfg(feature = "tokens")]
    pub(crate) fn in_stream(&self) -> bool {
        self.framing().stream.is_some()
    }

    pub(crate) fn take_answer(&self) -> Option<Answer> {
        self.whole().effects.lock().answer.take()
    }

    /// Puts an effect among those that go out when the consumer has returned.
    pub(crate) fn put(&self, effect: Effect) -> Result {
        self.whole().effects.lock().put(effect)
    }

    /// Puts a reply to the conversation among them.
    pub(crate) fn put_reply(&self, mut reply: Reply) -> Result {
        self.check_reply(&reply)?;
        self.complete_accept(&mut reply);
        let answer = Answer::of(&reply);
        let channel = self.reply_channel()?.clone();
        self.put(Effect::Send(channel, Message::Reply(reply)))?;
        self.note_answer(answer, true);
        Ok(())
    }

    /// Where the consumer of a stream begins.
    pub(crate) fn savepoint(&self, stream: &str) -> Savepoint {
        let slot = wire::slot(stream);
        self.whole().effects.lock().savepoint(slot)
    }

    pub(crate) fn roll_back(&self, to: Savepoint) {
        self.whole().effects.lock().roll_back(to);
    }

    /// Drops what was put before then.
    pub(crate) fn keep_outbox_since(&self, since: &Savepoint) {
        let effects = &mut *self.whole().effects.lock();
        effects.outbox = effects.take_outbox_since(since);
    }

    /// What the consumer of a stream left since then, taken to be sent, if its
    /// session can travel.
    pub(crate) fn take_stream_outbox(&self, since: &Savepoint) -> Result<Vec<Effect>> {
        let whole = self.whole();
        let effects = &mut *whole.effects.lock();
        whole.check_session(effects)?;
        Ok(effects.take_outbox_since(since))
    }

    /// Whether the session can travel as it is kept by now.
    pub(crate) fn check_session(&self) -> Result {
        let whole = self.whole();
        whole.check_session(&whole.effects.lock())
    }

    /// What is still to be sent of a consumer that has returned.
    pub(crate) fn take_outbox(&self) -> Vec<Effect> {
        std::mem::take(&mut self.whole().effects.lock().outbox)
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.whole().envelope
    }

    pub(crate) fn take_effects(&self) -> Effects {
        std::mem::take(&mut self.whole().effects.lock())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("channel", &self.channel())
            .finish_non_exhaustive()
    }
}
