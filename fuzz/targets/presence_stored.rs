//! A membership's metadata, read as the presences of a connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_layer_core::presence::Stored;

fuzz_target!(|meta: &[u8]| {
    let Ok(stored) = Stored::decode(meta) else {
        return;
    };
    let entries = stored.entries.iter();
    let size: usize = entries
        .map(|entry| entry.key.len() + entry.meta.len())
        .sum();
    assert!(size <= meta.len());
    let written = stored.encode().expect("what was read can be written");
    let read = Stored::decode(&written).expect("what was written can be read");
    assert_eq!(read, stored);
});
