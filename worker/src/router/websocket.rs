//! The consumers of one path.

use std::sync::Arc;

use crate::handler::{Consumer, Handler, erase};
use crate::place::PlaceKind;

/// The consumers of one path; see [`websocket`].
#[derive(Debug, Clone, Default)]
pub struct Websocket {
    pub(super) connect: Option<Arc<dyn Consumer>>,
    pub(super) receive: Option<Arc<dyn Consumer>>,
    pub(super) disconnect: Option<Arc<dyn Consumer>>,
    pub(super) events: Vec<(String, Arc<dyn Consumer>)>,
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

    /// Every consumer, with what it is called for.
    pub(super) fn consumers(&self) -> impl Iterator<Item = (PlaceKind, &Arc<dyn Consumer>)> {
        let single = [
            (PlaceKind::Connect, &self.connect),
            (PlaceKind::Receive, &self.receive),
            (PlaceKind::Disconnect, &self.disconnect),
        ];
        let single = single
            .into_iter()
            .filter_map(|(kind, consumer)| Some((kind, consumer.as_ref()?)));
        let events = self.events.iter();
        single.chain(events.map(|(_, consumer)| (PlaceKind::Application, consumer)))
    }
}
