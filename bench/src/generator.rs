//! The load generator: one thread, one epoll, raw frames, large reads.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::traffic::{Pace, Shape, Traffic};
use crate::wire::{self, Frames, Upgrade};

/// Handshakes on their way at once, well below any server's backlog.
const OPENING_MAX: usize = 64;
/// All connections must be open within this.
const OPENING_WAIT: Duration = Duration::from_secs(60);
/// What is still on its way at the end must arrive within this.
const DRAIN_WAIT: Duration = Duration::from_secs(3);
const READ_BYTES: usize = 128 * 1024;
const EVENTS_MAX: usize = 1024;
const TURN_MAX: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Upgrading,
    Open,
    Gone,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    state: State,
    began: Instant,
    /// The beginning of a frame whose end has not arrived.
    torn: Vec<u8>,
    /// What the kernel has not taken; bounded by the messages a speaker may be ahead.
    unsent: Vec<u8>,
}

impl Connection {
    fn flush(&mut self) -> std::io::Result<()> {
        while !self.unsent.is_empty() && self.state != State::Gone {
            match self.stream.write(&self.unsent) {
                Ok(taken) => drop(self.unsent.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Sockets {
    address: SocketAddr,
    shape: Shape,
    connections: Vec<Connection>,
    open: usize,
    gone: usize,
    reads: u64,
    traffic: Traffic,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Generator {
    poll: Poll,
    events: Events,
    sockets: Sockets,
    /// When all speakers speak next, at a fixed rate.
    next_round: Option<Instant>,
}

impl Generator {
    pub(crate) fn new(address: SocketAddr, shape: Shape) -> anyhow::Result<Self> {
        let sockets = Sockets {
            address,
            shape,
            connections: Vec::with_capacity(shape.sockets),
            open: 0,
            gone: 0,
            reads: 0,
            traffic: Traffic::new(shape),
            buffer: vec![0; READ_BYTES],
        };
        let events = Events::with_capacity(EVENTS_MAX);
        Ok(Self {
            poll: Poll::new()?,
            events,
            sockets,
            next_round: None,
        })
    }

    /// Opens every connection, some at a time, and says how many did open.
    pub(crate) fn open(&mut self) -> anyhow::Result<usize> {
        let deadline = Instant::now() + OPENING_WAIT;
        let sockets = self.sockets.shape.sockets;
        loop {
            let settled = self.sockets.open + self.sockets.gone;
            if settled == sockets {
                break;
            }
            for at in self.sockets.connections.len()..sockets.min(settled + OPENING_MAX) {
                let mut stream = TcpStream::connect(self.sockets.address)
                    .context("cannot connect: are there ports and files enough?")?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll
                    .registry()
                    .register(&mut stream, Token(at), interest)?;
                self.sockets.connections.push(Connection {
                    stream,
                    state: State::Connecting,
                    began: Instant::now(),
                    torn: Vec::new(),
                    unsent: Vec::new(),
                });
            }
            if Instant::now() > deadline {
                bail!("{settled} of {sockets} connections opened within {OPENING_WAIT:?}");
            }
            self.turn(TURN_MAX)?;
        }
        if self.sockets.open == 0 {
            bail!("the server refused every connection");
        }
        Ok(self.sockets.open)
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.next_round = matches!(self.sockets.shape.pace, Pace::Rate(_)).then(Instant::now);
        self.sockets.traffic.start();
        self.sockets.speak()
    }

    /// Lets the traffic run for `time`.
    pub(crate) fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            self.turn((until - now).min(TURN_MAX))?;
        }
    }

    /// Falls silent and waits for what is on its way.
    pub(crate) fn drain(&mut self) -> anyhow::Result<()> {
        self.sockets.traffic.stop();
        self.next_round = None;
        let until = Instant::now() + DRAIN_WAIT;
        while !self.sockets.traffic.has_all() && Instant::now() < until {
            self.turn(TURN_MAX)?;
        }
        Ok(())
    }

    pub(crate) fn reads(&self) -> u64 {
        self.sockets.reads
    }

    pub(crate) fn traffic(&mut self) -> &mut Traffic {
        &mut self.sockets.traffic
    }

    fn turn(&mut self, time_max: Duration) -> anyhow::Result<()> {
        let mut time = time_max;
        if let (Pace::Rate(interval), Some(next)) = (self.sockets.shape.pace, &mut self.next_round)
        {
            let now = Instant::now();
            if now >= *next {
                *next += interval;
                self.sockets.traffic.all_are_due(1);
                self.sockets.speak()?;
            }
            time = time.min(next.saturating_duration_since(now));
        }
        match self.poll.poll(&mut self.events, Some(time)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            self.sockets.handle(event);
            // Answers go out after each socket's read, so that the server has work
            // while the generator reads on.
            self.sockets.speak()?;
        }
        Ok(())
    }
}

impl Sockets {
    fn handle(&mut self, event: &Event) {
        let at = event.token().0;
        if event.is_writable() && self.write(at).is_err() {
            self.close(at);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(at, event.is_read_closed() || event.is_error());
        }
    }

    fn write(&mut self, at: usize) -> std::io::Result<()> {
        let Some(connection) = self.connections.get_mut(at) else {
            return Ok(());
        };
        match connection.state {
            State::Connecting => {
                if let Some(error) = connection.stream.take_error()? {
                    return Err(error);
                }
                connection.stream.set_nodelay(true)?;
                connection.state = State::Upgrading;
                let path = if self.shape.room > 1 {
                    format!("/room/r{}", at / self.shape.room)
                } else {
                    "/echo".into()
                };
                connection
                    .unsent
                    .extend_from_slice(wire::request(self.address, &path).as_bytes());
                connection.flush()
            }
            State::Upgrading | State::Open => connection.flush(),
            State::Gone => Ok(()),
        }
    }

    /// Reads until the socket is empty. Events come once for each arrival, so a
    /// read that did not fill the buffer has emptied it, unless the end is near.
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
                Ok(0) => return self.close(at),
                Ok(taken) => taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.close(at),
            };
            self.reads += 1;
            let emptied = taken < space.len() && !ended;
            if !self.scan(at, torn + taken) {
                return self.close(at);
            }
            if emptied {
                return;
            }
        }
    }

    /// Takes the frames from the buffer's first bytes; false if the connection is over.
    fn scan(&mut self, at: usize, length: usize) -> bool {
        let Some(connection) = self.connections.get_mut(at) else {
            return false;
        };
        let mut bytes = self.buffer.get(..length).unwrap_or_default();
        let now = Instant::now();
        if connection.state == State::Upgrading {
            match wire::upgrade(bytes) {
                Upgrade::Open(end) => {
                    connection.state = State::Open;
                    self.open += 1;
                    self.traffic.latency.record(now - connection.began);
                    bytes = bytes.get(end..).unwrap_or_default();
                }
                Upgrade::Torn => {
                    bytes.clone_into(&mut connection.torn);
                    return true;
                }
                Upgrade::Refused => return false,
            }
        }
        let mut frames = Frames::new(bytes);
        let broken = loop {
            match frames.next() {
                Ok(Some(frame)) => match frame.opcode {
                    wire::TEXT | wire::BINARY => self.traffic.arrive(at, frame.payload, now),
                    wire::PING => {
                        connection
                            .unsent
                            .extend(wire::client_frame(wire::PONG, frame.payload));
                        if connection.flush().is_err() {
                            return false;
                        }
                    }
                    wire::CLOSE => return false,
                    _ => {}
                },
                Ok(None) => break false,
                Err(wire::Broken) => break true,
            }
        };
        if broken {
            self.traffic.wrong.malformed += 1;
            return false;
        }
        frames.rest().clone_into(&mut connection.torn);
        true
    }

    /// Sends what is due; several messages of one socket leave in one write.
    fn speak(&mut self) -> anyhow::Result<()> {
        let mut next = self.traffic.next_due();
        while let Some(at) = next {
            let frame = self.traffic.speak(at, Instant::now());
            let frame = frame.context("the server cannot hold the rate")?;
            let Some(connection) = self.connections.get_mut(at) else {
                return Ok(());
            };
            connection.unsent.extend_from_slice(frame);
            next = self.traffic.next_due();
            if next != Some(at) && connection.flush().is_err() {
                self.close(at);
            }
        }
        Ok(())
    }

    fn close(&mut self, at: usize) {
        let Some(connection) = self.connections.get_mut(at) else {
            return;
        };
        if connection.state == State::Gone {
            return;
        }
        if connection.state == State::Open {
            self.open -= 1;
        }
        connection.state = State::Gone;
        self.gone += 1;
        self.traffic.wrong.closed += 1;
    }
}
