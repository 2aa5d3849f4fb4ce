//! The Phoenix Channels protocol: its frames, and what a connection makes of
//! them. Sections are those of the reference of the Phoenix protocol.
//!
//! Nothing here knows a socket, a clock or the layer. A [`Serializer`] turns
//! frames into messages and back; a [`Machine`] decides what a message means.

mod binary;
mod envelope;
mod error;
mod handshake;
mod json;
mod machine;
mod message;
mod outgoing;
mod routes;
mod serializer;
#[cfg(test)]
mod tests;
mod text;
mod v1;
mod v2;
mod vsn;

pub(crate) use error::{DecodeError, EncodeError};
pub(crate) use handshake::{Speech, TOKEN_PREFIX};
pub(crate) use machine::{
    Action, ChannelId, Dropped, JoinOutcome, Leaving, Limits, Machine, Stop, Turn,
};
pub(crate) use message::{Broadcast, Payload, Reply};
#[cfg(test)]
pub(crate) use message::{Incoming, Push, Ref};
pub(crate) use routes::{Pattern, Routes};
pub(crate) use serializer::Carries;
pub use serializer::Serializer;
#[cfg(test)]
pub(crate) use vsn::negotiate;
