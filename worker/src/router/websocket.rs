//! The consumers of one path.

use std::sync::Arc;

use towpath_layer_core::EventKind;

use crate::handler::{Consume, Handler, erase};
use crate::middleware::{Middleware, wrap};
use crate::place::PlaceKind;
use crate::topics::Kept;

/// The consumers of one path; see [`websocket`].
#[derive(Debug, Clone, Default)]
pub struct Websocket {
    pub(crate) connect: Option<Arc<dyn Consume>>,
    pub(crate) receive: Option<Arc<dyn Consume>>,
    pub(crate) disconnect: Option<Arc<dyn Consume>>,
    pub(crate) events: Vec<(String, Arc<dyn Consume>)>,
    pub(crate) other_events: Option<Arc<dyn Consume>>,
    /// What its topics keep, if it has some.
    pub(crate) topics: Vec<Kept>,
}

/// What can stand on a path or on a stream: a [`Websocket`], and what becomes
/// one.
#[diagnostic::on_unimplemented(
    message = "this cannot stand on a path or a stream",
    label = "no consumers of a connection",
    note = "a function does by `websocket().receive(f)`, a type by `Type::websocket()`"
)]
pub trait IntoWebsocket {
    /// As the consumers of a connection.
    fn into_websocket(self) -> Websocket;
}

#[diagnostic::do_not_recommend]
impl<T: Into<Websocket>> IntoWebsocket for T {
    fn into_websocket(self) -> Websocket {
        self.into()
    }
}

/// The consumers of one path, each of them optional:
///
/// | without | happens |
/// |---|---|
/// | `connect` | the connection is accepted |
/// | `receive` | frames are ignored, counted, and the first is warned about |
/// | `disconnect` | nothing |
/// | `on` that name | the event fails, and the connection is closed with 1011 |
///
/// ```
/// use towpath_worker::{Result, Socket, Text, websocket};
///
/// let echo = websocket().receive(async |Text(text): Text, socket: Socket| socket.text(text).await);
/// ```
#[must_use]
pub fn websocket() -> Websocket {
    Websocket::default()
}

impl Websocket {
    /// Who answers handshakes. If it returns without an error and without an
    /// answer of its own (`Socket::accept`, `Socket::deny`), the connection is
    /// accepted.
    #[must_use]
    pub fn connect<H: Handler<A>, A: 'static>(mut self, consumer: H) -> Self {
        self.connect = Some(erase(consumer));
        self
    }

    /// Who gets the frames.
    #[must_use]
    pub fn receive<H: Handler<A>, A: 'static>(mut self, consumer: H) -> Self {
        self.receive = Some(erase(consumer));
        self
    }

    /// Who is told that the connection is gone.
    #[must_use]
    pub fn disconnect<H: Handler<A>, A: 'static>(mut self, consumer: H) -> Self {
        self.disconnect = Some(erase(consumer));
        self
    }

    /// Who gets the events of the application of one name, which
    /// `Groups::send_event` and `Socket::event` send.
    #[must_use]
    pub fn on<H: Handler<A>, A: 'static>(mut self, name: &str, consumer: H) -> Self {
        self.events.push((name.to_owned(), erase(consumer)));
        self
    }

    /// Who gets the events of the application that have no consumer of their
    /// name.
    #[must_use]
    pub fn on_other<H: Handler<A>, A: 'static>(mut self, consumer: H) -> Self {
        self.other_events = Some(erase(consumer));
        self
    }

    /// Wraps every consumer so far in a tower layer: it sees each event before
    /// the consumer does, and how it ended. The connect event passes through it
    /// also where no consumer was given for it.
    ///
    /// The layer makes a [`tower::Service`] of a
    /// [`ConsumerService`](crate::ConsumerService); the outermost is the one
    /// that was added last.
    ///
    /// ```
    /// use tower::util::MapRequestLayer;
    /// use towpath_worker::{Context, Socket, Text, websocket};
    ///
    /// let echo = websocket()
    ///     .receive(async |Text(text): Text, socket: Socket| socket.text(text).await)
    ///     .middleware(MapRequestLayer::new(|context: Context| {
    ///         println!("{}", context.channel());
    ///         context
    ///     }));
    /// ```
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a layer is made where it is added"
    )]
    pub fn middleware(self, layer: impl Middleware) -> Self {
        self.wrapped(&layer)
    }

    pub(crate) fn wrapped(mut self, layer: &impl Middleware) -> Self {
        let accept = || erase(async || {});
        self.connect = Some(wrap(&self.connect.unwrap_or_else(accept), layer));
        let others = [
            &mut self.receive,
            &mut self.disconnect,
            &mut self.other_events,
        ];
        for consumer in others.into_iter().flatten() {
            *consumer = wrap(consumer, layer);
        }
        for (_, consumer) in &mut self.events {
            *consumer = wrap(consumer, layer);
        }
        self
    }

    /// Who gets an event of that kind.
    pub(crate) fn consumer(&self, kind: &EventKind) -> Option<&Arc<dyn Consume>> {
        match kind {
            EventKind::Connect(_) | EventKind::Join(_) => self.connect.as_ref(),
            EventKind::Receive(_) | EventKind::In(_) | EventKind::Out(_) => self.receive.as_ref(),
            EventKind::Disconnect { .. } => self.disconnect.as_ref(),
            EventKind::Application(event) => {
                let mut named = self.events.iter();
                let found = named.find(|(name, _)| event.name == *name);
                let found = found.map(|(_, consumer)| consumer);
                found.or(self.other_events.as_ref())
            }
        }
    }

    /// Every consumer, with what it is called for.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = (PlaceKind, &Arc<dyn Consume>)> {
        let single = [
            (PlaceKind::Connect, &self.connect),
            (PlaceKind::Receive, &self.receive),
            (PlaceKind::Disconnect, &self.disconnect),
            (PlaceKind::Application, &self.other_events),
        ];
        let single = single
            .into_iter()
            .filter_map(|(kind, consumer)| Some((kind, consumer.as_ref()?)));
        let events = self.events.iter();
        single.chain(events.map(|(_, consumer)| (PlaceKind::Application, consumer)))
    }

    /// The name of an event that has two consumers, if one has.
    pub(crate) fn repeated_event(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.events.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let mut pairs = names.windows(2);
        pairs.find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        })
    }
}
