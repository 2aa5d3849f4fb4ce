//! A client's text frame, version 1 of the protocol.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_interface_server::fuzzing;
use towpath_layer_core::Frame;

fuzz_target!(|frame: &str| {
    let decoded = fuzzing::phoenix_v1(Frame::Text(frame.into()));
    assert!(decoded.is_none_or(|size| size <= frame.len()));
});
