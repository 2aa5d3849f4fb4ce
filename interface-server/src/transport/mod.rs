//! Bytes ⇄ frames: sockets, handshakes, reading and writing.

pub(crate) mod accept;
pub(crate) mod http;
pub(crate) mod listener;
pub(crate) mod longpoll;
pub(crate) mod mounted;
pub(crate) mod outbox;
pub(crate) mod reader;
pub(crate) mod respond;
pub(crate) mod socket;
pub(crate) mod stream;
