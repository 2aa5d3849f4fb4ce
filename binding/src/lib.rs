//! Data binding: what changes in a database becomes frames for groups, and
//! what clients send becomes changes in the database.
//!
//! A [`Binding`] says which table, which fields, who may see a row and who may
//! change it. [`Bindings`] collects those of one database, installs what
//! records the changes, and publishes them.
//!
//! Every committed insert, update and delete of a bound table becomes frames of
//! a demultiplexer's stream,
//!
//! ```json
//! {"stream": "todos", "payload": {"action": "update", "pk": 7, "data": {"title": "rest"}, "model": "todo"}}
//! ```
//!
//! whoever wrote it: this process, another one, a bulk statement, the database's
//! shell. Groups that could see the row before and no longer can are told
//! `delete`, with the row as they knew it; groups that could and still can,
//! `update`; groups that newly can, `create`; in this order.
//!
//! # What is promised
//!
//! - **Order.** Changes are published in the order of their commits; within a
//!   transaction in the order in which it made them.
//! - **Once.** A change is published once. If the process that takes the
//!   changes dies, who takes over repeats at most one batch, and what the layer
//!   did not confirm is sent again.
//! - **One.** One process takes the changes at a time; others stand by and take
//!   over within seconds.
//! - **Bounds.** What is published is removed; what nobody takes is kept up to
//!   [`FeedConfig::kept_rows_max`], then the oldest goes, is logged and counted.
//! - **Passed over,** logged and counted: a row that does not fit the model, a
//!   frame that is larger than the layer carries.
//!
//! # What a row looks like
//!
//! A row reaches the model as JSON, as the database writes it: a `bytea` or
//! blob as `"\\x00ff"`, a timestamp of PostgreSQL in ISO 8601 and UTC, a
//! `numeric` as a number. SQLite knows no booleans and no documents: a column
//! that is *declared* `BOOLEAN` gives `true` and `false`, one declared `JSON`
//! gives what it holds; an infinity is null. What clients get is what the
//! model's own `Serialize` makes of it.
//!
//! # Features
//!
//! `sqlite` and `postgres`, both on by default; one of them is needed. SQLite is
//! compiled in, with a C compiler.

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("a database is needed: enable the feature `sqlite` or `postgres`");

mod audience;
mod binding;
mod bindings;
mod bound;
mod change;
mod config;
mod error;
mod feed;
mod fields;
mod inbound;
mod meter;
mod model;
mod pace;
#[cfg(feature = "postgres")]
mod postgres;
mod publish;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;
mod taker;

/// The database library that pools of bindings come from, in the version that
/// this crate takes.
pub use sqlx;

pub use binding::{Action, Binding};
pub use bindings::{Bindings, Taker};
pub use config::FeedConfig;
pub use error::BindingError;
pub use fields::Fields;
#[cfg(feature = "sqlite")]
pub use sqlite::Wake;
