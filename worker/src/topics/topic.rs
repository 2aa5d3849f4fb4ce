//! What a topic's consumer is called with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;
use serde::Serialize;
use towpath_layer_core::{
    Broadcast, ChannelName, DelayKey, Frame, GroupChange, GroupName, PlainMember, Reference, Reply,
    TopicReply,
};

use super::presence::Changes;
use super::run::Done;
use super::socket_ref::PlainRef;
use super::{SocketRef, TopicPayload, Topics, names, wire};
use crate::effects::OUTBOX_EFFECTS_MAX;
use crate::{Context, Error, FromContext, Groups, Layer, Outbox, Result, Socket, held};

/// One client in one topic: what its consumer tells it, and everybody who
/// joined the topic.
///
/// Each call takes effect when awaited, in the order of the calls; in a join,
/// what is pushed and broadcast waits until it has succeeded. What is small
/// leaves with the answer, in one message. What a message carries is a JSON
/// object (a struct or a map) or bytes.
///
/// ```
/// use std::time::Duration;
///
/// use serde_json::json;
/// use towpath_worker::{Result, Topic};
///
/// async fn welcome(topic: &Topic) -> Result {
///     topic.push("welcome", &json!({"topic": topic.name()})).await?;
///     topic.broadcast_from("entered", &json!({})).await?;
///     topic.tick_every(Duration::from_secs(10), "clock").await
/// }
/// ```
#[derive(Debug)]
pub struct Topic {
    socket: Socket,
    name: Arc<str>,
    /// Whether the connection is a plain WebSocket.
    plain: bool,
    /// What an answer to the client's message carries.
    reference: Option<Reference>,
    /// In a join: what waits until it has succeeded.
    waiting: Mutex<Option<Vec<Said>>>,
    /// What it says of presences until it returns.
    presences: Mutex<Changes>,
    stops: AtomicBool,
}

/// What was said in a join.
#[derive(Debug)]
enum Said {
    Push(TopicReply),
    Broadcast(Broadcast),
}

impl Topic {
    fn new(context: &Context, name: Arc<str>, plain: bool) -> Result<Self> {
        Ok(Self {
            socket: Socket::of(context)?,
            name,
            plain,
            reference: None,
            waiting: Mutex::default(),
            presences: Mutex::default(),
            stops: AtomicBool::new(false),
        })
    }

    /// Of a socket with topics.
    pub(super) fn of(context: &Context) -> Result<Self> {
        let topic = context.event().and_then(|event| event.topic.as_ref());
        let name = topic.ok_or_else(|| context.lacks("topic"))?;
        Self::new(context, Arc::clone(name), false)
    }

    /// Of a plain WebSocket.
    pub(super) fn plain(context: &Context, name: String) -> Result<Self> {
        Self::new(context, name.into(), true)
    }

    pub(super) fn joining(self) -> Self {
        let waiting = Mutex::new(Some(Vec::new()));
        Self { waiting, ..self }
    }

    pub(super) fn answering(self, reference: Option<Reference>) -> Self {
        Self { reference, ..self }
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands after the first `:` of the name: `lobby` of `room:lobby`.
    /// Empty if there is none.
    #[must_use]
    pub fn subtopic(&self) -> &str {
        self.name.split_once(':').map_or("", |(_, rest)| rest)
    }

    /// Where this client's messages of this topic go; whoever has it can write
    /// to it, and leave it out of a broadcast.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        self.socket.reply_channel()
    }

