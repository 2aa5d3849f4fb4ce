//! One request, read.

use bytes::Bytes;
use http::Request;
use http::header::HeaderMap;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use towpath_layer_core::{ChannelName, GroupName};

use super::deadline::Deadline;
use super::encoding::Encoding;
use super::limits::ApiLimits;
use super::problem::{self, Kind, Problem};
use super::routes::Operation;

/// A request that may be served.
#[derive(Debug)]
pub(super) struct Call {
    /// How the answer is written.
    pub(super) writes: Encoding,
    /// What stands behind `?`.
    pub(super) query: String,
    /// The end of its connection.
    pub(super) deadline: Deadline,
    reads: Encoding,
    body: Bytes,
    /// The variable parts of the path.
    captures: Vec<String>,
}

impl Call {
    /// Reads a request to its end.
    pub(super) async fn read(
        request: Request<Incoming>,
        operation: Operation,
        captures: Vec<String>,
        deadline: Deadline,
        limits: &ApiLimits,
    ) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let writes = Encoding::of_answer(&head.headers, operation.offers())?;
        let reads = if operation.takes_body() {
            Encoding::of_body(&head.headers)?
        } else {
            Encoding::Json
        };
        let body = read_body(body, &head.headers, limits).await?;
        deadline.extend(limits.request_timeout);
        Ok(Self {
            writes,
            query: head.uri.query().unwrap_or_default().to_owned(),
            deadline,
            reads,
            body,
            captures,
        })
    }

    /// The body as what the operation takes.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.reads.read(&self.body)
    }

    /// The variable part of the path at this place, as a channel.
    pub(super) fn channel(&self, index: usize) -> Result<ChannelName, Problem> {
        let text = self.capture(index);
        ChannelName::new(text).map_err(|error| problem::name("channel", text, &error))
    }

    /// The variable part of the path at this place, as a group.
    pub(super) fn group(&self, index: usize) -> Result<GroupName, Problem> {
        let text = self.capture(index);
        GroupName::new(text).map_err(|error| problem::name("group", text, &error))
    }

    /// The variable part of the path at this place.
    pub(super) fn capture(&self, index: usize) -> &str {
        self.captures.get(index).map_or("", String::as_str)
    }
}

async fn read_body(
    body: Incoming,
    headers: &HeaderMap,
    limits: &ApiLimits,
) -> Result<Bytes, Problem> {
    let size_max = limits.body_bytes_max;
    let too_large = || {
        Problem::new(Kind::BodyTooLarge, "the body is larger than is read")
            .expecting(format!("at most {size_max} bytes"))
    };
    // Before anything is read: who asks to go on need not send it.
    let size = body.size_hint().lower();
    if size > u64::try_from(size_max).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    if headers.contains_key(http::header::CONTENT_ENCODING) {
        let problem = Problem::new(Kind::UnsupportedMediaType, "an encoded body is not read");
        return Err(problem
            .at("content-encoding")
            .expecting("no content-encoding"));
    }
    let reading = Limited::new(body, size_max).collect();
    match timeout(limits.request_timeout, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Problem::new(
            Kind::MalformedBody,
            format!("the body ends early: {error}"),
        )),
        Err(_) => Err(Problem::new(
            Kind::RequestTimeout,
            format!(
                "the body did not arrive within {:?}",
                limits.request_timeout
            ),
        )),
    }
}
