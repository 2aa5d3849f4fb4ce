//! The layer over HTTP: a cron job, a page in PHP or a worker in Python sends,
//! receives and reads groups without a line of Rust.
//!
//! [`LayerApi`] serves it. Inside, `routes` is the one table of what there is,
//! from which requests are routed and `document` writes the OpenAPI document;
//! `call` reads a request, `encoding` knows JSON and MessagePack, `problem`
//! says what was wrong, and each family of operations has a file. Nothing here
//! keeps anything about a client between two requests.

mod answer;
mod batch;
mod blob;
mod call;
mod connection;
mod deadline;
mod document;
mod encoding;
mod event;
mod groups;
mod handle;
mod histories;
mod limits;
mod message;
mod page;
mod problem;
mod receive;
mod receivers;
mod reply;
mod routes;
mod send;
mod server;
mod span;
mod statistics;
mod subscribe;
mod token;
mod topic_reply;
mod topics;
mod value;

pub use limits::ApiLimits;
pub use server::LayerApi;
pub use token::{TokenError, Tokens};
