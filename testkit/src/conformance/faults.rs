//! A backend that hangs or comes back empty (contract §5, §8). Only for
//! backends that are processes of their own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use towpath_layer_core::{ChannelLayer, History, Mail};

use super::support::{
    Peer, Reader, add, channel, empty, group, message, reply, reply_number, within,
};
use crate::{Backend, Factory, Faults};

/// How often a case tries again what the backend did not answer.
const AGAIN: Duration = Duration::from_millis(50);

/// The faults of the backend; a case that has to go without says so.
fn faults<'a>(backend: &'a dyn Backend, case: &str) -> Option<&'a dyn Faults> {
    let faults = backend.faults();
    if faults.is_none() {
        eprintln!("{case}: not run, {backend:?} supports no faults");
    }
    faults
}

/// Sends until the backend accepts it. An error is transient, and nothing else.
async fn send_at_last(layer: &Arc<dyn ChannelLayer>, number: u64) {
    let name = channel("work");
    let sending = async {
        while let Err(error) = layer.send(&name, message(number)).await {
            assert!(error.is_transient(), "{error}");
            tokio::time::sleep(AGAIN).await;
        }
    };
    within("send", sending).await;
}

/// Pings until the backend answers: each of a node's connections finds its own
/// way back.
async fn answers_at_last(layer: &Arc<dyn ChannelLayer>) {
    let pinging = async {
        while let Err(error) = layer.ping().await {
            assert!(error.is_transient(), "{error}");
            tokio::time::sleep(AGAIN).await;
        }
    };
    within("ping", pinging).await;
}

/// Receivers wait out the restart of a backend, and senders may try again.
pub async fn after_an_empty_restart_all_goes_on(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let Some(faults) = faults(&*backend, "after_an_empty_restart_all_goes_on") else {
        return;
    };
    let (layer, other) = (backend.node().await, backend.node().await);
    let mut reader = Reader::new(&layer, &[&channel("work")]);
    send_at_last(&other, 1).await;
    assert_eq!(reader.take(1).await, [1]);
    let restart = async {
        within("restart", faults.restart_empty()).await;
        send_at_last(&other, 2).await;
    };
    let (numbers, ()) = futures_util::join!(reader.take(1), restart);
    assert_eq!(numbers, [2]);
    answers_at_last(&layer).await;
}

/// Nodes announce their memberships to a backend that has come back empty.
pub async fn after_an_empty_restart_groups_heal(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let Some(faults) = faults(&*backend, "after_an_empty_restart_groups_heal") else {
        return;
    };
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let room = group("room");
    let (local, name) = peer.connect();
    add(&peer.layer, &room, &name).await;
    assert!(within("the join", joined(&peer, &room, local)).await);
    within("restart", faults.restart_empty()).await;
    let healing = async {
        let mut number = 0;
        loop {
            let sent = other.group_send(&room, reply(number)).await;
            if sent.is_ok_and(|sent| sent.delivered == 1) {
                return number;
            }
            number += 1;
            tokio::time::sleep(AGAIN).await;
        }
    };
    let number = within("the group heals", healing).await;
    assert_eq!(reply_number(&peer.sink.next(local).await), number);
    let member = within("is_member", other.is_member(&room, &name)).await;
    assert!(member.unwrap());
}

/// A mailbox keeps its memberships through an empty restart, and is told that it
/// may have missed something.
pub async fn after_an_empty_restart_mailboxes_know_of_the_gap(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let case = "after_an_empty_restart_mailboxes_know_of_the_gap";
    let Some(faults) = faults(&*backend, case) else {
        return;
    };
    let (layer, other) = (backend.node().await, backend.node().await);
    let mut mailbox = within("mailbox", layer.mailbox()).await.unwrap();
    let room = group("room");
    let told = |number| Mail::Group {
        group: room.clone(),
        reply: reply(number),
    };
    add(&layer, &room, mailbox.channel()).await;
    within("group_send", other.group_send(&room, reply(0)))
        .await
        .unwrap();
    assert_eq!(within("mail", mailbox.next()).await, Some(told(0)));
    within("restart", faults.restart_empty()).await;
    assert_eq!(within("the gap", mailbox.next()).await, Some(Mail::Gap));
    let telling = async {
        while !matches!(other.group_send(&room, reply(1)).await, Ok(sent) if sent.delivered == 1) {
            tokio::time::sleep(AGAIN).await;
        }
    };
    within("the group heals", telling).await;
    let mail = async {
        loop {
            match mailbox.next().await {
                Some(Mail::Gap) => {}
                other => return other,
            }
        }
    };
    assert_eq!(within("mail", mail).await, Some(told(1)));
}

async fn joined(
    peer: &Peer,
    room: &towpath_layer_core::GroupName,
    local: towpath_layer_core::LocalId,
) -> bool {
    while !peer.sink.knows(room, local) {
        tokio::time::sleep(AGAIN).await;
    }
    true
}

/// What a backend that has come back empty has lost is told to whoever comes back
/// to it, and offsets begin anew.
pub async fn after_an_empty_restart_another_epoch_begins(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let Some(faults) = faults(&*backend, "after_an_empty_restart_another_epoch_begins") else {
        return;
    };
    let layer = backend.node().await;
    let room = group("room");
    let history = History {
        size: 10,
        ttl: Duration::from_mins(5),
    };
    let publish = async |number| {
        let publishing = async {
            loop {
                match layer.group_publish(&room, reply(number), &history).await {
                    Ok((_, position)) => return position,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        within("publish", publishing).await
    };
    publish(1).await;
    let before = publish(2).await;
    within("restart", faults.restart_empty()).await;
    answers_at_last(&layer).await;
    let recalled = layer.group_history(&room, Some(before), 10);
    let recalled = within("recall", recalled).await.unwrap();
    assert!(!recalled.complete);
    assert!(recalled.messages.is_empty());
    let after = publish(3).await;
    assert_eq!((after.epoch, after.offset), (recalled.position.epoch, 1));
    assert_ne!(after.epoch, before.epoch);
}

/// While a backend hangs, sends wait or fail with an error that says so; when
/// it goes on, what it accepted arrives once and in order.
pub async fn a_pause_loses_and_doubles_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let Some(faults) = faults(&*backend, "a_pause_loses_and_doubles_nothing") else {
        return;
    };
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("big.work");
    let mut reader = Reader::new(&layer, &[&name]);
    let paused = faults.pause(Duration::from_secs(2));
    let last = 200;
    let sending = async {
        let mut accepted = BTreeSet::new();
        for number in 0..last {
            match other.send(&name, message(number)).await {
                Ok(()) => {
                    accepted.insert(number);
                }
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            tokio::time::sleep(AGAIN / 5).await;
        }
        accepted
    };
    let ((), mut accepted) = within("send", async { futures_util::join!(paused, sending) }).await;
    within("send", async {
        while other.send(&name, message(last)).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    })
    .await;
    accepted.insert(last);
    let mut received = Vec::new();
    while received.last() != Some(&last) {
        received.extend(reader.take(1).await);
    }
    assert!(
        received.is_sorted_by(|one, next| one < next),
        "{received:?}"
    );
    let received = received.into_iter().collect();
    let lost: Vec<_> = accepted.difference(&received).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
}
