//! A place in a group's history, as a client shows it: one has one text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_layer_core::Position;

fuzz_target!(|text: &str| {
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string(), text);
    }
});
