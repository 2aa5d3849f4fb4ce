//! What a client tells one joined topic's peer, as its consumer would.

use serde::Deserialize;
use towpath_layer_core::{Frame, Reference, TopicReply};
use utoipa::ToSchema;

use super::blob::Blob;
use super::problem::Problem;
use super::topics::{event, json, payload};
use super::value::{Any, present};

/// What one reply says at most to a topic's client.
const SAID_MAX: usize = 1000;

/// What a topic's client is told; its reply channel is that of the topic's
/// events.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = TopicReply)]
pub(super) enum TopicReplyBody {
    /// The join succeeded. Before it the conversation is made a member of the
    /// topic's group: `add` with `topic`.
    Joined(ResponseBody),
    /// The join is refused; the clients of Phoenix try again on a schedule.
    Refused(ResponseBody),
    /// A message.
    Push(PushBody),
    /// The answer to a message of the client.
    Answer(AnswerBody),
    /// The topic ends for this client, in good order.
    Stop,
}

/// How a join is answered: with any value, or bytes; with `{}` if neither is
/// there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TopicResponse)]
pub(super) struct ResponseBody {
    /// The answer.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Any, required = false)]
    response: Option<Any>,
    /// The answer, as bytes.
    #[serde(default)]
    bytes: Option<Blob>,
}

/// A message to a topic's client: an object, or bytes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TopicPush)]
pub(super) struct PushBody {
    /// What the message is; not `phx_…`.
    event: String,
    /// What it says.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Object, required = false)]
    payload: Option<Any>,
    /// What it says, in place of a payload.
    #[serde(default)]
    bytes: Option<Blob>,
}

/// The answer to a message: any value, or bytes; `{}` if neither is there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TopicAnswer)]
pub(super) struct AnswerBody {
    /// The event's `reference`, as it came.
    reference: Any,
    /// `ok`, `error`, or a word of the application's.
    status: String,
    /// The answer.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Any, required = false)]
    response: Option<Any>,
    /// The answer, as bytes.
    #[serde(default)]
    bytes: Option<Blob>,
}

/// All that a topic's client is told, checked.
pub(super) fn said(bodies: Vec<TopicReplyBody>) -> Result<Vec<TopicReply>, Problem> {
    let count = bodies.len();
    if count > SAID_MAX {
        let detail = format!("there are {count} of them");
        let expected = format!("at most {SAID_MAX}");
        return Err(Problem::value("topic", detail, &expected));
    }
    let reply = |(index, body): (usize, TopicReplyBody)| {
        let place = format!("topic[{index}].{}", body.name());
        body.into_reply().map_err(|problem| problem.within(&place))
    };
    bodies.into_iter().enumerate().map(reply).collect()
}

impl TopicReplyBody {
    fn name(&self) -> &'static str {
        match self {
            Self::Joined(_) => "joined",
            Self::Refused(_) => "refused",
            Self::Push(_) => "push",
            Self::Answer(_) => "answer",
            Self::Stop => "stop",
        }
    }

    fn into_reply(self) -> Result<TopicReply, Problem> {
        Ok(match self {
            Self::Joined(body) => TopicReply::Joined {
                response: response(body.response.as_ref(), body.bytes)?,
            },
            Self::Refused(body) => TopicReply::Refused {
                response: response(body.response.as_ref(), body.bytes)?,
            },
            Self::Push(body) => TopicReply::Push {
                event: event(body.event)?,
                payload: payload(body.payload.as_ref(), body.bytes)?,
            },
            Self::Answer(body) => TopicReply::Answer {
                reference: reference(&body.reference)?,
                status: body.status.into(),
                response: response(body.response.as_ref(), body.bytes)?,
            },
            Self::Stop => TopicReply::Stop,
        })
    }
}

fn response(value: Option<&Any>, bytes: Option<Blob>) -> Result<Frame, Problem> {
    match (value, bytes) {
        (Some(value), None) => Ok(json(value)),
        (None, Some(Blob(bytes))) => Ok(Frame::Bytes(bytes)),
        (None, None) => Ok(Frame::Text("{}".into())),
        (Some(_), Some(_)) => Err(Problem::value(
            "response",
            "there are two answers",
            "one of response and bytes",
        )),
    }
}

fn reference(Any(value): &Any) -> Result<Reference, Problem> {
    let text = value.as_str().map(|text| Reference::Text(text.into()));
    let number = value.as_i64().map(Reference::Number);
    text.or(number).ok_or_else(|| {
        let detail = "no message of a client is known by this";
        let problem = Problem::value("reference", detail, "the event's reference, as it came");
        problem.showing(&Any(value.clone()).to_json().to_string())
    })
}
