//! Every example as its reader starts it, with its page open in a browser more than once; and the
//! tutorial, which shows the examples as they are.
//!
//! What is needed on the machine is found or installed by `cargo xtask test`; a missing piece
//! fails the run and says so.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]
#![allow(unreachable_pub, reason = "helpers of one binary")]

mod browser;
mod over_redis;
mod pages;
mod process;
mod tutorial;
