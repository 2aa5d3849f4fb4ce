//! The parts of messages as clients write them.

use bytestring::ByteString;
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use towpath_layer_core::{Accept, Application, Close, Deny, Frame, Headers, NodeId, Taken};
use utoipa::ToSchema;

use super::blob::Blob;
use super::problem::Problem;
use super::value::{Any, present};
use crate::protocol::close;

/// The reason of a close frame, in bytes (RFC 6455 §5.5).
const REASON_LEN_MAX: usize = 123;

/// Header fields: names and values. A value's characters are its bytes, as in
/// ISO-8859-1.
pub(super) type HeaderList = Vec<(String, String)>;

/// An event of the application, for the consumers of connections.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApplicationEvent)]
pub(super) struct EventBody {
    /// Which event, `chat.message` for example.
    name: String,
    /// Its content.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Any, required = false)]
    content: Option<Any>,
}

impl EventBody {
    pub(super) fn into_application(self) -> Application {
        let nothing = Any(rmpv::Value::Nil);
        let content = self.content.unwrap_or(nothing).to_content();
        Application::new(self.name, content)
    }
}

/// How to close a socket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Close)]
pub(super) struct CloseBody {
    /// The close code (RFC 6455 §7.4), 1000 for example, or 4000 to 4999.
    code: u16,
    /// The reason, at most 123 bytes.
    #[serde(default)]
    reason: String,
}

impl CloseBody {
    pub(super) fn into_close(self) -> Result<Close, Problem> {
        if !close::may_be_sent(self.code) {
            let detail = "this close code may not be sent in a frame";
            let expected = "1000 to 1003, 1007 to 1014, or 3000 to 4999";
            let problem = Problem::value("close.code", detail, expected);
            return Err(problem.showing(&self.code.to_string()));
        }
        if self.reason.len() > REASON_LEN_MAX {
            let detail = format!("the reason has {} bytes", self.reason.len());
            let expected = format!("at most {REASON_LEN_MAX} bytes");
            return Err(Problem::value("close.reason", detail, &expected));
        }
        Ok(Close {
            code: self.code,
            reason: self.reason.into(),
        })
    }
}

/// Answers a handshake with 101.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Accept)]
pub(super) struct AcceptBody {
    /// The subprotocol chosen among those that the peer offered.
    #[serde(default)]
    subprotocol: Option<String>,
    /// Header fields to add, as pairs of name and value.
    #[serde(default)]
    #[schema(value_type = Vec<(String, String)>)]
    headers: HeaderList,
}

impl AcceptBody {
    pub(super) fn into_accept(self) -> Result<Accept, Problem> {
        Ok(Accept {
            subprotocol: self.subprotocol.map(Into::into),
            headers: headers(self.headers).map_err(|problem| problem.within("accept"))?,
        })
    }
}

/// Answers a handshake with an HTTP error.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Deny)]
pub(super) struct DenyBody {
    /// The HTTP status, 400 to 599.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Header fields to add, as pairs of name and value.
    #[serde(default)]
    #[schema(value_type = Vec<(String, String)>)]
    headers: HeaderList,
    /// The body.
    #[serde(default)]
    body: String,
}

impl DenyBody {
    pub(super) fn into_deny(self) -> Result<Deny, Problem> {
        if !(400..=599).contains(&self.status) {
            let detail = "a handshake is denied with an HTTP error";
            let problem = Problem::value("deny.status", detail, "400 to 599");
            return Err(problem.showing(&self.status.to_string()));
        }
        Ok(Deny {
            status: self.status,
            headers: headers(self.headers).map_err(|problem| problem.within("deny"))?,
            body: self.body.into(),
        })
    }
}

/// Says that an event is still worked on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Taken)]
pub(super) struct TakenBody {
    /// The event's `attempt`.
    attempt: u64,
}

impl TakenBody {
    /// A client has no lease; the node that it speaks through vouches for it.
    pub(super) fn into_taken(self, worker: NodeId) -> Taken {
        Taken {
            attempt: self.attempt,
            worker,
        }
    }
}

/// What became of a group send, as far as known.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryAnswer {
    /// Nodes that have members of the group.
    nodes: u32,
    /// Of these, the nodes whose inbox took the message.
    delivered: u32,
    /// Of these, the nodes whose inbox refused it or that are gone.
    dropped: u32,
    /// Whether every member is known: false for one lease after the backend
    /// came back, while nodes still announce theirs.
    certain: bool,
}

impl From<towpath_layer_core::Delivery> for DeliveryAnswer {
    fn from(delivery: towpath_layer_core::Delivery) -> Self {
        Self {
            nodes: delivery.nodes,
            delivered: delivery.delivered,
            dropped: delivery.dropped,
            certain: delivery.certain,
        }
    }
}

/// The one frame that a client may ask for, in one of three forms.
pub(super) fn frame(
    text: Option<String>,
    bytes: Option<Blob>,
    json: Option<Any>,
) -> Result<Option<Frame>, Problem> {
    let given = [text.is_some(), bytes.is_some(), json.is_some()];
    if given.into_iter().filter(|given| *given).count() > 1 {
        let detail = "a message has one frame";
        return Err(Problem::value(
            "text",
            detail,
            "one of text, bytes and json",
        ));
    }
    let json = json.map(|json| json.to_json().to_string());
    let text = text.or(json).map(|text| Frame::Text(text.into()));
    Ok(text.or_else(|| bytes.map(|Blob(bytes)| Frame::Bytes(bytes))))
}

fn headers(list: HeaderList) -> Result<Headers, Problem> {
    let field = |(index, (name, value)): (usize, (String, String))| {
        let wrong = |what: &str, shown: &str, expected: &str| {
            let key = format!("headers[{index}]");
            Problem::value(&key, format!("this is no header's {what}"), expected).showing(shown)
        };
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong("name", &name, "a token of RFC 9110"))?;
        let bytes = latin1(&value).filter(|bytes| HeaderValue::from_bytes(bytes).is_ok());
        let expected = "characters of ISO-8859-1 without control characters";
        let bytes = bytes.ok_or_else(|| wrong("value", &value, expected))?;
        Ok((ByteString::from(name.as_str()), bytes.into()))
    };
    list.into_iter().enumerate().map(field).collect()
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(c).ok()).collect()
}

/// Bytes of a handshake as text: each byte one character, so that none is lost.
pub(super) fn from_latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Metadata as a consumer in Rust would have encoded it; nothing for nothing.
pub(super) fn encoded_meta(meta: Option<&Any>) -> bytes::Bytes {
    meta.map(|meta| meta.to_content().as_encoded().clone())
        .unwrap_or_default()
}
