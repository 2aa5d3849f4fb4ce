//! Names that belong to the protocol.

use towpath_layer_core::{Broadcast, Frame};

use crate::{Error, Result};

/// The topic of the connection itself.
const PROTOCOL_TOPIC: &str = "phoenix";
/// What events of the protocol begin with.
const PROTOCOL_PREFIX: &str = "phx_";
/// Ends every socket of an id.
pub(super) const DISCONNECT: &str = "disconnect";
/// What keeps a connection awake, on the protocol's own topic.
pub(super) const HEARTBEAT: &str = "heartbeat";
/// How a client leaves a topic.
pub(super) const LEAVE: &str = "phx_leave";
pub(super) const REPLY: &str = "phx_reply";
pub(super) const CLOSE: &str = "phx_close";

pub(super) fn is_reserved_topic(topic: &str) -> bool {
    topic == PROTOCOL_TOPIC
}

pub(super) fn is_reserved_event(event: &str) -> bool {
    event.starts_with(PROTOCOL_PREFIX)
}

/// Whether an application may send an event of that name.
pub(super) fn check_event(event: &str) -> Result {
    if is_reserved_event(event) {
        return Err(Error::internal(format!(
            "the event {event:?} is the protocol's own: name yours without {PROTOCOL_PREFIX:?}"
        )));
    }
    Ok(())
}

/// Whether an application may use a topic of that name.
pub(super) fn check_topic(topic: &str) -> Result {
    if is_reserved_topic(topic) {
        return Err(Error::internal(format!(
            "the topic {topic:?} is the protocol's own: nobody joins it"
        )));
    }
    Ok(())
}

/// A message for everybody who joined a topic, if its names are free.
pub(super) fn broadcast(topic: &str, event: &str, payload: Frame) -> Result<Broadcast> {
    check_topic(topic)?;
    check_event(event)?;
    Ok(Broadcast {
        topic: topic.into(),
        event: event.into(),
        payload,
        except: None,
    })
}
