//! What bindings count.

use metrics::{counter, gauge};
use towpath_layer_core::metrics as names;

/// A change was published.
pub(crate) fn published(table: &str) {
    counter!(names::BINDING_CHANGES, "table" => table.to_owned()).increment(1);
}

/// A change, or a part of one, was not published: why is a fixed word.
pub(crate) fn dropped(table: &str, why: &'static str) {
    counter!(names::BINDING_DROPPED, "table" => table.to_owned(), "why" => why).increment(1);
}

/// Changes were dropped because nobody took them for too long.
pub(crate) fn lost(changes: u64) {
    counter!(names::BINDING_LOST).increment(changes);
}

/// How many changes wait, about.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is about right by nature"
)]
pub(crate) fn waiting(changes: i64) {
    gauge!(names::BINDING_WAITING).set(changes.max(0) as f64);
}

/// Whether this process takes the changes.
pub(crate) fn taker(is: bool) {
    gauge!(names::BINDING_TAKER).set(f64::from(u8::from(is)));
}
