//! Joins of topics, in the frames of version 2 of the Phoenix protocol.

use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::connection::{Connection, State};
use crate::error::LoadError;
use crate::target::Target;
use crate::wire::{self, Frames, Upgrade};

/// Handshakes on their way at once, well below any server's backlog.
const OPENING_MAX: usize = 64;
/// All sockets must be open, and all joins answered, within this.
const WAIT: Duration = Duration::from_mins(1);
const EVENTS_MAX: usize = 1024;
const TURN_MAX: Duration = Duration::from_millis(50);
const READ_BYTES: usize = 256 * 1024;
/// How the answer to a join that was let in ends.
const OK: &[u8] = br#""phx_reply",{"status":"ok","response":{}}]"#;

/// How many join what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joins {
    /// Sockets that are opened.
    pub sockets: usize,
    /// Topics that each of them joins.
    pub topics: usize,
    /// Whether all sockets join the same topics; else no two join the same.
    pub shared: bool,
    /// Joins on their way at once, over all sockets.
    pub ahead: usize,
}

impl Joins {
    /// How many joins there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sockets * self.topics
    }

    /// The `join`th: those of a socket follow each other.
    fn frame(&self, join: usize) -> (usize, String) {
        let number = if self.shared {
            join % self.topics
        } else {
            join
        };
        let reference = join % self.topics + 1;
        let frame = format!(r#"["{reference}","{reference}","bench:{number}","phx_join",{{}}]"#);
        (join / self.topics, frame)
    }
}

/// Opens sockets, and joins. One thread's work; nothing happens between the calls.
#[derive(Debug)]
pub struct Joiner {
    target: Target,
    joins: Joins,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    open: usize,
    asked: usize,
    joined: usize,
    refused: usize,
}

impl Joiner {
    /// One that has not opened anything yet.
    ///
    /// # Errors
    ///
    /// [`LoadError::Files`] if the limit on open files is too low; it is raised as far as
    /// it goes. [`LoadError::System`] if the system has no epoll left.
    pub fn new(target: Target, joins: Joins) -> Result<Self, LoadError> {
        crate::raise_file_limit(joins.sockets)?;
        Ok(Self {
            target,
            joins,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            connections: Vec::with_capacity(joins.sockets),
            buffer: vec![0; READ_BYTES],
            open: 0,
            asked: 0,
            joined: 0,
            refused: 0,
        })
    }

    /// Opens every socket, 64 at once.
    ///
    /// # Errors
    ///
    /// [`LoadError::Connect`] or [`LoadError::Upgrade`] if one of them is not let in,
    /// [`LoadError::Slow`] after a minute.
    pub fn open(&mut self) -> Result<(), LoadError> {
        let wanted = self.joins.sockets;
        let deadline = Instant::now() + WAIT;
        while self.open < wanted {
            for at in self.connections.len()..wanted.min(self.open + OPENING_MAX) {
                let connection = Connection::begin(&self.target, self.poll.registry(), Token(at))?;
                self.connections.push(connection);
            }
            self.turn(deadline, self.open, wanted)?;
        }
        Ok(())
    }

    /// Joins every topic, and returns how many of the joins were not let in.
    ///
    /// # Errors
    ///
    /// [`LoadError::Connect`] if a socket is closed, [`LoadError::Slow`] if not all is
    /// answered after a minute.
    pub fn join(&mut self) -> Result<usize, LoadError> {
        let wanted = self.joins.count();
        let deadline = Instant::now() + WAIT;
        loop {
            let answered = self.joined + self.refused;
            if answered == wanted {
                return Ok(self.refused);
            }
            self.ask(wanted.min(answered + self.joins.ahead.max(1)))?;
            self.turn(deadline, answered, wanted)?;
        }
    }

