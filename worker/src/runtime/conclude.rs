//! From how a consumer ended to what its node and its peer are told.

use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::{
    Accept, Close, Completion, Deny, Entropy, Event, EventKind, Limits, Outcome, Reply,
    SystemEntropy,
};

use super::job::{Ending, Failure, Job, Route};
use super::topic;
use crate::ErrorKind;
use crate::context::Input;
use crate::effects::Effects;
use crate::envelope::Envelope;
use crate::meter::Ended;
use crate::router::SocketRoute;

/// Policy violation (RFC 6455 §7.4.1): the peer sent what the application does
/// not take.
const POLICY: u16 = 1008;

/// The reason of a close frame has at most 123 bytes (RFC 6455 §5.5).
const REASON_LEN_MAX: usize = 123;

/// A number under which the log has the rest of a failure.
pub(crate) fn error_id() -> ByteString {
    format!("{:016x}", SystemEntropy.next_u64()).into()
}

/// Counts and logs how a job ended, and says what is sent back; nothing for a
/// message of the application.
pub(super) fn conclude(job: &Job, ending: Ending) -> Option<Reply> {
    match (job.context.input(), &job.route) {
        (Input::Event(event), Route::Socket(route)) => {
            let effects = job.context.take_effects();
            let limits = job.context.layer().limits();
            let envelope = job.context.envelope();
            Some(conclude_event(
                event, envelope, route, effects, ending, limits,
            ))
        }
        (Input::Event(_) | Input::Custom(..), _) => {
            conclude_message(job, ending);
            None
        }
    }
}

fn conclude_event(
    event: &Event,
    envelope: &Envelope,
    route: &SocketRoute,
    effects: Effects,
    ending: Ending,
    limits: &Limits,
) -> Reply {
    let (ended, mut reply) = match ending {
        Ending::Returned => match kept_session(event, envelope, route, &effects, limits) {
            Ok(session) => {
                let accepts = accepts_by_returning(event, &effects);
                let accept = accepts.then(|| Box::new(effects.accept.clone()));
                let done = complete(event, Outcome::Done { session });
                (Ended::Done, Reply { accept, ..done })
            }
            Err(reason) => (Ended::Failed, broken(event, route, &reason)),
        },
        Ending::Failed(failure) => failed(event, route, failure, &effects),
        Ending::Panicked(panic) => (Ended::Panicked, broken(event, route, &panic)),
        Ending::TimedOut => {
            let reason = "the consumer ran longer than consumer_timeout";
            (Ended::TimedOut, broken(event, route, reason))
        }
        Ending::Late => (Ended::Retry, complete(event, Outcome::Retry)),
        Ending::Stopped => (Ended::Lost, complete(event, Outcome::Lost)),
    };
    if let Some(completion) = &mut reply.completion {
        completion.groups = effects.groups;
    }
    route.meter.count(ended);
    reply
}

/// The session that is sent back if it is not as it came, or why there can be
/// none.
fn kept_session(
    event: &Event,
    envelope: &Envelope,
    route: &SocketRoute,
    effects: &Effects,
    limits: &Limits,
) -> Result<Option<Bytes>, String> {
    let own = match &effects.session {
        Some(Err(reason)) => return Err(reason.clone()),
        Some(Ok(session)) => session,
        None => &event.session,
    };
    let kept = effects.kept(pinned(event, envelope, route));
    if *own == event.session && kept == *envelope {
        return Ok(None);
    }
    kept.seal_within(own, limits.session_size_max).map(Some)
}

/// A connect consumer that had nothing against the connection accepts it.
fn accepts_by_returning(event: &Event, effects: &Effects) -> bool {
    matches!(event.kind, EventKind::Connect(_)) && effects.answer.is_none()
}

/// What travels beside the session, from connect on with the pin of a route
/// that only the connect event can find.
fn pinned(event: &Event, envelope: &Envelope, route: &SocketRoute) -> Envelope {
    let mut pinned = envelope.clone();
    if matches!(event.kind, EventKind::Connect(_)) {
        pinned.pin = route.pin;
    }
    pinned
}

