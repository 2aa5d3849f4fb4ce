//! Towpath stands between many open WebSockets and the Rust code that answers
//! them.
//!
//! An **interface server** holds the sockets and turns what happens on them into
//! messages on named channels; **workers** take the messages and run your
//! functions; **groups** make one send reach many sockets. In between is a
//! **channel layer**: memory in one process, Redis between many. Your code is
//! the same.
//!
//! A chat, complete:
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use std::process::ExitCode;
//! use towpath::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Incoming {
//!     text: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Said<'a> {
//!     number: u32,
//!     text: &'a str,
//! }
//!
//! async fn connect(Path(room): Path<String>, groups: Groups) -> Result {
//!     groups.add(format!("chat.{room}")).await
//! }
//!
//! async fn receive(
//!     Path(room): Path<String>,
//!     Json(message): Json<Incoming>,
//!     mut sent: Session<u32>,
//!     groups: Groups,
//! ) -> Result {
//!     *sent += 1;
//!     let said = Said { number: *sent, text: &message.text };
//!     groups.send_json(format!("chat.{room}"), &said).await?;
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     App::new().route("/chat/{room}", websocket().connect(connect).receive(receive)).run()
//! }
//! ```
//!
//! It is a whole program: without arguments it serves sockets and runs the
//! consumers in one process; `interface --layer redis://…` and
//! `worker --layer redis://…` are its two halves as processes of their own;
//! `layer` and `config` look at what runs and at what is configured.
//!
//! Write a [`Session`](prelude::Session) for what a connection has to remember,
//! not a map in a [`State`](prelude::State): the next event may go to another
//! process. Write [`blocking`](prelude::blocking) around a function that blocks,
//! not a slow `async fn`.
//!
//! - [`prelude`] has everything that an application is usually made of.
//! - [`App`] collects it; [`App::run`] is the process, [`App::start`] runs it
//!   inside another program, [`App::into_service`] mounts it in another server.
//! - [`config`] is every setting, as plain data.
//! - [`worker`] and [`layer`] are the crates behind, for what the prelude leaves
//!   out.
//!
//! The feature `redis` (on by default) builds the layer between processes in,
//! `tokens` (on by default) signed tokens, `phoenix-tokens` (on by default) those
//! of a Phoenix application, `signed-cookies` the cookies that a web framework has
//! signed or encrypted. The feature `testing` is for dev-dependencies and brings
//! `testing::TestApp`, which runs an application inside a test.

mod app;
mod cli;
pub mod config;
mod http_service;
mod layers;
pub mod prelude;
mod routes;
mod running;
mod settings;
mod shell;
mod start;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;

pub use app::{App, Listening};
pub use layers::{Layers, OpenError};
pub use running::Running;
pub use start::StartError;
#[cfg(feature = "binding")]
pub use towpath_binding as binding;
pub use towpath_interface_server::{FirstSession, ReplyChannel, TowpathService};
pub use towpath_layer_core as layer;
pub use towpath_worker as worker;

/// The code in the documents outside of this crate compiles, too.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/consumers.md")]
    struct Consumers;
    #[cfg(all(feature = "binding-postgres", feature = "tokens"))]
    #[doc = include_str!("../../docs/binding.md")]
    struct DataBinding;
    #[cfg(all(feature = "phoenix-tokens", feature = "tokens"))]
    #[doc = include_str!("../../docs/identity.md")]
    struct Identity;
    #[doc = include_str!("../../docs/testing.md")]
    struct Testing;
    #[cfg(feature = "phoenix-tokens")]
    #[doc = include_str!("../../docs/topics.md")]
    struct TopicsDocument;
    #[doc = include_str!("../../docs/tutorial.md")]
    struct Tutorial;
}
