//! The token of a long-polling client's session: as a header, and in the query.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_interface_server::fuzzing;

fuzz_target!(|token: &[u8]| {
    for decoded in [
        fuzzing::token_in_header(token),
        fuzzing::token_in_query(token),
    ] {
        assert!(decoded.is_none_or(|size| size <= token.len()));
    }
});
