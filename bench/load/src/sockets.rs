//! The connections: how they open, what is read from them, what is written to them.

use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Registry, Token};

use crate::connection::{Connection, State};
use crate::dialect::{Incoming, Step};
use crate::error::LoadError;
use crate::generator::Counts;
use crate::latency::Latency;
use crate::shape::Shape;
use crate::target::Target;
use crate::traffic::Traffic;
use crate::visits::Visits;
use crate::wire::{self, Frame, Frames, Upgrade};

/// The read buffer, shared by all connections.
const READ_BYTES: usize = 256 * 1024;
/// Of a visitor that leaves: 1000, a normal closure.
const GOODBYE: [u8; 2] = 1000_u16.to_be_bytes();

/// A connection that goes on, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    On,
    Over,
}

#[derive(Debug)]
pub(crate) struct Sockets {
    target: Target,
    pub(crate) shape: Shape,
    /// Those that stay, then the places of visitors.
    pub(crate) connections: Vec<Connection>,
    pub(crate) open: usize,
    pub(crate) gone: usize,
    /// Why the first was refused.
    pub(crate) refused: Option<LoadError>,
    pub(crate) traffic: Traffic,
    pub(crate) handshakes: Latency,
    pub(crate) visits: Option<Visits>,
    came: u64,
    went: u64,
    reads: u64,
    buffer: Vec<u8>,
}

impl Sockets {
    pub(crate) fn new(target: Target, shape: Shape) -> Self {
        Self {
            traffic: Traffic::new(shape, target.dialect),
            target,
            shape,
            connections: Vec::with_capacity(shape.sockets),
            open: 0,
            gone: 0,
            refused: None,
            handshakes: Latency::default(),
            visits: None,
            came: 0,
            went: 0,
            reads: 0,
            buffer: vec![0; READ_BYTES],
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            open: self.open,
            sent: self.traffic.sent,
            delivered: self.traffic.delivered,
            reads: self.reads,
            came: self.came,
            went: self.went,
        }
    }

    /// Begins a connection at this place, behind the last or where one has gone.
    pub(crate) fn begin(&mut self, at: usize, registry: &Registry) -> Result<(), LoadError> {
        let connection = Connection::begin(&self.target, registry, Token(at))?;
        match self.connections.get_mut(at) {
            Some(place) => *place = connection,
            None => self.connections.push(connection),
        }
        Ok(())
    }

    /// Does what visitors have to do now, and says how long they have nothing to do.
    pub(crate) fn let_visitors_come_and_go(
        &mut self,
        now: Instant,
        registry: &Registry,
    ) -> Result<Duration, LoadError> {
        while let Some(place) = self.visits.as_mut().and_then(|it| it.comes(now)) {
            self.traffic.visitor_comes(place);
            self.begin(self.shape.sockets + place, registry)?;
        }
        while let Some(place) = self.visits.as_mut().and_then(|it| it.goes(now)) {
            let at = self.shape.sockets + place;
            let Some(connection) = self.connections.get_mut(at) else {
                continue;
            };
            connection.state = State::Leaving;
            if connection.send(wire::CLOSE, &GOODBYE).is_err() {
                self.close(at, None);
            }
        }
        Ok(self
            .visits
            .as_ref()
            .map_or(Duration::MAX, |visits| visits.wait(now)))
    }

    pub(crate) fn handle(&mut self, event: &Event) {
        let at = event.token().0;
        if event.is_writable()
            && let Err(error) = self.write(at)
        {
            self.close(at, Some(error));
        }
        let ended = event.is_read_closed() || event.is_error();
        if event.is_readable() || ended {
            self.read(at, ended);
        }
    }

    fn write(&mut self, at: usize) -> std::io::Result<()> {
        let Some(connection) = self.connections.get_mut(at) else {
            return Ok(());
        };
        match connection.state {
            State::Connecting => {
                let path = self.target.path_of(at, &room(self.shape, at));
                connection.ask(&self.target.host, &path)
            }
            State::Gone => Ok(()),
            State::Upgrading | State::Opening | State::Open | State::Leaving => connection.flush(),
        }
    }

    /// Reads until the socket is empty. Events come once for each arrival, so a read
    /// that did not fill the buffer has emptied it, unless the end is near.
    fn read(&mut self, at: usize, ended: bool) {
        loop {
            let Some(connection) = self.connections.get_mut(at) else {
                return;
            };
            if matches!(connection.state, State::Connecting | State::Gone) {
                return;
            }
            let torn = connection.torn.len();
            let (front, space) = self.buffer.split_at_mut(torn);
            front.copy_from_slice(&connection.torn);
            let taken = match connection.stream.read(space) {
                Ok(0) => return self.close(at, None),
                Ok(taken) => taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.close(at, Some(error)),
            };
            self.reads += 1;
            let emptied = taken < space.len() && !ended;
            if self.scan(at, torn + taken) == Going::Over {
                return self.close(at, None);
            }
            if emptied {
                return;
            }
        }
    }

