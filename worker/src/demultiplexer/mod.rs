//! Several streams over one WebSocket, each with its own consumers and session.

mod run;
pub(crate) mod wire;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytestring::ByteString;
use towpath_layer_core::LocalId;

use crate::framing::Framing;
use crate::meter::Meter;
use crate::router::{IntoWebsocket, Websocket};
use crate::topics::Kept;
use crate::{Place, PlaceKind};

/// Several streams over one WebSocket; see [`demultiplexer`].
#[derive(Debug, Clone, Default)]
pub struct Demultiplexer {
    streams: Vec<(ByteString, Websocket)>,
}

/// Several streams over one WebSocket that carries JSON:
/// `{"stream": "chat", "payload": …}` in both directions.
///
/// Each stream has consumers of its own, and a session of its own; together
/// they are bounded as one session is. What a stream's consumer sends as text
/// or JSON is wrapped by itself, to its own connection and to groups; the
/// members of such a group have that stream, too. A text is a JSON string, in
/// both directions.
///
/// | what happens | who hears of it |
/// |---|---|
/// | connect | all streams, in their order; the first that refuses refuses the connection |
/// | a frame | the stream that it names |
/// | an event that a stream's consumer sent to itself, a tick | that stream |
/// | another event of the application | every stream that has a consumer of that name; a type that does not know it leaves it to the others |
/// | disconnect | all streams |
///
/// What streams write or put into their outbox at connect goes out once all have
/// agreed, and not at all if one refuses; those before it are not told. Groups
/// that they joined are left with the connection.
///
/// A frame that names no stream or an unknown one, a payload that does not fit,
/// and a consumer that rejects or fails are answered with an error frame, and
/// the connection lives: `{"stream": "chat", "error": {"code": …, "reason": …}}`,
/// with the code `malformed`, `unknown_stream`, `not_taken`, `bad_payload`,
/// `rejected` or `failed`. The session of that stream is then as it was, and
/// its outbox is not sent.
///
/// Three errors of a stream's consumer concern all streams: `Error::close` ends
/// the connection; `Error::retry`, and a layer out of reach, give back the whole
/// event, with all sessions as they were.
///
/// ```
/// use towpath_worker::{Json, Result, Router, Session, Socket, demultiplexer, websocket};
///
/// async fn count(Json(by): Json<u32>, mut sum: Session<u32>, socket: Socket) -> Result {
///     *sum += by;
///     socket.json(&*sum).await
/// }
///
/// let streams = demultiplexer()
///     .stream("up", websocket().receive(count))
///     .stream("also-up", websocket().receive(count));
/// let router = Router::new().route("/counters", streams);
/// ```
#[must_use]
pub fn demultiplexer() -> Demultiplexer {
    Demultiplexer::default()
}

impl Demultiplexer {
    /// Adds a stream.
    #[must_use]
    pub fn stream(mut self, name: impl Into<ByteString>, consumers: impl IntoWebsocket) -> Self {
        self.streams.push((name.into(), consumers.into_websocket()));
        self
    }
}

/// The streams of a route.
struct Streams {
    streams: Vec<Stream>,
}

struct Stream {
    name: ByteString,
    number: u8,
    consumers: Websocket,
    meter: OnceLock<Meter>,
}

impl Stream {
    fn framing(&self) -> Framing {
        Framing {
            stream: Some(self.name.clone()),
            number: self.number,
        }
    }

    /// Looked up at the first event: routes are written down before anything
    /// listens to what is measured.
    fn meter(&self) -> &Meter {
        self.meter
            .get_or_init(|| Meter::new(&format!("stream {}", self.name)))
    }
}

impl From<Demultiplexer> for Websocket {
    fn from(demultiplexer: Demultiplexer) -> Self {
        // Those beyond are refused at start.
        let numbers = (1..=u8::MAX).chain(std::iter::repeat(u8::MAX));
        let streams = demultiplexer.streams.into_iter().zip(numbers);
        let streams = streams.map(|((name, consumers), number)| Stream {
            name,
            number,
            consumers,
            meter: OnceLock::new(),
        });
        run::websocket(&Arc::new(Streams {
            streams: streams.collect(),
        }))
    }
}

impl Streams {
    fn find(&self, name: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.name == *name)
    }

    /// Whether all streams can work at that place, and as streams.
    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        // There always is a connect consumer: what concerns all is said there,
        // once.
        let says_all = place.kind() == PlaceKind::Connect;
        if place.in_stream {
            let nested = "a demultiplexer cannot be a stream of another";
            return if says_all {
                Err(nested.to_owned())
            } else {
                Ok(())
            };
        }
        let place = Place {
            in_stream: true,
            ..*place
        };
        for (position, stream) in self.streams.iter().enumerate() {
            let fail = |reason: String| format!("stream {:?}: {reason}", &*stream.name);
            if says_all {
                self.check_names(position, stream).map_err(fail)?;
            }
            for (kind, consumer) in stream.consumers.consumers() {
                if kind == place.kind() {
                    consumer.check(&place).map_err(fail)?;
                }
            }
        }
        Ok(())
    }

    fn check_names(&self, position: usize, stream: &Stream) -> Result<(), String> {
        if stream.number > LocalId::LISTENERS_MAX {
            let max = LocalId::LISTENERS_MAX;
            return Err(format!("a demultiplexer has {max} streams at most"));
        }
        let mut before = self.streams.iter().take(position);
        if before.any(|other| other.name == stream.name) {
            return Err("there are two of that name".to_owned());
        }
        match stream.consumers.repeated_event() {
            Some(name) => Err(format!("the event {name:?} has two consumers")),
            None => Ok(()),
        }
    }

    /// What the topics of all streams keep.
    fn topics(&self) -> Vec<Kept> {
        let topics = self
            .streams
            .iter()
            .flat_map(|one| one.consumers.topics.iter());
        topics.cloned().collect()
    }

    fn has(&self, kind: PlaceKind) -> bool {
        let mut consumers = self
            .streams
            .iter()
            .flat_map(|one| one.consumers.consumers());
        consumers.any(|(known, _)| known == kind)
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.streams.iter().map(|stream| &*stream.name);
        f.debug_list().entries(names).finish()
    }
}
