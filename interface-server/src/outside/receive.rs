//! Long polls: a client waits for messages of some channels.
//!
//! A message leaves its channel when the poll returns, and from there to the
//! connection nothing waits: a poll whose client has gone before has taken
//! nothing, or gives it back.

use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde::Deserialize;
use tokio::task::yield_now;
use tokio::time::sleep;
use towpath_layer_core::{ChannelKind, ChannelLayer, ChannelName, Message, Received, Reply, Taken};
use utoipa::ToSchema;

use super::answer;
use super::call::Call;
use super::event::Messages;
use super::handle::Api;
use super::problem::Problem;
use super::span::Span;
use crate::{BoxBody, BoxError};

/// Channels of one poll.
const CHANNELS_MAX: usize = 64;

/// Messages of one poll.
const MESSAGES_MAX: usize = 100;

/// Messages and what goes with them in one answer, in bytes as they are in the
/// layer. One message is handed out in any case.
const ANSWER_BYTES_MAX: usize = 32 << 20;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A backend takes a moment to say that nothing waits.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// Turns of the runtime before a poll begins: what is left of the request may
/// take the first.
const LOOKS: usize = 4;

/// Waits for messages of some channels and takes them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Receive {
    /// Shared or single-reader channels, 1 to 64.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 64)]
    channels: Vec<ChannelName>,
    /// How many messages are taken at most, 1 to 100; 1 if it is left out.
    /// Fewer, if they might be more than 32 MiB.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    max: Option<usize>,
    /// How long to wait if there is none; 20 s if it is left out, at least
    /// 100 ms, at most 60 s if the server is not configured otherwise.
    #[serde(default)]
    timeout: Option<Span>,
}

struct Wanted {
    channels: Vec<ChannelName>,
    max: usize,
    timeout: Duration,
}

impl Receive {
    fn check(self, api: &Api) -> Result<Wanted, Problem> {
        let mut channels = self.channels;
        if !(1..=CHANNELS_MAX).contains(&channels.len()) {
            let detail = format!("there are {} channels", channels.len());
            let expected = format!("1 to {CHANNELS_MAX} channels");
            return Err(Problem::value("channels", detail, &expected));
        }
        let is_reply = |name: &ChannelName| matches!(name.kind(), ChannelKind::Reply { .. });
        if let Some((index, name)) = channels.iter().enumerate().find(|(_, name)| is_reply(name)) {
            let detail = "what a reply channel carries is for one connection's own server";
            let problem = Problem::value(
                &format!("channels[{index}]"),
                detail,
                "a shared or single-reader channel",
            );
            return Err(problem.showing(name.as_str()));
        }
        let max = self.max.unwrap_or(1);
        if !(1..=MESSAGES_MAX).contains(&max) {
            let detail = "this many messages are not handed out at one time";
            let problem = Problem::value("max", detail, &format!("1 to {MESSAGES_MAX}"));
            return Err(problem.showing(&max.to_string()));
        }
        let timeout = self.timeout.map_or(TIMEOUT, |Span(timeout)| timeout);
        let timeout_max = api.limits.poll_timeout_max;
        if self.timeout.is_some() && timeout > timeout_max {
            let detail = format!("a poll does not wait for {timeout:?}");
            let expected = format!("at most {timeout_max:?}");
            return Err(Problem::value("timeout", detail, &expected));
        }
        channels.sort();
        channels.dedup();
        let limits = api.layer.limits();
        let size = limits
            .message_size_max
            .saturating_add(limits.envelope_size_max);
        let fits = ANSWER_BYTES_MAX.checked_div(size).unwrap_or(1).max(1);
        Ok(Wanted {
            channels,
            max: max.min(fits),
            timeout: timeout.min(timeout_max).max(TIMEOUT_MIN),
        })
    }
}

pub(super) async fn receive(
    api: &Api,
    call: &Call,
    request: Receive,
) -> Result<Response<BoxBody>, Problem> {
    let Wanted {
        channels,
        max,
        timeout,
    } = request.check(api)?;
    call.deadline.extend(timeout + api.limits.request_timeout);
    // A client that has asked and left is noticed when the runtime has looked
    // at its socket again, which is before anything is taken for it.
    for _ in 0..LOOKS {
        yield_now().await;
    }
    let mut receiver = api.receivers.take(&*api.layer, &channels)?;
    let mut taken = Vec::new();
    // Cancel-safe: a dropped receive has taken nothing, and a dropped receiver
    // gives back what it holds.
    tokio::select! {
        biased;
        received = receiver.receive_many(&mut taken, max) => received.map(drop)?,
        () = api.stop.cancelled() => {}
        () = sleep(timeout) => {}
    }
    api.receivers.keep(channels, receiver);
    let holds = notes(api, &taken);
    let messages = taken.into_iter().map(Into::into).collect();
    let written = call.writes.write(&Messages { messages })?;
    let body = if holds.is_empty() {
        crate::transport::respond::body(written.into())
    } else {
        vouched(Arc::clone(&api.layer), written.into(), holds)
    };
    Ok(answer::with(call.writes, body))
}

/// For each event: what tells its node that somebody holds it. A client has no
/// lease to be watched, so this node's stands for it; how long the client may
/// take is bounded by the consumer timeout alone.
fn notes(api: &Api, taken: &[Received]) -> Vec<(ChannelName, Message)> {
    let note = |received: &Received| match &received.message {
        Message::Event(event) => {
            let taken = Taken {
                attempt: event.attempt,
                worker: api.layer.node(),
            };
            let reply = Reply {
                taken: Some(taken),
                ..Reply::default()
            };
            Some((event.reply_channel.clone(), reply.into()))
        }
        Message::Custom(_) | Message::Reply(_) => None,
    };
    taken.iter().filter_map(note).collect()
}

/// A body behind which the notes are sent. If the client is gone before it
/// could be written, nobody vouches, and the events are soon found lost.
fn vouched(
    layer: Arc<dyn ChannelLayer>,
    written: Bytes,
    holds: Vec<(ChannelName, Message)>,
) -> BoxBody {
    let parts = stream! {
        yield Ok::<_, BoxError>(Frame::data(written));
        for result in layer.send_many(holds).await {
            if let Err(error) = result {
                tracing::warn!(%error, "a node is not told that its event is held");
            }
        }
    };
    StreamBody::new(parts).boxed_unsync()
}
