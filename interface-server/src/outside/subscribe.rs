//! What is broadcast in a topic, one a line, for as long as the client stays.

use std::time::Duration;

use async_stream::try_stream;
use bytes::Bytes;
use futures_util::Stream;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame as BodyFrame;
use serde::Serialize;
use tokio::time::timeout;
use towpath_layer_core::{Broadcast, Fed, Frame, TopicFeed};
use utoipa::ToSchema;

use super::answer;
use super::blob::Blob;
use super::call::Call;
use super::encoding::Encoding;
use super::handle::Api;
use super::problem::Problem;
use super::topics::check_topic;
use crate::{BoxBody, BoxError};

/// Where nothing is broadcast, an empty line is written this often, so that
/// either end knows of the other.
const QUIET_MAX: Duration = Duration::from_secs(15);

/// One line.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = TopicLine)]
pub(super) struct Line {
    /// The topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    /// What the message is.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    payload: Option<serde_json::Value>,
    /// What it says, if that is bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Blob>,
    /// Broadcasts may be missing here: too many waited for the client, or the
    /// backend was away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gap: bool,
}

impl From<Fed> for Line {
    fn from(fed: Fed) -> Self {
        let Fed::Broadcast(broadcast) = fed else {
            return Self {
                gap: true,
                ..Self::default()
            };
        };
        let Broadcast {
            topic,
            event,
            payload,
            ..
        } = broadcast;
        let mut line = Self {
            topic: Some(topic.into()),
            event: Some(event.into()),
            ..Self::default()
        };
        match payload {
            // Read and written anew: what a client said may have line breaks.
            Frame::Text(json) => line.payload = serde_json::from_str(&json).ok(),
            Frame::Bytes(bytes) => line.bytes = Some(Blob(bytes)),
        }
        line
    }
}

pub(super) async fn subscribe(api: &Api, call: &Call) -> Result<Response<BoxBody>, Problem> {
    let topic = call.capture(0);
    check_topic("topic", topic)?;
    let mut feed = TopicFeed::open(api.layer.clone()).await?;
    feed.add(topic).await?;
    let body = StreamBody::new(lines(api, call, feed)).boxed_unsync();
    Ok(answer::with(Encoding::Lines, body))
}

/// Each line that the client takes moves the end of the connection on. The first
/// is empty: from then on nothing is missed.
fn lines(
    api: &Api,
    call: &Call,
    mut feed: TopicFeed,
) -> impl Stream<Item = Result<BodyFrame<Bytes>, BoxError>> + Send + 'static {
    let (stop, deadline) = (api.stop.clone(), call.deadline.clone());
    let span = api.limits.request_timeout;
    let quiet_max = QUIET_MAX.min(span / 2);
    try_stream! {
        yield BodyFrame::data(Bytes::from_static(b"\n"));
        loop {
            deadline.extend(span);
            let next = stop.run_until_cancelled(timeout(quiet_max, feed.next()));
            let line = match next.await {
                Some(Ok(Some(fed))) => Encoding::Lines.write(&Line::from(fed)),
                Some(Err(_)) => Ok(b"\n".to_vec()),
                // The server stops, or the node has left the layer.
                None | Some(Ok(None)) => return,
            };
            let line = line.map_err(|_| "a broadcast cannot be written")?;
            yield BodyFrame::data(Bytes::from(line));
        }
    }
}
