//! Sends: to a channel, to a group, later, and not after all.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use towpath_layer_core::{
    ChannelKind, ChannelLayer, ChannelName, DelayKey, GroupName, Message, NodeId, Reply, Tick,
};
use utoipa::ToSchema;

use super::blob::Blob;
use super::message::{
    AcceptBody, CloseBody, DeliveryAnswer, DenyBody, EventBody, TakenBody, frame,
};
use super::problem::Problem;
use super::reply::CompletionBody;
use super::span::Span;
use super::topic_reply::{TopicReplyBody, said};
use super::value::{Any, present};

/// Sends to a channel: `content` to a shared or single-reader channel, any of
/// the other parts to a reply channel. The parts are done in the order `taken`,
/// `accept`, `deny`, frame, `topic`, `event`, `tick`, `close`, `completion`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    /// The channel.
    #[schema(value_type = String)]
    channel: ChannelName,
    /// What a consumer of the channel decodes.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Any, required = false)]
    content: Option<Any>,
    /// A text frame for the client.
    #[serde(default)]
    text: Option<String>,
    /// A binary frame for the client.
    #[serde(default)]
    bytes: Option<Blob>,
    /// A text frame for the client, with this value as JSON.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Any, required = false)]
    json: Option<Any>,
    /// What a topic's client is told, in this order.
    #[serde(default)]
    topic: Vec<TopicReplyBody>,
    /// An event for the connection's own consumer.
    #[serde(default)]
    event: Option<EventBody>,
    /// Starts or stops a recurring event for the connection's own consumer.
    #[serde(default)]
    tick: Option<TickBody>,
    /// Closes the socket; a waiting handshake is answered with 403.
    #[serde(default)]
    close: Option<CloseBody>,
    /// Accepts a handshake.
    #[serde(default)]
    accept: Option<AcceptBody>,
    /// Refuses a handshake.
    #[serde(default)]
    deny: Option<DenyBody>,
    /// Says that an event is still worked on.
    #[serde(default)]
    taken: Option<TakenBody>,
    /// Ends an event that was received.
    #[serde(default)]
    completion: Option<CompletionBody>,
    /// Sends it so much later; the answer has a key to cancel it by.
    #[serde(default)]
    delay: Option<Span>,
}

/// A recurring event for a connection's own consumer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Tick)]
pub(super) struct TickBody {
    /// The name of the event.
    name: String,
    /// How often, at least every 100 ms; without it, it stops.
    #[serde(default)]
    every: Option<Span>,
}

/// What was asked for, checked.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) channel: ChannelName,
    pub(super) message: Message,
    pub(super) delay: Option<Duration>,
}

impl Send {
    pub(super) fn check(mut self, layer: &dyn ChannelLayer) -> Result<Sending, Problem> {
        let channel = self.channel.clone();
        let delay = self.delay.map(|Span(delay)| delay);
        let content = self.content.take();
        let reply = self.into_reply(layer)?;
        let told = reply != Reply::default();
        let message = match (channel.kind(), content, told) {
            (ChannelKind::Reply { .. }, None, true) => Message::Reply(reply),
            (ChannelKind::Reply { .. }, ..) => {
                return Err(Problem::value(
                    "content",
                    "a reply channel leads to a connection, not to a consumer",
                    "text, bytes, json, topic, event, tick, close, accept, deny, taken or \
                     completion, and no content",
                ));
            }
            (_, Some(content), false) => Message::Custom(content.to_content()),
            (..) => {
                return Err(Problem::value(
                    "content",
                    "a shared or single-reader channel leads to a consumer, which decodes content",
                    "content, and nothing that is for a connection",
                ));
            }
        };
        Ok(Sending {
            channel,
            message,
            delay,
        })
    }

    fn into_reply(self, layer: &dyn ChannelLayer) -> Result<Reply, Problem> {
        let node: NodeId = layer.node();
        Ok(Reply {
            taken: self.taken.map(|taken| taken.into_taken(node)),
            accept: self
                .accept
                .map(AcceptBody::into_accept)
                .transpose()?
                .map(Box::new),
            deny: self
                .deny
                .map(DenyBody::into_deny)
                .transpose()?
                .map(Box::new),
            frame: frame(self.text, self.bytes, self.json)?,
            topic: said(self.topic)?,
            poll: None,
            event: self.event.map(|event| Box::new(event.into_application())),
            tick: self.tick.map(|tick| {
                Box::new(Tick {
                    name: tick.name.into(),
                    every: tick.every.map(|Span(every)| every),
                    stream: None,
                })
            }),
            close: self.close.map(CloseBody::into_close).transpose()?,
            completion: self
                .completion
                .map(|completion| completion.into_completion(layer.limits()))
                .transpose()?
                .map(Box::new),
            position: None,
        })
    }
}

impl Sending {
    pub(super) async fn perform(self, layer: &dyn ChannelLayer) -> Result<Sent, Problem> {
        let key = match self.delay {
            None => {
                layer.send(&self.channel, self.message).await?;
                None
            }
            Some(delay) => Some(layer.send_after(delay, &self.channel, self.message).await?),
        };
        Ok(Sent { key })
    }
}

/// It was sent, or waits for its time.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Sent {
    /// What cancels it, if it waits for its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    key: Option<DelayKey>,
}

/// Sends to every member of a group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupSend {
    /// The group.
    #[schema(value_type = String)]
    group: GroupName,
    /// A text frame for the clients.
    #[serde(default)]
    text: Option<String>,
    /// A binary frame for the clients.
    #[serde(default)]
    bytes: Option<Blob>,
    /// A text frame for the clients, with this value as JSON.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Any, required = false)]
    json: Option<Any>,
    /// An event for the members' own consumers.
    #[serde(default)]
    event: Option<EventBody>,
    /// Closes the members' sockets.
    #[serde(default)]
    close: Option<CloseBody>,
}

impl GroupSend {
    pub(super) async fn perform(self, layer: &dyn ChannelLayer) -> Result<DeliveryAnswer, Problem> {
        let reply = Reply {
            frame: frame(self.text, self.bytes, self.json)?,
            event: self.event.map(|event| Box::new(event.into_application())),
            close: self.close.map(CloseBody::into_close).transpose()?,
            ..Reply::default()
        };
        if reply == Reply::default() {
            let detail = "there is nothing to send to the group";
            let expected = "one or more of text, bytes, json, event and close";
            return Err(Problem::value("group", detail, expected));
        }
        Ok(layer.group_send(&self.group, reply).await?.into())
    }
}

/// Cancels a message that waits for its time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    /// The key that the send answered.
    #[schema(value_type = String)]
    key: DelayKey,
}

/// Whether a message was cancelled.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cancelled {
    /// True if it still waited; then it never arrives.
    cancelled: bool,
}

impl Cancel {
    pub(super) async fn perform(self, layer: &dyn ChannelLayer) -> Result<Cancelled, Problem> {
        let cancelled = layer.cancel(&self.key).await?;
        Ok(Cancelled { cancelled })
    }
}
