//! The socket that is listened on.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit};
use socket2::SockRef;

/// Descriptors that the process's table has room for from the start, 8 bytes
/// each in the kernel.
const DESCRIPTORS: u64 = 1 << 16;

/// Listens for sockets that write at once and for each of which the kernel
/// holds `send_buffer` bytes: accepted ones inherit both.
pub(crate) async fn listen(address: SocketAddr, send_buffer: usize) -> io::Result<TcpListener> {
    let listener = tokio::net::TcpListener::bind(address).await?.into_std()?;
    listener.set_nonblocking(false)?;
    let socket = SockRef::from(&listener);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(send_buffer)?;
    reserve_descriptors(&listener)?;
    Ok(listener)
}

/// Makes the process's table of descriptors large at once. The kernel doubles
/// it as needed, and where there are several threads each doubling holds up
/// the one that asked by many milliseconds, until no core reads the old table.
fn reserve_descriptors(any: &TcpListener) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let highest = limit.min(DESCRIPTORS).saturating_sub(1);
    let highest = i32::try_from(highest).map_err(io::Error::other)?;
    match fcntl_dupfd_cloexec(any, highest) {
        // Closed at once; the table stays as large. If the highest is taken, it is so already.
        Ok(_) | Err(Errno::MFILE) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
