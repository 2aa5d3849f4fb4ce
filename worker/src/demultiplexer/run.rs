//! How the streams of a demultiplexer run: one event, one completion.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use towpath_layer_core::{Event, EventKind, Frame};

use super::wire::{self, Incoming, Reason, Refusal};
use super::{Stream, Streams};
use crate::effects::Answer;
use crate::handler::Consume;
use crate::meter::Ended;
use crate::router::Websocket;
use crate::runtime::{error_id, panic_text};
use crate::{Context, Error, ErrorKind, FromContext, Place, PlaceKind, Result, Socket};

/// All the streams' consumers of one kind.
struct Part {
    streams: Arc<Streams>,
}

pub(super) fn websocket(streams: &Arc<Streams>) -> Websocket {
    let part = || -> Arc<dyn Consume> {
        Arc::new(Part {
            streams: Arc::clone(streams),
        })
    };
    Websocket {
        connect: Some(part()),
        receive: Some(part()),
        disconnect: streams.has(PlaceKind::Disconnect).then(part),
        events: Vec::new(),
        other_events: streams.has(PlaceKind::Application).then(part),
    }
}

impl Consume for Part {
    fn call(&self, context: Context) -> BoxFuture<'static, Result> {
        let streams = Arc::clone(&self.streams);
        Box::pin(async move {
            let Some(event) = context.event().cloned() else {
                return Err(context.lacks("stream"));
            };
            match &event.kind {
                EventKind::Connect(_) => connect(&streams, &context, &event).await,
                EventKind::Receive(frame) => receive(&streams, &context, &event, frame).await,
                EventKind::Application(_) => all_that_take(&streams, &context, &event, true).await,
                EventKind::Disconnect { .. } => {
                    all_that_take(&streams, &context, &event, false).await
                }
            }
        })
    }

    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        self.streams.check(place)
    }
}

async fn connect(streams: &Streams, context: &Context, event: &Event) -> Result {
    for stream in &streams.streams {
        if let Some(consumer) = stream.consumers.consumer(&event.kind) {
            let part = context.stream(&stream.name, event.clone());
            consumer.call(part).await?;
        }
        if context.answer() == Some(Answer::Refused) {
            break;
        }
    }
    Ok(())
}

async fn receive(streams: &Streams, context: &Context, event: &Event, frame: &Frame) -> Result {
    let socket = Socket::from_context(context).await?;
    let Frame::Text(text) = frame else {
        let reason = "a demultiplexer takes text frames with JSON";
        return refuse(&socket, None, "malformed", reason).await;
    };
    let incoming: Incoming<'_> = match serde_json::from_str(text) {
        Ok(incoming) => incoming,
        Err(error) => {
            let named = wire::named_stream(text);
            let reason = format!("expected {{\"stream\": …, \"payload\": …}}: {error}");
            return refuse(&socket, named.as_deref(), "malformed", &reason).await;
        }
    };
    let name = &*incoming.stream;
    let Some(stream) = streams.find(name) else {
        return refuse(
            &socket,
            Some(name),
            "unknown_stream",
            "there is no such stream",
        )
        .await;
    };
    let event = Event {
        kind: EventKind::Receive(Frame::Text(text.slice_ref(incoming.payload.get()))),
        ..event.clone()
    };
    let Some(consumer) = stream.consumers.consumer(&event.kind) else {
        stream.meter.count(Ended::Ignored);
        return refuse(
            &socket,
            Some(name),
            "not_taken",
            "the stream takes no messages",
        )
        .await;
    };
    run(stream, consumer, context, event, &socket).await
}

/// Gives an event to every stream that has a consumer for it.
async fn all_that_take(
    streams: &Streams,
    context: &Context,
    event: &Event,
    required: bool,
) -> Result {
    let socket = Socket::from_context(context).await?;
    let mut taken = false;
    for stream in &streams.streams {
        if let Some(consumer) = stream.consumers.consumer(&event.kind) {
            taken = true;
            run(stream, consumer, context, event.clone(), &socket).await?;
        }
    }
    if required && !taken {
        return Err(Error::internal("no stream has a consumer for the event"));
    }
    Ok(())
}

/// Runs a stream's consumer. Its failure stays with the stream.
async fn run(
    stream: &Stream,
    consumer: &Arc<dyn Consume>,
    context: &Context,
    event: Event,
    socket: &Socket,
) -> Result {
    let before = context.savepoint();
    let part = context.stream(&stream.name, event);
    let called = async { consumer.call(part).await };
    let (ended, error) = match AssertUnwindSafe(called).catch_unwind().await {
        Ok(Ok(())) => {
            stream.meter.count(Ended::Done);
            return Ok(());
        }
        Ok(Err(error)) => match error.kind() {
            ErrorKind::Closed | ErrorKind::Retry => return Err(error),
            ErrorKind::Internal if error.is_unavailable() => return Err(error),
            ErrorKind::Rejected => (Ended::Rejected, error.to_string()),
            ErrorKind::BadPayload => (Ended::BadPayload, error.to_string()),
            ErrorKind::Denied | ErrorKind::Internal => (Ended::Failed, error.chain()),
        },
        Err(panic) => (Ended::Panicked, panic_text(panic)),
    };
    context.roll_back(before);
    stream.meter.count(ended);
    let name = Some(&*stream.name);
    match ended {
        Ended::Rejected => refuse(socket, name, "rejected", &error).await,
        Ended::BadPayload => refuse(socket, name, "bad_payload", &error).await,
        _ => {
            let error_id = error_id();
            let route = stream.meter.route();
            tracing::error!(route, %error_id, error, "a stream's consumer failed");
            refuse(socket, name, "failed", &format!("error {error_id}")).await
        }
    }
}

async fn refuse(socket: &Socket, stream: Option<&str>, code: &'static str, reason: &str) -> Result {
    let error = Reason { code, reason };
    socket.json(&Refusal { stream, error }).await
}
