//! What a topic's client is told whose message came to nothing.

use towpath_layer_core::{Event, EventKind, Frame, TopicReply};

use super::job::Failure;
use crate::ErrorKind;
use crate::meter::Ended;
use crate::topics::reason;

/// How an event of a topic ended that its consumer refused, and what the client
/// is told; nothing if it failed in any other way.
pub(super) fn refused(event: &Event, failure: &mut Failure) -> Option<(Ended, Vec<TopicReply>)> {
    let joins = matches!(event.kind, EventKind::Join(_));
    match failure.kind {
        ErrorKind::Rejected => Some((Ended::Rejected, told(event, failure, false))),
        ErrorKind::BadPayload => Some((Ended::BadPayload, told(event, failure, false))),
        ErrorKind::Denied if joins => {
            let deny = failure.deny.take();
            let body = deny.map(|deny| String::from_utf8_lossy(&deny.body).into_owned());
            failure.reason = body.unwrap_or_default();
            Some((Ended::Denied, told(event, failure, false)))
        }
        ErrorKind::Closed => {
            if let Some(close) = failure.close.take() {
                failure.reason = close.reason.to_string();
            }
            Some((Ended::Rejected, told(event, failure, true)))
        }
        ErrorKind::Denied | ErrorKind::Internal | ErrorKind::Retry => None,
    }
}

fn told(event: &Event, failure: &mut Failure, stops: bool) -> Vec<TopicReply> {
    let response = failure.refusal.take();
    let response = response.unwrap_or_else(|| reason(&failure.reason));
    let answer = match &event.kind {
        EventKind::Join(_) => return vec![TopicReply::Refused { response }],
        EventKind::Disconnect { .. } => return Vec::new(),
        EventKind::In(push) => push.reference.clone().map(|reference| TopicReply::Answer {
            reference,
            status: "error".into(),
            response,
        }),
        EventKind::Connect(_)
        | EventKind::Receive(_)
        | EventKind::Out(_)
        | EventKind::Application(_) => None,
    };
    let stop = stops.then_some(TopicReply::Stop);
    answer.into_iter().chain(stop).collect()
}

/// A join to a topic that has no consumer.
pub(super) fn unrouted() -> Vec<TopicReply> {
    let response: Frame = reason("unmatched topic");
    vec![TopicReply::Refused { response }]
}
