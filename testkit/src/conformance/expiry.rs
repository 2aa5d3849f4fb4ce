//! What is older than its expiry is never delivered (contract §3.4; I4).

use super::support::{BRIEF, Reader, channel, empty, limits, message, nothing_waits, send, within};
use crate::Factory;

/// What has expired is not delivered.
pub async fn what_is_older_is_never_delivered(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("brief.work");
    for number in 0..3 {
        send(&layer, &name, number).await;
    }
    backend.pass(BRIEF * 2).await;
    nothing_waits(&layer, &name).await;
}

/// What has not expired is delivered.
pub async fn a_message_lives_until_its_expiry(factory: &dyn Factory) {
    let mut limits = limits();
    limits.expiry = limits.expiry.rule("a-while.*", 20 * BRIEF);
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let name = channel("a-while.work");
    send(&layer, &name, 1).await;
    backend.pass(BRIEF * 2).await;
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(1).await, [1]);
}

/// Expiry is chosen by glob on the channel's name.
pub async fn expiry_is_chosen_by_glob(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let (brief, plain) = (channel("brief.work"), channel("work"));
    let body = layer.new_channel("brief.body").unwrap();
    for name in [&brief, &plain, &body] {
        send(&layer, name, 1).await;
    }
    backend.pass(BRIEF * 2).await;
    nothing_waits(&layer, &brief).await;
    nothing_waits(&layer, &body).await;
    let mut reader = Reader::new(&layer, &[&plain]);
    assert_eq!(reader.take(1).await, [1]);
}

/// What has expired leaves its place to others.
pub async fn what_has_expired_does_not_count_against_capacity(factory: &dyn Factory) {
    let mut limits = limits();
    limits.expiry = limits.expiry.rule("small.*", BRIEF);
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let name = channel("small.work");
    let batch = || (0..3).map(|number| (name.clone(), message(number)));
    for _ in 0..2 {
        let sent = within("send_many", layer.send_many(batch().collect())).await;
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
        backend.pass(BRIEF * 2).await;
    }
    let batch = batch().chain(batch()).collect();
    let sent = within("send_many", layer.send_many(batch)).await;
    let accepted = sent.iter().filter(|sent| sent.is_ok()).count();
    assert_eq!(accepted, 3);
}

/// Messages that were sent later expire later, and not before.
pub async fn what_expires_behind_the_head_is_not_delivered_either(factory: &dyn Factory) {
    let mut limits = limits();
    limits.expiry = limits.expiry.rule("a-while.*", 6 * BRIEF);
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let name = channel("a-while.work");
    send(&layer, &name, 1).await;
    send(&layer, &name, 2).await;
    backend.pass(BRIEF * 4).await;
    send(&layer, &name, 3).await;
    backend.pass(BRIEF * 3).await;
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(1).await, [3]);
}
