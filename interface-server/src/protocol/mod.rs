//! Frames of a socket ⇄ events of a conversation, without any socket.

pub(crate) mod close;
pub(crate) mod frame;
pub(crate) mod phoenix;
pub(crate) mod position;
pub(crate) mod refusal;
pub(crate) mod request;