fn failed(
    event: &Event,
    route: &SocketRoute,
    mut failure: Failure,
    effects: &Effects,
) -> (Ended, Reply) {
    if event.topic.is_some()
        && let Some((ended, topic)) = topic::refused(event, &mut failure)
    {
        tracing::debug!(reason = failure.reason, "a consumer refused");
        let done = complete(event, Outcome::Done { session: None });
        return (ended, Reply { topic, ..done });
    }
    // Whether it is a handshake that still waits for its answer.
    let asks = matches!(event.kind, EventKind::Connect(_)) && !effects.accepted;
    let refuse = |status| refuse(event, asks.then_some(status), &failure.reason);
    match (failure.kind, failure.deny) {
        (ErrorKind::Rejected, _) => (Ended::Rejected, refuse(403)),
        (ErrorKind::BadPayload, _) => (Ended::BadPayload, refuse(400)),
        (ErrorKind::Denied, Some(deny)) if asks => (Ended::Denied, denied(event, deny)),
        (ErrorKind::Closed, _) => (Ended::Rejected, closed(event, failure.close, effects)),
        (ErrorKind::Retry, _) => (Ended::Retry, complete(event, Outcome::Retry)),
        (ErrorKind::Internal, _) if failure.unavailable => {
            let route = route.meter.route();
            tracing::warn!(
                route,
                error = failure.chain,
                "an event was lost with the layer"
            );
            (Ended::Lost, complete(event, Outcome::Lost))
        }
        (ErrorKind::Denied | ErrorKind::Internal, _) => {
            (Ended::Failed, broken(event, route, &failure.chain))
        }
    }
}

/// The application's fault: the log has all, the node has an id.
fn broken(event: &Event, route: &SocketRoute, error: &str) -> Reply {
    let error_id = error_id();
    let kind = event.kind.channel();
    let route = route.meter.route();
    tracing::error!(route, kind, %error_id, error, "a consumer failed");
    complete(event, Outcome::Failed { error_id })
}

/// The peer's fault: it is told why, by that status if it waits for one. The
/// event is done; its consumer answered.
fn refuse(event: &Event, status: Option<u16>, reason: &str) -> Reply {
    tracing::debug!(reason, "a consumer refused");
    let done = complete(event, Outcome::Done { session: None });
    if let Some(status) = status {
        return denied(event, deny(status, reason));
    }
    match event.kind {
        EventKind::Connect(_)
        | EventKind::Join(_)
        | EventKind::Receive(_)
        | EventKind::In(_)
        | EventKind::Out(_)
        | EventKind::Application(_) => Reply {
            close: Some(Close {
                code: POLICY,
                reason: shorten(reason).into(),
            }),
            ..done
        },
        EventKind::Disconnect { .. } => done,
    }
}

fn denied(event: &Event, deny: Deny) -> Reply {
    Reply {
        deny: Some(Box::new(deny)),
        ..complete(event, Outcome::Done { session: None })
    }
}

/// Closed with the consumer's own code. A handshake is accepted before, so that
/// a page can see the code: it is told nothing about one that was refused, and
/// some browsers refuse one without any of the subprotocols that they offered.
fn closed(event: &Event, close: Option<Close>, effects: &Effects) -> Reply {
    let accept = match &event.kind {
        EventKind::Connect(handshake) => {
            let mut accept = Box::new(effects.accept.clone());
            let first = || handshake.subprotocols.first().cloned();
            accept.subprotocol = accept.subprotocol.or_else(first);
            Some(accept)
        }
        EventKind::Join(_)
        | EventKind::Receive(_)
        | EventKind::In(_)
        | EventKind::Out(_)
        | EventKind::Application(_)
        | EventKind::Disconnect { .. } => None,
    };
    Reply {
        accept,
        close,
        ..complete(event, Outcome::Done { session: None })
    }
}

