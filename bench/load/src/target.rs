//! Where a server is.

use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::dialect::Dialect;
use crate::error::LoadError;

const PORT: u16 = 80;

/// Where a server is, what is asked of it, and what it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    path: String,
    pub(crate) dialect: Dialect,
    pub(crate) receive_bytes: Option<usize>,
}

impl Target {
    /// A server at this address. In the path `{room}` stands for the name of a socket's
    /// room and `{n}` for the socket's number.
    #[must_use]
    pub fn new(address: SocketAddr, path: &str) -> Self {
        Self {
            address,
            host: address.to_string(),
            path: path.to_owned(),
            dialect: Dialect::Raw,
            receive_bytes: None,
        }
    }

    /// Reads `ws://HOST:PORT/PATH`, and looks the host up.
    ///
    /// # Errors
    ///
    /// [`LoadError::Url`] if it is no such URL, [`LoadError::Resolve`] if the host is not
    /// known.
    pub fn parse(url: &str) -> Result<Self, LoadError> {
        let wrong = |problem| LoadError::Url {
            url: url.to_owned(),
            problem,
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("it has no scheme"))?;
        match scheme {
            "ws" => {}
            "wss" => return Err(wrong("TLS is not supported: go past what terminates it")),
            _ => return Err(wrong("its scheme is not ws")),
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        if host.is_empty() || host.contains('@') {
            return Err(wrong("it has no host, or a user"));
        }
        if path.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(wrong("its path has white space or a fragment"));
        }
        let with_port = match host.rsplit_once(':') {
            Some((_, port)) if !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()) => {
                host.to_owned()
            }
            _ => format!("{host}:{PORT}"),
        };
        let unknown = |source| LoadError::Resolve {
            host: with_port.clone(),
            source,
        };
        let mut addresses = with_port
            .to_socket_addrs()
            .map_err(|error| unknown(Some(error)))?;
        let address = addresses.next().ok_or_else(|| unknown(None))?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Self {
            host: host.to_owned(),
            ..Self::new(address, &path)
        })
    }

    /// The same server, spoken to in this dialect.
    #[must_use]
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The same server, with a receive buffer of this many bytes on each connection, as
    /// near as the kernel allows; without it the kernel decides.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_bytes = Some(bytes);
        self
    }

    /// Whether the path names a socket's room.
    #[must_use]
    pub fn has_rooms(&self) -> bool {
        self.path.contains("{room}")
    }

    pub(crate) fn path_of(&self, socket: usize, room: &str) -> String {
        self.path
            .replace("{room}", room)
            .replace("{n}", &socket.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read() {
        let target = Target::parse("ws://127.0.0.1:8000/room/{room}?n={n}").unwrap();
        assert_eq!(target.address, "127.0.0.1:8000".parse().unwrap());
        assert_eq!(target.path_of(7, "r1"), "/room/r1?n=7");
        assert!(target.has_rooms());
        let target = Target::parse("ws://[::1]").unwrap();
        assert_eq!(target.address, "[::1]:80".parse().unwrap());
        assert_eq!(target.path_of(0, ""), "/");
    }

    #[test]
    fn a_wrong_url_is_named_with_the_reason() {
        for (url, said) in [
            ("127.0.0.1:8000", "no scheme"),
            ("http://a/", "not ws"),
            ("wss://a/", "TLS is not supported"),
            ("ws:///echo", "no host"),
            ("ws://127.0.0.1/a b", "white space"),
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(error.contains(url) && error.contains(said), "{error}");
        }
    }
}