    /// Sends a message to this client alone.
    ///
    /// # Errors
    ///
    /// [`Error`] with the layer's
    /// [`SendError`](towpath_layer_core::SendError), or an internal one if the
    /// value is no JSON object, or the event's name is the protocol's own
    /// (`phx_…`).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn push<T: Serialize + Sync + ?Sized>(&self, event: &str, payload: &T) -> Result {
        self.push_payload(event, TopicPayload::encode(payload)?)
            .await
    }

    /// As [`push`](Self::push), with bytes.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); bytes cannot go to a plain WebSocket.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn push_bytes(&self, event: &str, payload: impl Into<Bytes>) -> Result {
        self.push_payload(event, TopicPayload::binary(payload))
            .await
    }

    /// As [`push`](Self::push), with what is encoded already.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn push_payload(&self, event: &str, payload: TopicPayload) -> Result {
        names::check_event(event)?;
        let event = event.into();
        let payload = payload.into_message()?;
        self.say(Said::Push(TopicReply::Push { event, payload }))
            .await
    }

    /// Sends a message to everybody who has joined the topic, on every node,
    /// this client among them.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast<T: Serialize + Sync + ?Sized>(
        &self,
        event: &str,
        payload: &T,
    ) -> Result {
        self.broadcast_payload(event, TopicPayload::encode(payload)?)
            .await
    }

    /// As [`broadcast`](Self::broadcast), with bytes.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_bytes(&self, event: &str, payload: impl Into<Bytes>) -> Result {
        self.broadcast_payload(event, TopicPayload::binary(payload))
            .await
    }

    /// As [`broadcast`](Self::broadcast), with what is encoded already.
    ///
    /// Think twice before you send on what a client sent: build it from the
    /// fields that you checked.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_payload(&self, event: &str, payload: TopicPayload) -> Result {
        let broadcast = self.message(event, payload)?;
        self.say(Said::Broadcast(broadcast)).await
    }

    /// As [`broadcast`](Self::broadcast), but not to this client.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_from<T: Serialize + Sync + ?Sized>(
        &self,
        event: &str,
        payload: &T,
    ) -> Result {
        self.broadcast_payload_from(event, TopicPayload::encode(payload)?)
            .await
    }

    /// As [`broadcast_from`](Self::broadcast_from), with bytes.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_bytes_from(&self, event: &str, payload: impl Into<Bytes>) -> Result {
        self.broadcast_payload_from(event, TopicPayload::binary(payload))
            .await
    }

    /// As [`broadcast_from`](Self::broadcast_from), with what is encoded
    /// already.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_payload_from(&self, event: &str, payload: TopicPayload) -> Result {
        let mut broadcast = self.message(event, payload)?;
        broadcast.except = Some(self.channel().clone());
        self.say(Said::Broadcast(broadcast)).await
    }

    /// The client's message, to be answered later and from anywhere.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if it expects no answer: it had no `ref`, or the
    /// consumer was not called for a message of the client.
    pub fn reply_ref(&self) -> Result<SocketRef> {
        let lacks = || Error::internal("there is no message that waits for an answer");
        let plain = || PlainRef {
            topic: (*self.name).into(),
            stream: self.context().framing().stream,
        };
        Ok(SocketRef {
            channel: self.channel().clone(),
            reference: self.reference.clone().ok_or_else(lacks)?,
            plain: self.plain.then(plain),
        })
    }

    /// The topic ends for this client, in good order, once the consumer has
    /// returned without an error; the client does not join again by itself. In
    /// a join the client joins first.
    pub fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
    }

    /// Broadcasts of another topic come to
    /// [`handle_info`](super::TopicConsumer::handle_info) from now on, until this
    /// one ends. What is not broadcast, as presences are not, does not.
    ///
    /// # Errors
    ///
    /// [`Error`] with the layer's
    /// [`GroupError`](towpath_layer_core::GroupError), or an internal one for
    /// the conversation's own topic.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have subscribed or not.
    pub async fn subscribe(&self, topic: &str) -> Result {
        self.check_other(topic)?;
        let stream = self.context().framing().stream.unwrap_or_default();
        let member = PlainMember {
            stream,
            intercepts: Vec::new(),
        };
        let meta = member.to_text().into_bytes();
        let group = GroupName::topic(topic);
        join_group(self.context(), self.listener(), group, meta).await
    }

    /// They come no more; fine if they did not.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have unsubscribed or not.
    pub async fn unsubscribe(&self, topic: &str) -> Result {
        self.check_other(topic)?;
        let group = GroupName::topic(topic);
        leave_group(self.context(), self.listener(), group).await
    }

    /// Sends this conversation's own consumer an event of the application, for
    /// [`handle_info`](super::TopicConsumer::handle_info).
    ///
    /// # Errors
    ///
    /// As [`Socket::event`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the event or not.
    pub async fn event<T: Serialize + Sync + ?Sized>(
        &self,
        name: impl Into<ByteString>,
        value: &T,
    ) -> Result {
        self.socket.event(name, value).await
    }

    /// The same later; it is gone with the conversation.
    ///
    /// # Errors
    ///
    /// As [`Socket::event_after`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave the event waiting.
    pub async fn event_after<T: Serialize + Sync + ?Sized>(
        &self,
        delay: Duration,
        name: impl Into<ByteString>,
        value: &T,
    ) -> Result<DelayKey> {
        self.socket.event_after(delay, name, value).await
    }

    /// Sends this conversation's own consumer an event without content, again
    /// and again; see [`Socket::tick_every`].
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have started the ticks or not.
    pub async fn tick_every(&self, period: Duration, name: impl Into<ByteString>) -> Result {
        self.socket.tick_every(period, name).await
    }

    /// Ends the ticks of one name; fine if there are none.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have ended the ticks or not.
    pub async fn stop_ticking(&self, name: impl Into<ByteString>) -> Result {
        self.socket.stop_ticking(name).await
    }

    /// All topics, to broadcast to.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics::of(self.context())
    }

    /// The groups of the layer, and this conversation's own part in them.
    #[must_use]
    pub fn groups(&self) -> Groups {
        self.socket.groups()
    }

    /// The layer.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.socket.layer()
    }

    /// What goes out together once the consumer has returned without an error.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.socket.outbox()
    }

    /// A value of the application, as [`State`](crate::State) has it.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if the application has none of that type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.socket.state()
    }

    /// What an extractor makes of the event.
    ///
    /// # Errors
    ///
    /// Those of the extractor.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing from the event.
    pub async fn extract<E: FromContext>(&self) -> Result<E> {
        self.socket.extract().await
    }

    /// The event as extractors see it.
    #[must_use]
    pub fn context(&self) -> &Context {
        self.socket.context()
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    fn message(&self, event: &str, payload: TopicPayload) -> Result<Broadcast> {
        names::broadcast(&self.name, event, payload.into_message()?)
    }

    /// As which of the connection's listeners it hears of other topics: the
    /// conversation of a joined topic does itself, a plain WebSocket and each of
    /// its streams has one.
    fn listener(&self) -> u8 {
        if self.plain {
            self.context().framing().number.max(1)
        } else {
            0
        }
    }

    /// Ends all its subscriptions on a plain WebSocket, or on a stream.
    pub(super) async fn unsubscribe_all(&self) -> Result {
        let channel = self.context().reply_channel()?;
        held::flush().await;
        let layer = self.context().layer();
        Ok(layer
            .discard_all(&channel.listener(self.listener()))
            .await?)
    }

    fn check_other(&self, topic: &str) -> Result {
        if *self.name == *topic {
            let reason = "the conversation has joined the topic: that ends with stop";
            return Err(Error::internal(reason));
        }
        Ok(())
    }

    /// Says it now, or once the join has succeeded.
    async fn say(&self, said: Said) -> Result {
        let said = {
            let mut waiting = self.waiting.lock();
            match &mut *waiting {
                None => said,
                Some(all) if all.len() < OUTBOX_EFFECTS_MAX => {
                    all.push(said);
                    return Ok(());
                }
                Some(_) => {
                    return Err(Error::internal(format!(
                        "a join pushes and broadcasts {OUTBOX_EFFECTS_MAX} messages at most"
                    )));
                }
            }
        };
        self.say_now(said).await
    }

    async fn say_now(&self, said: Said) -> Result {
        match said {
            Said::Push(push) => self.tell_all(vec![push]).await,
            Said::Broadcast(broadcast) if self.context().holds() => {
                self.context().put(self.topics().effect(broadcast))
            }
            Said::Broadcast(broadcast) => self.topics().send(broadcast).await.map(drop),
        }
    }

    /// Tells the client, and its node what concerns it alone.
    pub(super) async fn tell_all(&self, said: Vec<TopicReply>) -> Result {
        if said.is_empty() {
            return Ok(());
        }
        if self.plain {
            for reply in wire::replies(&self.context().framing(), &self.name, said)? {
                self.socket.reply(reply).await?;
            }
            return Ok(());
        }
        self.socket
            .reply(Reply {
                topic: said,
                ..Reply::default()
            })
            .await
    }

    /// The join has succeeded; whether the topic ends at once.
    pub(super) async fn opened(&self, said: Vec<TopicReply>) -> Result<bool> {
        let waiting = self.waiting.lock().take();
        self.tell_all(said).await?;
        for said in waiting.into_iter().flatten() {
            self.say_now(said).await?;
        }
        self.finished(Done::default()).await
    }

    /// Answers the client's message, if it waits for that; whether the topic
    /// ends.
    pub(super) async fn finished(&self, done: Done) -> Result<bool> {
        let Done {
            reply,
            stops,
            presences: mut said,
        } = done;
        said.extend(reply.and_then(|(status, response)| self.answer(status, response)));
        let stops = stops || self.stops();
        if stops {
            said.push(TopicReply::Stop);
        }
        self.tell_all(said).await?;
        Ok(stops)
    }

    /// Answers the client's message, if it waits for that, and nothing else.
    pub(super) async fn answered(&self, status: ByteString, response: Frame) -> Result {
        let answer = self.answer(status, response);
        self.tell_all(answer.into_iter().collect()).await
    }

    fn answer(&self, status: ByteString, response: Frame) -> Option<TopicReply> {
        let reference = self.reference.clone()?;
        Some(TopicReply::Answer {
            reference,
            status,
            response,
        })
    }

    pub(super) fn stops(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(super) fn with_presences<R>(&self, change: impl FnOnce(&mut Changes) -> R) -> R {
        change(&mut self.presences.lock())
    }
}

/// Makes the event's own conversation a member of a group, as itself or as a
/// listener; it goes with the completion, too.
pub(super) async fn join_group(
    context: &Context,
    listener: u8,
    group: GroupName,
    meta: Bytes,
) -> Result {
    let channel = context.reply_channel()?.listener(listener);
    held::flush().await;
    let layer = context.layer();
    layer.group_add(&group, &channel, meta.clone()).await?;
    context.note_group(GroupChange::Add {
        group,
        meta,
        listener,
    });
    Ok(())
}

pub(super) async fn leave_group(context: &Context, listener: u8, group: GroupName) -> Result {
    let channel = context.reply_channel()?.listener(listener);
    held::flush().await;
    context.layer().group_discard(&group, &channel).await?;
    context.note_group(GroupChange::Discard { group, listener });
    Ok(())
}
