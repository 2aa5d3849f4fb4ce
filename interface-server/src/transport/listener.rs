//! The socket that is listened on.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens for sockets that write at once and for each of which the kernel
/// holds `send_buffer` bytes. Accepted ones inherit both, so they are set
/// before the first can come.
pub(crate) fn listen(address: SocketAddr, send_buffer: usize) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(send_buffer)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use socket2::SockRef;

    use super::*;

    #[test]
    fn accepted_sockets_inherit_what_was_set() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), 20_000).unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
        // Linux holds twice what was asked for, for its own accounts.
        let held = SockRef::from(&accepted).send_buffer_size().unwrap();
        assert!((20_000..=40_000).contains(&held), "{held}");
    }
}
