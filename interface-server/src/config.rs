//! What an operator may choose, as plain data.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The interface server's configuration.
///
/// ```
/// use towpath_interface_server::ServerConfig;
///
/// let config = ServerConfig {
///     shards: 2,
///     ..ServerConfig::default()
/// };
/// assert_eq!(config.listen.port(), 8000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where sockets and pages are served; default `127.0.0.1:8000`.
    pub listen: SocketAddr,
    /// Where the operator's pages are served; default nowhere.
    pub operator_listen: Option<SocketAddr>,
    /// Threads that own sockets, at most 256; default 0, which stands for one
    /// for each core.
    pub shards: usize,
    /// The pages that may open a socket; default those of the same host.
    pub origins: Origins,
    /// How long a handshake waits for its connect consumer before it is
    /// answered with 504; default 5 s.
    pub connect_timeout: Duration,
    /// How long the head of a request may take to arrive; default 5 s. What a
    /// client of long-poll brings may take three times as long.
    pub header_timeout: Duration,
    /// Silence after which a peer is sent a ping; default 25 s.
    pub ping_interval: Duration,
    /// How long a peer may take to answer a ping; default 10 s.
    pub pong_timeout: Duration,
    /// Payload of one frame from a peer, in bytes; default 1 MiB. A larger one
    /// closes the socket with 1009.
    pub frame_size_max: usize,
    /// Payload of one message from a peer, in bytes; default 1 MiB. A larger
    /// one closes the socket with 1009.
    pub message_size_max: usize,
    /// Frames that one message may come in; default 1024. More close the
    /// socket with 1009.
    pub fragments_max: usize,
    /// Bytes that wait to be written to one socket; default 256 KiB. An empty
    /// outbox takes one frame of any size. What a client missed, and who is
    /// present, may wait beyond it, bounded by what a history keeps.
    pub outbox_bytes_max: usize,
    /// Frames that wait to be written to one socket; default 4096.
    pub outbox_frames_max: usize,
    /// What becomes of a socket whose outbox, or queue of events, is full;
    /// default [`SlowPolicy::Close`].
    pub slow_policy: SlowPolicy,
    /// Send buffer of one socket in the kernel, in bytes; default 128 KiB.
    pub send_buffer_bytes: usize,
    /// How long a closed socket may take to end before it is reset; default 5 s.
    pub close_timeout: Duration,
    /// How long a stop may take in all; default 30 s.
    pub drain_timeout: Duration,
    /// How long a consumer may run, counted from the moment a worker takes the
    /// event; default 30 s. It must not be shorter than the workers' own.
    pub consumer_timeout: Duration,
    /// What becomes of a socket whose event was lost; default
    /// [`OnEvent::Ignore`].
    pub on_lost: OnEvent,
    /// What becomes of a socket that may have missed group messages; default
    /// [`OnEvent::Ignore`].
    pub on_gap: OnEvent,
    /// Open sockets at one time; default 1 000 000. A handshake above it is
    /// answered with 503.
    pub connections_max: usize,
    /// Events of one conversation that wait for the one in flight; default 64.
    pub event_queue_max: usize,
    /// Bytes of these events together; default 256 KiB.
    pub event_queue_bytes_max: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            operator_listen: None,
            shards: 0,
            origins: Origins::SameHost,
            connect_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(10),
            frame_size_max: 1 << 20,
            message_size_max: 1 << 20,
            fragments_max: 1024,
            outbox_bytes_max: 256 << 10,
            outbox_frames_max: 4096,
            slow_policy: SlowPolicy::Close,
            send_buffer_bytes: 128 << 10,
            close_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            consumer_timeout: Duration::from_secs(30),
            on_lost: OnEvent::Ignore,
            on_gap: OnEvent::Ignore,
            connections_max: 1_000_000,
            event_queue_max: 64,
            event_queue_bytes_max: 256 << 10,
        }
    }
}

impl ServerConfig {
    /// How many shards there are: as many as chosen, or one for each core.
    pub(crate) fn shard_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let chosen = if self.shards == 0 {
            cores()
        } else {
            self.shards
        };
        chosen.clamp(1, 256)
    }

    /// How often deadlines are looked at: fine enough for the shortest of them.
    pub(crate) fn sweep_period(&self) -> Duration {
        let shortest = [
            self.connect_timeout,
            self.ping_interval,
            self.pong_timeout,
            self.close_timeout,
            self.consumer_timeout,
        ]
        .into_iter()
        .min()
        .unwrap_or_default();
        (shortest / 5).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }
}

/// The pages that may open a socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origins {
    /// Those that came from the host that the socket is opened on, from
    /// whatever port.
    #[default]
    SameHost,
    /// All.
    Any,
    /// Those of these origins. `https://example.org` is itself, `//example.org`
    /// any scheme and port of that host, `//*.example.org` its subdomains, too.
    List(Vec<String>),
}

/// What becomes of a socket whose outbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowPolicy {
    /// It is closed with 1013.
    #[default]
    Close,
    /// The frame is dropped and counted.
    Drop,
}

/// What becomes of a socket that may have missed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnEvent {
    /// Nothing; the loss is counted.
    #[default]
    Ignore,
    /// It is closed with 1012.
    Close,
}
