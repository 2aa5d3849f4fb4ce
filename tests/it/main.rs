//! End-to-end tests: real processes, real Redis, real clients, a real browser.
//!
//! They run the `towpath` binary as an operator does, and talk to it as a
//! browser does. What they need on the machine is found or installed by
//! `cargo xtask test`; a missing piece fails the run and says so.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "a test says what it expects by indexing"
)]
#![allow(unreachable_pub, reason = "helpers of one binary")]
#![allow(missing_docs, reason = "helpers of one binary")]

mod backend_lost;
mod bad_input;
mod browser;
mod chat;
mod command_line;
mod machine;
mod outside;
mod phoenix;
mod process;
mod rolling_restart;
mod serve;
mod stopping;
mod suite;
mod three_processes;
mod todos;
mod topic_commands;
mod topics;
mod wire;