fn deny(status: u16, body: &str) -> Deny {
    Deny {
        status,
        headers: Vec::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn complete(event: &Event, outcome: Outcome) -> Reply {
    Reply::completion(Completion {
        attempt: event.attempt,
        outcome,
        groups: Vec::new(),
    })
}

fn shorten(reason: &str) -> &str {
    reason
        .get(..reason.floor_char_boundary(REASON_LEN_MAX))
        .unwrap_or_default()
}

/// What an event is answered with whose route has no consumer for it.
pub(super) fn conclude_unhandled(event: &Event, envelope: &Envelope, route: &SocketRoute) -> Reply {
    let kept = pinned(event, envelope, route);
    let changed = kept != *envelope;
    let session = changed.then(|| kept.seal(&event.session));
    let session = match session.transpose() {
        Ok(session) => session,
        Err(reason) => return broken(event, route, &reason),
    };
    let done = complete(event, Outcome::Done { session });
    let (ended, reply) = match &event.kind {
        EventKind::Connect(_) => {
            let accept = Some(Box::new(Accept::default()));
            (Ended::Done, Reply { accept, ..done })
        }
        EventKind::Disconnect { .. } => (Ended::Done, done),
        EventKind::Join(_) | EventKind::Receive(_) | EventKind::In(_) | EventKind::Out(_) => {
            if route.ignored_frame.first() {
                let route = route.meter.route();
                tracing::warn!(
                    route,
                    "frames are ignored: the route has no receive consumer"
                );
            }
            (Ended::Ignored, done)
        }
        EventKind::Application(unknown) => {
            let error = format!(
                "the route has no consumer for the event {:?}",
                &*unknown.name
            );
            (Ended::Failed, broken(event, route, &error))
        }
    };
    route.meter.count(ended);
    reply
}

/// What an event is answered with that no route takes.
pub(super) fn conclude_unrouted(event: &Event) -> Reply {
    match &event.kind {
        EventKind::Connect(_) => denied(event, deny(404, "not found")),
        EventKind::Join(_) => Reply {
            topic: topic::unrouted(),
            ..complete(event, Outcome::Done { session: None })
        },
        EventKind::Disconnect { .. } => complete(event, Outcome::Done { session: None }),
        EventKind::Receive(_)
        | EventKind::In(_)
        | EventKind::Out(_)
        | EventKind::Application(_) => {
            let error_id = error_id();
            let kind = event.kind.channel();
            tracing::error!(kind, %error_id, "no route takes an event of an open connection");
            complete(event, Outcome::Failed { error_id })
        }
    }
}

/// Nobody waits for a message of the application: the log is all there is.
fn conclude_message(job: &Job, ending: Ending) {
    let meter = job.route.meter();
    let channel = job.context.channel();
    let (ended, error) = match ending {
        Ending::Returned => return meter.count(Ended::Done),
        Ending::Failed(failure) => (
            match failure.kind {
                ErrorKind::Rejected | ErrorKind::Closed => Ended::Rejected,
                ErrorKind::BadPayload => Ended::BadPayload,
                ErrorKind::Internal if failure.unavailable => Ended::Lost,
                ErrorKind::Denied | ErrorKind::Internal | ErrorKind::Retry => Ended::Failed,
            },
            failure.chain,
        ),
        Ending::Panicked(panic) => (Ended::Panicked, panic),
        Ending::TimedOut => (
            Ended::TimedOut,
            "the consumer ran longer than consumer_timeout".to_owned(),
        ),
        Ending::Late => (
            Ended::TimedOut,
            "the message waited for a thread longer than consumer_timeout".to_owned(),
        ),
        Ending::Stopped => (
            Ended::Lost,
            "the worker stopped before the consumer had ended".to_owned(),
        ),
    };
    meter.count(ended);
    let error_id = error_id();
    tracing::error!(channel, %error_id, error, "a message is gone: its consumer failed");
}
