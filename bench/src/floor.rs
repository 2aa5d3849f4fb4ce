//! The write floor: what the kernel charges, and next to nothing else.
//!
//! One thread, one epoll, a message framed once. Plain: one `write` a delivery. With
//! `--coalesce`: what arrived in one turn of the loop leaves in one `write` a member.
//! It has none of what a server needs besides: no limits by peer, no timers, no layer.

mod frames;

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use anyhow::Context as _;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use self::frames::{Head, Next};

/// The read buffer of the loop, shared by all connections.
const READ_BYTES: usize = 256 * 1024;
/// A connection that lets more than this wait is closed.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A room's turn is written early when it is this long.
const TURN_BYTES_MAX: usize = 64 * 1024;
const EVENTS_MAX: usize = 1024;
const LISTENER: Token = Token(usize::MAX);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Write what arrived in one turn of the loop at once, instead of each message.
    #[arg(long)]
    coalesce: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(options.listen).context("cannot listen")?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut buffer = vec![0; READ_BYTES];
    let mut floor = Floor {
        coalesce: options.coalesce,
        ..Floor::default()
    };
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            if event.token() == LISTENER {
                floor.accept(&listener, &poll)?;
            } else {
                floor.handle(event, &mut buffer);
            }
        }
        floor.end_turn();
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Whom its frames go to; `None` until it is upgraded.
    room: Option<usize>,
    /// Its place among the members.
    slot: usize,
    torn: Vec<u8>,
    /// What the kernel has not taken.
    pending: Vec<u8>,
}

impl Connection {
    /// Writes, or keeps what cannot be written; false if the connection is over.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        if self.pending.is_empty() {
            match self.stream.write(bytes) {
                Ok(taken) => rest = bytes.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        self.pending.extend_from_slice(rest);
        self.pending.len() <= PENDING_BYTES_MAX
    }

    fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(taken) => drop(self.pending.drain(..taken)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        self.pending = Vec::new();
        true
    }
}

/// Connections that hear the same. An echo is a room of one.
#[derive(Debug, Default)]
struct Room {
    /// Its path, unless it is an echo.
    name: Option<String>,
    members: Vec<usize>,
    /// What arrived in this turn, framed.
    turn: Vec<u8>,
}

