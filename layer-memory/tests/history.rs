//! A storm on the layer in memory: nothing is lost, doubled, reordered or too
//! much.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::time::Duration;

use support::Memory;
use towpath_layer_core::{ChannelName, Limits};
use towpath_testkit::Factory;
use towpath_testkit::history::{Rules, Storm, storm};

async fn nothing_is_wrong_after(senders: u32, receivers: u32, messages: u64) {
    let channel = |name| ChannelName::new(name).unwrap();
    let backend = Memory.backend(Limits::default()).await;
    let plan = Storm {
        senders,
        receivers,
        messages,
        channels: vec![channel("a"), channel("b"), channel("c")],
        cancel: true,
    };
    let history = storm(&*backend, &plan).await;
    assert!(history.records().len() as u64 >= 3 * messages);
    let verdict = history.check(&Rules {
        expiry: Duration::from_mins(1),
        capacity: 100,
        held_max: 0,
        tolerance: Duration::ZERO,
    });
    assert!(verdict.is_clean(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_senders_and_four_receivers_that_give_up_lose_and_double_nothing() {
    nothing_is_wrong_after(8, 4, 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_receiver_that_gives_up_keeps_the_order_of_eight_senders() {
    nothing_is_wrong_after(8, 1, 20_000).await;
}
