//! The layer in memory keeps the contract.

mod support;

use support::Memory;
use towpath_testkit::conformance;

conformance!(Memory);