#[derive(Debug, Default)]
struct Floor {
    coalesce: bool,
    connections: Slab<Connection>,
    rooms: Slab<Room>,
    names: HashMap<String, usize>,
    /// Rooms with something in their turn.
    dirty: Vec<usize>,
    /// Connections that cannot be written to any more.
    dead: Vec<usize>,
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> anyhow::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error).context("cannot accept"),
            };
            // Without it a connection is still served, only slower.
            drop(stream.set_nodelay(true));
            let entry = self.connections.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut stream, Token(entry.key()), interest)?;
            entry.insert(Connection {
                stream,
                room: None,
                slot: 0,
                torn: Vec::new(),
                pending: Vec::new(),
            });
        }
    }

    fn handle(&mut self, event: &Event, buffer: &mut [u8]) {
        let at = event.token().0;
        let Some(connection) = self.connections.get_mut(at) else {
            return;
        };
        let ended = event.is_read_closed() || event.is_error();
        let open = (!event.is_writable() || connection.flush())
            && (!(event.is_readable() || ended) || self.read(at, ended, buffer));
        if !open {
            self.dead.push(at);
        }
    }

    /// Reads until the socket is empty. Events come once for each arrival, so a read
    /// that did not fill the buffer has emptied it, unless the end is near.
    fn read(&mut self, at: usize, ended: bool, buffer: &mut [u8]) -> bool {
        loop {
            let Some(connection) = self.connections.get_mut(at) else {
                return false;
            };
            let torn = connection.torn.len();
            let (front, space) = buffer.split_at_mut(torn);
            front.copy_from_slice(&connection.torn);
            let taken = match connection.stream.read(space) {
                Ok(0) => return false,
                Ok(taken) => taken,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            let emptied = taken < space.len() && !ended;
            let bytes = buffer.get_mut(..torn + taken).unwrap_or_default();
            let Some(rest) = self.take(at, bytes) else {
                return false;
            };
            if let Some(connection) = self.connections.get_mut(at) {
                rest.clone_into(&mut connection.torn);
            }
            if emptied {
                return true;
            }
        }
    }

    /// Takes what is whole and returns the rest; `None` if the connection is over.
    fn take<'a>(&mut self, at: usize, mut bytes: &'a mut [u8]) -> Option<&'a [u8]> {
        if self.connections.get(at)?.room.is_none() {
            let (path, answer, end) = match frames::head(bytes) {
                Head::Torn => return Some(bytes),
                Head::Wrong => return None,
                Head::Upgrade { path, answer, end } => (path.to_owned(), answer, end),
            };
            self.enter(at, &path)?;
            bytes = bytes.get_mut(end..)?;
            if !self.connections.get_mut(at)?.send(answer.as_bytes()) {
                return None;
            }
        }
        loop {
            match frames::next(bytes) {
                Next::Torn if bytes.len() > frames::PAYLOAD_BYTES_MAX + 14 => return None,
                Next::Torn => return Some(bytes),
                Next::Wrong => return None,
                Next::Frame { opcode, from, end } => {
                    let (frame, rest) = bytes.split_at_mut_checked(end)?;
                    let payload = frame.get(from..)?;
                    self.frame(at, opcode, payload)?;
                    bytes = rest;
                }
            }
        }
    }

    /// `/room/{name}` is everyone's, every other path the connection's own.
    fn enter(&mut self, at: usize, path: &str) -> Option<()> {
        let number = match self.names.get(path) {
            Some(known) => *known,
            None => {
                let name = path.starts_with("/room/").then(|| path.to_owned());
                let number = self.rooms.insert(Room {
                    name: name.clone(),
                    ..Room::default()
                });
                self.names.extend(name.map(|name| (name, number)));
                number
            }
        };
        // Whoever comes in hears only what is said from now on.
        self.write_turn(number);
        let room = self.rooms.get_mut(number)?;
        let connection = self.connections.get_mut(at)?;
        connection.room = Some(number);
        connection.slot = room.members.len();
        room.members.push(at);
        Some(())
    }

    fn frame(&mut self, at: usize, opcode: u8, payload: &[u8]) -> Option<()> {
        let connection = self.connections.get_mut(at)?;
        match opcode {
            frames::CLOSE => None,
            frames::PONG => Some(()),
            frames::PING => {
                let mut pong = Vec::new();
                frames::write(&mut pong, frames::PONG, payload);
                connection.send(&pong).then_some(())
            }
            _ => {
                let number = connection.room?;
                let room = self.rooms.get_mut(number)?;
                if self.coalesce && room.turn.is_empty() {
                    self.dirty.push(number);
                }
                frames::write(&mut room.turn, opcode, payload);
                if !self.coalesce || room.turn.len() >= TURN_BYTES_MAX {
                    self.write_turn(number);
                }
                Some(())
            }
        }
    }

    fn write_turn(&mut self, number: usize) {
        let Some(room) = self.rooms.get_mut(number).filter(|it| !it.turn.is_empty()) else {
            return;
        };
        for member in &room.members {
            if let Some(connection) = self.connections.get_mut(*member)
                && !connection.send(&room.turn)
            {
                self.dead.push(*member);
            }
        }
        room.turn.clear();
    }

    fn end_turn(&mut self) {
        for number in std::mem::take(&mut self.dirty) {
            self.write_turn(number);
        }
        for at in std::mem::take(&mut self.dead) {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        let Some(connection) = self.connections.try_remove(at) else {
            return;
        };
        let Some(number) = connection.room else {
            return;
        };
        let Some(room) = self.rooms.get_mut(number) else {
            return;
        };
        room.members.swap_remove(connection.slot);
        if let Some(moved) = room.members.get(connection.slot)
            && let Some(moved) = self.connections.get_mut(*moved)
        {
            moved.slot = connection.slot;
        }
        if room.members.is_empty()
            && let Some(name) = self.rooms.remove(number).name
        {
            self.names.remove(&name);
        }
    }
}
