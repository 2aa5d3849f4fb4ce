//! A client's binary frame: both versions of the protocol read one.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use towpath_interface_server::fuzzing;
use towpath_layer_core::Frame;

fuzz_target!(|frame: &[u8]| {
    let bytes = Frame::Bytes(Bytes::copy_from_slice(frame));
    for decoded in [
        fuzzing::phoenix_v1(bytes.clone()),
        fuzzing::phoenix_v2(bytes),
    ] {
        assert!(decoded.is_none_or(|size| size <= frame.len()));
    }
});
