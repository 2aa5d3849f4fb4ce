//! Dropping a receive loses nothing; closing gives back (contract §3.5).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_immediate;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use towpath_layer_core::LayerError;

use super::support::{BRIEF, Reader, channel, empty, limits, nothing_waits, send, within};
use crate::Factory;

/// Receives that begin and are dropped, before and after messages come, leave
/// every message to the next receive, in order.
pub async fn a_cancelled_receive_loses_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (sender, layer) = (backend.node().await, backend.node().await);
    let name = channel("work");
    let mut reader = Reader::new(&layer, &[&name]);
    let mut numbers = Vec::new();
    for number in 0..50 {
        let patience = Duration::from_micros(number * 40);
        numbers.extend(reader.give_up_after(patience, 1).await);
        send(&sender, &name, number).await;
        numbers.extend(reader.give_up_after(patience, 1).await);
    }
    let rest = 50 - numbers.len();
    numbers.extend(reader.take(rest).await);
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
}

/// The same with three receivers in two nodes at once.
pub async fn cancelled_receives_lose_and_double_nothing(factory: &dyn Factory) {
    const COUNT: usize = 600;
    let backend = empty(factory).await;
    let nodes = [backend.node().await, backend.node().await];
    let name = channel("big.work");
    let (handed_out, mut seen) = mpsc::channel(COUNT * 2);
    let mut receivers = JoinSet::new();
    for number in 0..3 {
        let mut reader = Reader::new(&nodes[number % 2], &[&name]);
        let handed_out = handed_out.clone();
        receivers.spawn(async move {
            let mut micros = 0;
            while !handed_out.is_closed() {
                micros = (micros + 170) % 2000;
                let patience = Duration::from_micros(micros);
                for number in reader.give_up_after(patience, 3).await {
                    handed_out.send(number).await.unwrap();
                }
            }
        });
    }
    let sender = Arc::clone(&nodes[1]);
    let sending = async {
        for number in 0..COUNT as u64 {
            send(&sender, &name, number).await;
        }
    };
    let receiving = async {
        let mut numbers = BTreeSet::new();
        while numbers.len() < COUNT {
            let number = within("receive", seen.recv()).await.unwrap();
            assert!(numbers.insert(number), "{number} came twice");
        }
    };
    futures_util::join!(sending, receiving);
    assert!(seen.try_recv().is_err(), "a message too many");
    seen.close();
    receivers.join_all().await;
}

/// A message for which a receive was woken that is then dropped goes to another
/// receiver that waits, once the first is closed.
pub async fn what_a_cancelled_receive_was_woken_for_goes_to_another(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("work");
    for number in 0..20 {
        let mut first = Reader::new(&layer, &[&name]);
        let mut buffer = Vec::new();
        let mut woken = first.inner().receive_many(&mut buffer, 1);
        assert!(poll_immediate(&mut woken).await.is_none());
        let mut second = Reader::new(&layer, &[&name]);
        let mut waits = JoinSet::new();
        waits.spawn(async move {
            let numbers = second.take(1).await;
            second.close().await;
            numbers
        });
        tokio::task::yield_now().await;
        send(&layer, &name, number).await;
        drop(woken);
        first.close().await;
        let numbers = within("receive", waits.join_all()).await;
        assert_eq!(numbers, [[number]]);
    }
}

/// A receiver that is closed gives back what it had taken and not handed out,
/// at the head and in the old order.
pub async fn a_receiver_gives_back_what_it_holds_in_the_old_order(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (one, other) = (backend.node().await, backend.node().await);
    let name = channel("work");
    for number in 0..40 {
        send(&one, &name, number).await;
    }
    let mut numbers = Vec::new();
    for layer in [&one, &other, &one, &other] {
        let mut reader = Reader::new(layer, &[&name]);
        numbers.extend(reader.take(5).await);
        send(layer, &name, 40 + numbers.len() as u64).await;
        reader.close().await;
    }
    let mut reader = Reader::new(&other, &[&name]);
    numbers.extend(reader.take(24).await);
    let expected = (0..40).chain([45, 50, 55, 60]);
    assert_eq!(numbers, expected.collect::<Vec<_>>());
}

/// What was given back expires when it would have.
pub async fn what_is_given_back_keeps_its_deadline(factory: &dyn Factory) {
    let mut limits = limits();
    limits.expiry = limits.expiry.rule("a-while.*", 4 * BRIEF);
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let name = channel("a-while.work");
    for number in 0..5 {
        send(&layer, &name, number).await;
    }
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(1).await, [0]);
    backend.pass(2 * BRIEF).await;
    reader.close().await;
    backend.pass(3 * BRIEF).await;
    nothing_waits(&layer, &name).await;
}

/// A receiver that was closed takes nothing more.
pub async fn a_closed_receiver_takes_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("work");
    let mut receiver = layer.receiver(vec![name.clone()]).unwrap();
    within("close", receiver.close()).await.unwrap();
    send(&layer, &name, 1).await;
    let mut buffer = Vec::new();
    let received = within("receive", receiver.receive_many(&mut buffer, 1)).await;
    assert!(matches!(received.unwrap_err(), LayerError::Closed));
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(1).await, [1]);
}
