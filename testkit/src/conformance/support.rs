//! What the cases share: limits, nodes, messages, and waits with an end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::time::{Instant, timeout};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, Frame, GlobTable, GroupName, Limits, LocalId, Message,
    Received, Receiver, Reply,
};

use crate::{Backend, CollectingSink, Factory};

/// How long one step of a case may take.
pub(super) const STEP_MAX: Duration = Duration::from_secs(15);

/// How long a message on a `brief.` channel lives.
pub(super) const BRIEF: Duration = Duration::from_millis(300);

/// How long a node counts as alive.
pub(super) const LEASE: Duration = Duration::from_millis(600);

/// Limits that a case reaches in short time: `small.` channels hold 3 messages,
/// `big.` ones 100 000, all others 100; `brief.` ones keep them for 300 ms.
pub(super) fn limits() -> Limits {
    Limits {
        capacity: GlobTable::new(100)
            .rule("small.*", 3)
            .rule("big.*", 100_000),
        expiry: GlobTable::new(Duration::from_mins(1)).rule("brief.*", BRIEF),
        lease: LEASE,
        ..Limits::default()
    }
}

/// An empty backend within [`limits`].
pub(super) async fn empty(factory: &dyn Factory) -> Arc<dyn Backend> {
    factory.backend(limits()).await
}

pub(super) fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

pub(super) fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

pub(super) fn message(number: u64) -> Message {
    Content::encode(&number).unwrap().into()
}

pub(super) fn number(message: &Message) -> u64 {
    match message {
        Message::Custom(content) => content.decode().unwrap(),
        other => panic!("not a number: {other:?}"),
    }
}

pub(super) fn reply(number: u64) -> Reply {
    Reply::text(number.to_string())
}

pub(super) fn reply_number(reply: &Reply) -> u64 {
    match &reply.frame {
        Some(Frame::Text(text)) => text.parse().unwrap(),
        other => panic!("not a number: {other:?}"),
    }
}

/// Waits for `step`, but not for ever.
pub(super) async fn within<T>(what: &str, step: impl Future<Output = T>) -> T {
    match timeout(STEP_MAX, step).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {STEP_MAX:?}"),
    }
}

/// Waits until `holds`, and lets the backend's time pass meanwhile: `time_max`
/// of it, at most.
pub(super) async fn eventually(
    backend: &dyn Backend,
    what: &str,
    time_max: Duration,
    mut holds: impl AsyncFnMut() -> bool,
) {
    let step = Duration::from_millis(20);
    let mut passed = Duration::ZERO;
    while !within(what, holds()).await {
        assert!(passed < time_max, "{what}: not within {time_max:?}");
        backend.pass(step).await;
        passed += step;
    }
}

pub(super) async fn send(layer: &Arc<dyn ChannelLayer>, name: &ChannelName, number: u64) {
    let sent = within("send", layer.send(name, message(number))).await;
    sent.unwrap();
}

/// The receiving end of some channels, in numbers.
pub(super) struct Reader {
    receiver: Box<dyn Receiver>,
}

impl Reader {
    pub(super) fn new(layer: &Arc<dyn ChannelLayer>, names: &[&ChannelName]) -> Self {
        let names = names.iter().copied().cloned().collect();
        Self {
            receiver: layer.receiver(names).unwrap(),
        }
    }

    /// What comes next, as it came.
    pub(super) async fn received(&mut self, max: usize) -> Vec<Received> {
        let mut buffer = Vec::new();
        let count = within("receive", self.receiver.receive_many(&mut buffer, max)).await;
        let count = count.unwrap();
        assert!(count > 0 && count <= max, "{count} of at most {max}");
        assert_eq!(count, buffer.len(), "the count is what was moved");
        buffer
    }

    /// Exactly `count` numbers, in the order in which they come.
    pub(super) async fn take(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let received = self.received(count - numbers.len()).await;
            numbers.extend(received.iter().map(|one| number(&one.message)));
        }
        numbers
    }

    /// Begins to receive and gives up after `patience`. Returns what came.
    pub(super) async fn give_up_after(&mut self, patience: Duration, max: usize) -> Vec<u64> {
        let mut buffer = Vec::new();
        let receive = self.receiver.receive_many(&mut buffer, max);
        match timeout(patience, receive).await {
            Ok(count) => assert_eq!(count.unwrap(), buffer.len()),
            Err(_) => assert!(buffer.is_empty(), "a cancelled receive hands nothing out"),
        }
        buffer.iter().map(|one| number(&one.message)).collect()
    }

    /// Waits, to be woken by somebody else.
    pub(super) fn inner(&mut self) -> &mut dyn Receiver {
        &mut *self.receiver
    }

    pub(super) async fn close(mut self) {
        within("close", self.receiver.close()).await.unwrap();
    }
}

/// Nothing waits on the channel: a message sent now is the first to come.
pub(super) async fn nothing_waits(layer: &Arc<dyn ChannelLayer>, name: &ChannelName) {
    let sentinel = u64::MAX;
    send(layer, name, sentinel).await;
    let mut reader = Reader::new(layer, &[name]);
    assert_eq!(reader.take(1).await, [sentinel], "nothing waited on {name}");
    reader.close().await;
}

/// A node with connections.
pub(super) struct Peer {
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) sink: Arc<CollectingSink>,
}

impl Peer {
    pub(super) async fn new(backend: &dyn Backend) -> Self {
        let layer = backend.node().await;
        let sink = Arc::new(CollectingSink::new(layer.limits()));
        within("attach", layer.attach(sink.clone())).await.unwrap();
        Self { layer, sink }
    }

    /// Opens a connection.
    pub(super) fn connect(&self) -> (LocalId, ChannelName) {
        let local = self.sink.open();
        (local, ChannelName::reply(self.layer.node(), local))
    }
}

pub(super) async fn add(layer: &Arc<dyn ChannelLayer>, group: &GroupName, member: &ChannelName) {
    add_with(layer, group, member, b"").await;
}

pub(super) async fn add_with(
    layer: &Arc<dyn ChannelLayer>,
    group: &GroupName,
    member: &ChannelName,
    meta: &'static [u8],
) {
    let meta = Bytes::from_static(meta);
    let added = within("group_add", layer.group_add(group, member, meta)).await;
    added.unwrap();
}

pub(super) async fn discard(
    layer: &Arc<dyn ChannelLayer>,
    group: &GroupName,
    member: &ChannelName,
) {
    let discarded = within("group_discard", layer.group_discard(group, member)).await;
    discarded.unwrap();
}

pub(super) async fn members(
    layer: &Arc<dyn ChannelLayer>,
    group: &GroupName,
) -> BTreeMap<ChannelName, Bytes> {
    let members = layer
        .group_members(group)
        .map_ok(|member| (member.channel, member.meta));
    let all: Vec<_> = within("group_members", members.try_collect())
        .await
        .unwrap();
    let count = all.len();
    let map: BTreeMap<_, _> = all.into_iter().collect();
    assert_eq!(map.len(), count, "each member is listed once");
    map
}

/// How long `step` took, in the machine's time.
pub(super) async fn time(step: impl Future) -> Duration {
    let begin = Instant::now();
    step.await;
    begin.elapsed()
}
