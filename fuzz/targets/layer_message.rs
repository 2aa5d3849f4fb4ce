//! An entry of a layer: what is read of it is written and read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_layer_core::{Message, decode, encode};

fuzz_target!(|entry: &[u8]| {
    let Ok((id, message)) = decode::<Message>(entry) else {
        return;
    };
    // A number counts as the eight bytes that it may need.
    let size = message.payload_size() + message.envelope_size();
    assert!(size <= 2 * entry.len());
    let written = encode(id, &message).expect("what was read can be written");
    let read = decode::<Message>(&written).expect("what was written can be read");
    assert_eq!(read, (id, message));
});
