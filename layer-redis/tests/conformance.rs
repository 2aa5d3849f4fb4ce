//! The layer over Redis keeps the contract.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use support::Redis;
use towpath_testkit::conformance;

conformance!(Redis);