    /// Takes the frames from the buffer's first bytes.
    fn scan(&mut self, at: usize, length: usize) -> Going {
        let Some(connection) = self.connections.get_mut(at) else {
            return Going::Over;
        };
        let buffer = std::mem::take(&mut self.buffer);
        let mut bytes = buffer.get(..length).unwrap_or_default();
        let now = Instant::now();
        let mut going = Going::On;
        if connection.state == State::Upgrading {
            match wire::upgrade(bytes) {
                Upgrade::Open(end) => {
                    connection.state = State::Opening;
                    bytes = bytes.get(end..).unwrap_or_default();
                    if let Some(text) = self.target.dialect.greeting()
                        && connection.send(wire::TEXT, text.as_bytes()).is_err()
                    {
                        going = Going::Over;
                    }
                    if self.target.dialect.opens_at_once() {
                        self.is_open(at, now);
                    }
                }
                Upgrade::Torn => {
                    bytes.clone_into(&mut connection.torn);
                    self.buffer = buffer;
                    return Going::On;
                }
                Upgrade::Refused(answer) => {
                    self.refused.get_or_insert(LoadError::Upgrade {
                        address: self.target.address,
                        path: self.target.path_of(at, &room(self.shape, at)),
                        answer,
                    });
                    going = Going::Over;
                }
            }
        }
        let mut frames = Frames::new(bytes);
        while going == Going::On {
            match frames.next() {
                Ok(Some(frame)) => going = self.take(at, &frame, now),
                Ok(None) => break,
                Err(wire::Broken) => {
                    self.traffic.wrong.malformed += 1;
                    going = Going::Over;
                }
            }
        }
        if let Some(connection) = self.connections.get_mut(at) {
            frames.rest().clone_into(&mut connection.torn);
        }
        self.buffer = buffer;
        going
    }

    #[inline]
    fn take(&mut self, at: usize, frame: &Frame<'_>, now: Instant) -> Going {
        let opening = |state: State| state == State::Opening;
        let Some(connection) = self.connections.get_mut(at) else {
            return Going::Over;
        };
        let done = match frame.opcode {
            wire::CLOSE => return Going::Over,
            wire::PING => connection.send(wire::PONG, frame.payload),
            wire::TEXT | wire::BINARY if opening(connection.state) => {
                let room = self.target.has_rooms().then(|| room(self.shape, at));
                match self.target.dialect.opening(frame.payload, room.as_deref()) {
                    Step::Wait => Ok(()),
                    Step::Send(text) => connection.send(wire::TEXT, text.as_bytes()),
                    Step::Open => {
                        self.is_open(at, now);
                        Ok(())
                    }
                    Step::Over => return Going::Over,
                }
            }
            wire::TEXT | wire::BINARY => match self.target.dialect.incoming(frame.payload) {
                Incoming::Payload(payload) => {
                    self.traffic.arrive(at, payload, now);
                    return Going::On;
                }
                Incoming::Answer(text) => connection.send(wire::TEXT, text.as_bytes()),
                Incoming::Nothing => Ok(()),
                Incoming::Over => return Going::Over,
            },
            _ => Ok(()),
        };
        if done.is_ok() { Going::On } else { Going::Over }
    }

    fn is_open(&mut self, at: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(at) else {
            return;
        };
        connection.state = State::Open;
        if let Some(place) = at.checked_sub(self.shape.sockets) {
            self.came += 1;
            if let Some(visits) = &mut self.visits {
                visits.is_open(place, now);
            }
        } else {
            self.open += 1;
            self.handshakes.record(now - connection.began);
        }
    }

    /// Sends what is due, each message in a write of its own: joined, those of a closed
    /// loop would stay together for good, and the server would have them joined for nothing.
    pub(crate) fn speak(&mut self) {
        while let Some((at, since)) = self.traffic.next_due() {
            let Some(connection) = self.connections.get_mut(at) else {
                continue;
            };
            let since = since.unwrap_or_else(Instant::now);
            let Some(frame) = self.traffic.speak(at, since) else {
                continue;
            };
            connection.unsent.extend_from_slice(frame);
            if let Err(error) = connection.flush() {
                self.close(at, Some(error));
            }
        }
    }

    fn close(&mut self, at: usize, error: Option<std::io::Error>) {
        let Some(connection) = self.connections.get_mut(at) else {
            return;
        };
        let state = std::mem::replace(&mut connection.state, State::Gone);
        if state == State::Gone {
            return;
        }
        // Shut now: the place may stay as it is for long. It fails only if it is gone.
        drop(connection.stream.shutdown(std::net::Shutdown::Both));
        if state != State::Leaving {
            self.traffic.wrong.closed += 1;
        }
        if let Some(place) = at.checked_sub(self.shape.sockets) {
            self.went += u64::from(state == State::Leaving);
            if let Some(visits) = &mut self.visits {
                visits.is_gone(place);
            }
            return;
        }
        self.gone += 1;
        self.open -= usize::from(matches!(state, State::Open | State::Leaving));
        if matches!(state, State::Connecting | State::Upgrading | State::Opening) {
            let reset = || std::io::Error::from(ErrorKind::ConnectionReset);
            self.refused.get_or_insert(LoadError::Connect {
                address: self.target.address,
                source: error.unwrap_or_else(reset),
            });
        }
    }
}

/// The name of a socket's room; visitors come to the first.
fn room(shape: Shape, at: usize) -> String {
    let number = if at < shape.sockets {
        at / shape.room
    } else {
        0
    };
    format!("r{number}")
}