    /// Lets the sockets alone for a while, but for the pings of the server.
    ///
    /// # Errors
    ///
    /// [`LoadError::Connect`] if a socket is closed.
    pub fn rest(&mut self, time: Duration) -> Result<(), LoadError> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(until + WAIT, 0, 0)?;
        }
        Ok(())
    }

    /// Sends joins until so many are sent; those of a socket leave in one write.
    fn ask(&mut self, until: usize) -> Result<(), LoadError> {
        while self.asked < until {
            let (at, frame) = self.joins.frame(self.asked);
            let Some(connection) = self.connections.get_mut(at) else {
                break;
            };
            let bytes = wire::client_frame(wire::TEXT, frame.as_bytes());
            connection.unsent.extend(bytes);
            self.asked += 1;
            let last = self.asked == until || self.asked.is_multiple_of(self.joins.topics);
            if last {
                connection.flush().map_err(lost(&self.target))?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, deadline: Instant, done: usize, wanted: usize) -> Result<(), LoadError> {
        if Instant::now() > deadline {
            return Err(LoadError::Slow {
                opened: done,
                wanted,
                wait: WAIT,
            });
        }
        match self.poll.poll(&mut self.events, Some(TURN_MAX)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let handled = events.iter().try_for_each(|event| self.handle(event));
        self.events = events;
        handled
    }

    fn handle(&mut self, event: &Event) -> Result<(), LoadError> {
        let at = event.token().0;
        let Some(connection) = self.connections.get_mut(at) else {
            return Ok(());
        };
        if event.is_writable() {
            let written = match connection.state {
                State::Connecting => {
                    let path = self.target.path_of(at, "");
                    connection.ask(&self.target.host, &path)
                }
                _ => connection.flush(),
            };
            written.map_err(lost(&self.target))?;
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            return self.read(at);
        }
        Ok(())
    }

    /// Reads until the socket is empty.
    fn read(&mut self, at: usize) -> Result<(), LoadError> {
        loop {
            let Some(connection) = self.connections.get_mut(at) else {
                return Ok(());
            };
            let torn = connection.torn.len();
            let (front, space) = self.buffer.split_at_mut(torn);
            front.copy_from_slice(&connection.torn);
            let room = space.len();
            let taken = match connection.stream.read(space) {
                Ok(0) => Err(ErrorKind::ConnectionReset.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                read => read,
            };
            let taken = taken.map_err(lost(&self.target))?;
            self.scan(at, torn + taken)?;
            if taken < room {
                return Ok(());
            }
        }
    }

    /// Takes what is whole from the buffer's first bytes.
    fn scan(&mut self, at: usize, length: usize) -> Result<(), LoadError> {
        let Some(connection) = self.connections.get_mut(at) else {
            return Ok(());
        };
        let mut bytes = self.buffer.get(..length).unwrap_or_default();
        if connection.state == State::Upgrading {
            match wire::upgrade(bytes) {
                Upgrade::Open(end) => {
                    connection.state = State::Open;
                    self.open += 1;
                    bytes = bytes.get(end..).unwrap_or_default();
                }
                Upgrade::Torn => {
                    bytes.clone_into(&mut connection.torn);
                    return Ok(());
                }
                Upgrade::Refused(answer) => {
                    return Err(LoadError::Upgrade {
                        address: self.target.address,
                        path: self.target.path_of(at, ""),
                        answer,
                    });
                }
            }
        }
        let mut frames = Frames::new(bytes);
        let broken = |_: wire::Broken| lost(&self.target)(ErrorKind::InvalidData.into());
        while let Some(frame) = frames.next().map_err(broken)? {
            match frame.opcode {
                wire::TEXT if frame.payload.ends_with(OK) => self.joined += 1,
                wire::TEXT => self.refused += 1,
                wire::PING => connection
                    .send(wire::PONG, frame.payload)
                    .map_err(lost(&self.target))?,
                wire::CLOSE => return Err(lost(&self.target)(ErrorKind::ConnectionReset.into())),
                _ => {}
            }
        }
        frames.rest().clone_into(&mut connection.torn);
        Ok(())
    }
}

fn lost(target: &Target) -> impl Fn(std::io::Error) -> LoadError {
    let address = target.address;
    move |source| LoadError::Connect { address, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(shared: bool) -> Vec<(usize, String)> {
        let joins = Joins {
            sockets: 2,
            topics: 2,
            shared,
            ahead: 1,
        };
        (0..joins.count()).map(|join| joins.frame(join)).collect()
    }

    #[test]
    fn each_socket_joins_topics_of_its_own_or_those_of_all() {
        let joined = |topics: [&str; 4]| -> Vec<(usize, String)> {
            let frame = |(join, topic): (usize, &str)| {
                let reference = join % 2 + 1;
                let frame = format!(r#"["{reference}","{reference}","{topic}","phx_join",{{}}]"#);
                (join / 2, frame)
            };
            topics.into_iter().enumerate().map(frame).collect()
        };
        let own = ["bench:0", "bench:1", "bench:2", "bench:3"];
        assert_eq!(frames(false), joined(own));
        let shared = ["bench:0", "bench:1", "bench:0", "bench:1"];
        assert_eq!(frames(true), joined(shared));
    }
}
