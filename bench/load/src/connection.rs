//! One connection of the generator.

use std::io::{ErrorKind, Write as _};
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::error::LoadError;
use crate::target::Target;
use crate::wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Upgrading,
    /// Upgraded, and in conversation about how to go on.
    Opening,
    Open,
    /// It has asked to be closed.
    Leaving,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) state: State,
    pub(crate) began: Instant,
    /// The beginning of a frame whose end has not arrived.
    pub(crate) torn: Vec<u8>,
    /// What the kernel has not taken; bounded by the messages a speaker may be ahead.
    pub(crate) unsent: Vec<u8>,
}

impl Connection {
    /// Begins to connect.
    pub(crate) fn begin(
        target: &Target,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, LoadError> {
        let refused = |source| LoadError::Connect {
            address: target.address,
            source,
        };
        let mut stream = TcpStream::connect(target.address).map_err(refused)?;
        if let Some(bytes) = target.receive_bytes {
            rustix::net::sockopt::set_socket_recv_buffer_size(&stream, bytes)
                .map_err(std::io::Error::from)?;
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, token, interest)?;
        Ok(Self {
            stream,
            state: State::Connecting,
            began: Instant::now(),
            torn: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// Asks for the upgrade, once the connection stands.
    pub(crate) fn ask(&mut self, host: &str, path: &str) -> std::io::Result<()> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        // It also stands only when the peer is known.
        match self.stream.peer_addr() {
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
            result => result?,
        };
        self.stream.set_nodelay(true)?;
        self.state = State::Upgrading;
        self.unsent
            .extend_from_slice(wire::request(host, path).as_bytes());
        self.flush()
    }

    /// Sends a text frame, or a control frame.
    pub(crate) fn send(&mut self, opcode: u8, payload: &[u8]) -> std::io::Result<()> {
        self.unsent.extend(wire::client_frame(opcode, payload));
        self.flush()
    }

    /// Writes as much as the kernel takes.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
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
