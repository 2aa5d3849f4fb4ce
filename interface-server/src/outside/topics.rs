//! Topics: messages for everybody who joined one, and the end of a socket by
//! its id.

use bytestring::ByteString;
use serde::Deserialize;
use towpath_layer_core::{
    Broadcast, ChannelKind, ChannelLayer, ChannelName, Frame, GroupName, Reply, TopicReply,
};
use utoipa::ToSchema;

use super::blob::Blob;
use super::handle::Api;
use super::message::DeliveryAnswer;
use super::problem::Problem;
use super::value::{Any, present};

/// The topic of the connection itself.
const PROTOCOL_TOPIC: &str = "phoenix";

/// What events of the protocol begin with.
const PROTOCOL_PREFIX: &str = "phx_";

/// The event that ends every socket of an id.
const DISCONNECT: &str = "disconnect";

/// Sends a message to everybody who has joined a topic.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicBroadcast {
    /// The topic, `room:lobby` for example; any text but `phoenix`.
    topic: String,
    /// What the message is, `new_msg` for example; not `phx_…`.
    event: String,
    /// What it says.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Object, required = false)]
    payload: Option<Any>,
    /// What it says, in place of a payload.
    #[serde(default)]
    bytes: Option<Blob>,
    /// The reply channel of the conversation that it is not for.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    except: Option<ChannelName>,
}

/// Ends every socket of an id, on every node, with 1001; its clients connect
/// again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicDisconnect {
    /// The id that the socket's consumer gave it, `user:7` for example.
    socket: String,
}

impl TopicBroadcast {
    pub(super) async fn perform(self, api: &Api) -> Result<DeliveryAnswer, Problem> {
        check_topic("topic", &self.topic)?;
        let history = api.histories.of(&self.topic);
        let except = self.except.map(reply_channel).transpose()?;
        let broadcast = Broadcast {
            topic: self.topic.into(),
            event: event(self.event)?,
            payload: payload(self.payload.as_ref(), self.bytes)?,
            except,
        };
        let (group, reply) = group_message(broadcast);
        Ok(match history {
            None => api.layer.group_send(&group, reply).await?.into(),
            Some(history) => {
                let published = api.layer.group_publish(&group, reply, &history).await?;
                published.0.into()
            }
        })
    }
}

impl TopicDisconnect {
    pub(super) async fn perform(self, layer: &dyn ChannelLayer) -> Result<DeliveryAnswer, Problem> {
        check_topic("socket", &self.socket)?;
        let broadcast = Broadcast {
            topic: self.socket.into(),
            event: ByteString::from_static(DISCONNECT),
            payload: Frame::Text(ByteString::from_static("{}")),
            except: None,
        };
        let (group, reply) = group_message(broadcast);
        Ok(layer.group_send(&group, reply).await?.into())
    }
}

/// A broadcast, and the group through which it goes.
fn group_message(broadcast: Broadcast) -> (GroupName, Reply) {
    let group = GroupName::topic(&broadcast.topic);
    let reply = Reply {
        topic: vec![TopicReply::Broadcast(broadcast)],
        ..Reply::default()
    };
    (group, reply)
}

/// The group that a client names: by its name, or as that of a topic.
pub(super) fn group(group: Option<GroupName>, topic: Option<&str>) -> Result<GroupName, Problem> {
    let detail = "it is not said which group";
    group_if_named(group, topic)?
        .ok_or_else(|| Problem::value("group", detail, "one of group and topic"))
}

/// The same, if it names one.
pub(super) fn group_if_named(
    group: Option<GroupName>,
    topic: Option<&str>,
) -> Result<Option<GroupName>, Problem> {
    if group.is_some() && topic.is_some() {
        let detail = "two groups are named";
        return Err(Problem::value("group", detail, "one of group and topic"));
    }
    if let Some(topic) = topic {
        check_topic("topic", topic)?;
    }
    Ok(group.or_else(|| topic.map(GroupName::topic)))
}

pub(super) fn check_topic(key: &str, topic: &str) -> Result<(), Problem> {
    if topic == PROTOCOL_TOPIC {
        let detail = "this topic is the protocol's own: nobody joins it";
        return Err(Problem::value(key, detail, "another name").showing(topic));
    }
    Ok(())
}

/// The name of a message, if it is free.
pub(super) fn event(name: String) -> Result<ByteString, Problem> {
    if name.starts_with(PROTOCOL_PREFIX) {
        let detail = "this event is the protocol's own";
        let expected = "a name that does not begin with phx_";
        return Err(Problem::value("event", detail, expected).showing(&name));
    }
    Ok(name.into())
}

/// What a message says: clients take a JSON object, or bytes.
pub(super) fn payload(payload: Option<&Any>, bytes: Option<Blob>) -> Result<Frame, Problem> {
    let expected = "one of payload, an object, and bytes";
    match (payload, bytes) {
        (Some(object @ Any(rmpv::Value::Map(_))), None) => Ok(json(object)),
        (Some(other), None) => {
            let problem = Problem::value("payload", "this is no object", expected);
            Err(problem.showing(&other.to_json().to_string()))
        }
        (None, Some(Blob(bytes))) => Ok(Frame::Bytes(bytes)),
        (None, None) => Err(Problem::value("payload", "it says nothing", expected)),
        (Some(_), Some(_)) => Err(Problem::value("payload", "it says two things", expected)),
    }
}

/// A value as the JSON text of a frame.
pub(super) fn json(value: &Any) -> Frame {
    Frame::Text(value.to_json().to_string().into())
}

fn reply_channel(channel: ChannelName) -> Result<ChannelName, Problem> {
    if matches!(channel.kind(), ChannelKind::Reply { .. }) {
        return Ok(channel);
    }
    let problem = Problem::value("except", "this leads to no client", "a reply channel");
    Err(problem.showing(channel.as_str()))
}
