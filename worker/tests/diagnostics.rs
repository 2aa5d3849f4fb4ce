//! What the compiler says of a function that cannot be a consumer.
//!
//! The snapshots hold for the pinned compiler; `TRYBUILD=overwrite` writes them.

#[test]
fn a_wrong_consumer_is_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/diagnostics/*.rs");
}
