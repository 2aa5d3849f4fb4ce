//! A load generator for WebSocket servers: one thread, one epoll, raw frames, large
//! reads, so that the server is what limits a figure and not this.
//!
//! A server is asked to do one of two things: to send every text frame back to its
//! sender, or to send it to all in the sender's room, the sender included. Each message
//! carries its sender and a sequence number, so that everything lost, repeated, out of
//! order, misrouted or altered is counted.
//!
//! ```no_run
//! use std::time::Duration;
//! use towpath_load::{Generator, Pace, Shape, Target};
//!
//! # fn main() -> Result<(), towpath_load::LoadError> {
//! let target = Target::parse("ws://127.0.0.1:8000/room/{room}")?;
//! let mut generator = Generator::new(target, Shape::rooms(200, 10, Pace::Own))?;
//! generator.open()?;
//! generator.start()?;
//! generator.run(Duration::from_secs(5))?;
//! generator.drain()?;
//! assert!(generator.wrong().is_none());
//! println!("{} deliveries", generator.counts().delivered);
//! # Ok(())
//! # }
//! ```

mod connection;
mod dialect;
mod error;
mod generator;
mod joins;
mod lane;
mod latency;
mod limits;
mod marker;

mod schedule;
mod shape;
mod sockets;
mod target;
mod traffic;
mod visits;
mod wire;

pub use dialect::Dialect;
pub use error::LoadError;
pub use generator::{Counts, Generator};
pub use joins::{Joiner, Joins};
pub use latency::Latency;
pub use limits::{cpu_used, raise_file_limit};
pub use marker::{PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MIN};
pub use shape::{Pace, Shape, Visitors};
pub use target::Target;
pub use traffic::Wrong;
