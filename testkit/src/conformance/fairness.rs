//! Nobody is starved (contract §3.6).

use tokio::task::JoinSet;

use super::support::{Reader, channel, empty, message, send, within};
use crate::Factory;

/// A quiet channel is served long before the busy ones beside it are empty.
pub async fn a_quiet_channel_is_not_starved_by_a_busy_one(factory: &dyn Factory) {
    const BUSY: u64 = 3000;
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let (before, quiet, behind) = (channel("big.a"), channel("big.b"), channel("big.c"));
    for name in [&before, &behind] {
        let batch = (0..BUSY).map(|number| (name.clone(), message(number)));
        let sent = within("send_many", layer.send_many(batch.collect())).await;
        assert!(sent.iter().all(Result::is_ok));
    }
    send(&layer, &quiet, 0).await;
    let mut reader = Reader::new(&layer, &[&before, &quiet, &behind]);
    let mut seen = 0;
    'served: loop {
        for received in reader.received(10).await {
            seen += 1;
            if received.channel == quiet {
                break 'served;
            }
        }
    }
    assert!(seen < BUSY / 2, "the quiet channel came after {seen}");
}

/// A receiver that waits is woken by a send from another node.
pub async fn a_waiting_receiver_is_woken_from_another_node(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (sender, layer) = (backend.node().await, backend.node().await);
    let names = [channel("a"), channel("b"), channel("c")];
    let mut reader = Reader::new(&layer, &names.each_ref());
    for number in 0..30 {
        let name = &names[usize::try_from(number).unwrap() % 3];
        let (numbers, ()) = futures_util::join!(reader.take(1), send(&sender, name, number));
        assert_eq!(numbers, [number]);
    }
}

/// However many receivers wait, no message is left lying while one of them
/// could have it.
pub async fn every_message_finds_a_waiting_receiver(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let names = [channel("a"), channel("b")];
    let mut receivers = JoinSet::new();
    for _ in 0..6 {
        let mut reader = Reader::new(&layer, &names.each_ref());
        receivers.spawn(async move {
            let mut buffer = Vec::new();
            let count = reader.inner().receive_many(&mut buffer, 1).await.unwrap();
            reader.close().await;
            count
        });
    }
    for number in 0..3 {
        send(&layer, &names[0], number).await;
        send(&layer, &names[1], number).await;
    }
    let counts = within("receive", receivers.join_all()).await;
    assert_eq!(counts, [1; 6]);
}
