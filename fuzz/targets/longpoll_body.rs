//! What a long-polling client sends in one request: as lines, and as one frame.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use towpath_interface_server::fuzzing;

fuzz_target!(|body: &[u8]| {
    for lines in [true, false] {
        let decoded = fuzzing::longpoll_body(Bytes::copy_from_slice(body), lines);
        assert!(decoded.is_none_or(|size| size <= body.len()));
    }
});
