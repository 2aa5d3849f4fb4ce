//! Crowds in topics, while processes die.

mod client;
mod history;
mod split_run;
mod torture;

/// The application that they speak to.
const CROWD: &str = env!("CARGO_BIN_EXE_towpath-test-crowd");
