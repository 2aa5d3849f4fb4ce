//! The layer in memory does what the plain model does.

mod support;

use support::Memory;
use towpath_testkit::model;

#[test]
fn random_operations_show_what_the_plain_model_shows() {
    model::check(&Memory, 1000);
}
