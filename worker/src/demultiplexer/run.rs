//! How the streams of a demultiplexer run: one event, one completion.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use towpath_layer_core::{Application, Close, Event, EventKind, Frame, Push};

use super::wire::{self, Incoming, Reason, Refusal};
use super::{Stream, Streams};
use crate::effects::{self, Answer, Savepoint};
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
        topics: streams.topics(),
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
                EventKind::Join(_) | EventKind::In(_) => Err(context.lacks("stream")),
                EventKind::Out(push) => out(&streams, &context, &event, push).await,
                EventKind::Receive(frame) => receive(&streams, &context, &event, frame).await,
                EventKind::Application(application) => {
                    told(&streams, &context, &event, application).await
                }
                EventKind::Disconnect { .. } => {
                    all_that_take(&streams, &context, &event).await.map(drop)
                }
            }
        })
    }

    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        self.streams.check(place)
    }
}

/// Asks every stream. Nothing is written before all have agreed, so that a
/// later one can still refuse.
async fn connect(streams: &Streams, context: &Context, event: &Event) -> Result {
    let mut answer = context.take_answer();
    for stream in &streams.streams {
        let Some(consumer) = stream.consumers.consumer(&event.kind) else {
            continue;
        };
        let before = context.savepoint(&stream.name);
        let part = context.stream(&stream.framing(), event.clone()).holding();
        let called = consumer.call(part).await;
        stream
            .meter()
            .count(called.as_ref().map_or_else(how, |()| Ended::Done));
        called?;
        let answered = context.take_answer();
        if answered == Some(Answer::Refused) {
            context.keep_outbox_since(&before);
            context.note_answer(answered, true);
            return Ok(());
        }
        answer = answer.or(answered);
    }
    context.note_answer(answer, true);
    Ok(())
}

/// A broadcast for a stream whose consumer sees it first.
async fn out(streams: &Streams, context: &Context, event: &Event, push: &Push) -> Result {
    let stream = push.stream.as_deref().and_then(|name| streams.find(name));
    let stream = stream.ok_or_else(|| context.lacks("stream"))?;
    let consumer = stream.consumers.consumer(&event.kind);
    let consumer = consumer.ok_or_else(|| context.lacks("stream"))?;
    run(stream, consumer, context, event.clone())
        .await
        .map(drop)
}

/// An event of the application: one that a stream told itself, or one for all.
async fn told(
    streams: &Streams,
    context: &Context,
    event: &Event,
    application: &Application,
) -> Result {
    let name = &*application.name;
    let nobody = |who: &str| format!("{who} takes the event {name:?}");
    let Some(stream) = &application.stream else {
        let took = all_that_take(streams, context, event).await?;
        return took
            .then_some(())
            .ok_or_else(|| Error::internal(nobody("no stream")));
    };
    let Some(stream) = streams.find(stream) else {
        let who = format!("no stream {stream:?} is there that");
        return Err(Error::internal(nobody(&who)));
    };
    let took = match stream.consumers.consumer(&event.kind) {
        Some(consumer) => run(stream, consumer, context, event.clone()).await?,
        None => {
            stream.meter().count(Ended::Ignored);
            false
        }
    };
    if took {
        return Ok(());
    }
    let who = format!("no consumer of the stream {:?}", &*stream.name);
    failed(stream, context, Ended::Ignored, &nobody(&who)).await
}

async fn receive(streams: &Streams, context: &Context, event: &Event, frame: &Frame) -> Result {
    let Frame::Text(text) = frame else {
        let reason = "a demultiplexer takes text frames with JSON";
        return refuse(context, None, "malformed", reason).await;
    };
    let incoming: Incoming<'_> = match serde_json::from_str(text) {
        Ok(incoming) => incoming,
        Err(error) => {
            let named = wire::named_stream(text);
            let reason = format!("expected {{\"stream\": …, \"payload\": …}}: {error}");
            return refuse(context, named.as_deref(), "malformed", &reason).await;
        }
    };
    let name = &*incoming.stream;
    let Some(stream) = streams.find(name) else {
        let reason = "there is no such stream";
        return refuse(context, Some(name), "unknown_stream", reason).await;
    };
    let event = Event {
        kind: EventKind::Receive(Frame::Text(text.slice_ref(incoming.payload.get()))),
        ..event.clone()
    };
    let Some(consumer) = stream.consumers.consumer(&event.kind) else {
        stream.meter().count(Ended::Ignored);
        let reason = "the stream takes no messages";
        return refuse(context, Some(name), "not_taken", reason).await;
    };
    run(stream, consumer, context, event).await.map(drop)
}

/// Gives an event to every stream that has a consumer for it; whether one took
/// it.
async fn all_that_take(streams: &Streams, context: &Context, event: &Event) -> Result<bool> {
    let mut taken = Ok(false);
    for stream in &streams.streams {
        let Some(consumer) = stream.consumers.consumer(&event.kind) else {
            continue;
        };
        match (
            run(stream, consumer, context, event.clone()).await,
            &mut taken,
        ) {
            (Ok(took), Ok(taken)) => *taken |= took,
            // Every stream hears that the connection is gone.
            (Err(error), Ok(_)) if context.kind() == PlaceKind::Disconnect => taken = Err(error),
            (Err(error), Ok(_)) => return Err(error),
            (_, Err(_)) => {}
        }
    }
    taken
}

/// How a stream's consumer ended, as far as it concerns its stream alone.
enum End {
    Done,
    /// The event is for other streams.
    Unknown,
    Closed(Option<Close>),
    Failed(Ended, String),
}

/// Runs a stream's consumer; whether it took the event. Its failure stays with
/// the stream; the error is what concerns the whole event.
async fn run(
    stream: &Stream,
    consumer: &Arc<dyn Consume>,
    context: &Context,
    event: Event,
) -> Result<bool> {
    let before = context.savepoint(&stream.name);
    let part = context.stream(&stream.framing(), event);
    // What an error says is the application's too, and may panic.
    let called = async {
        match call(consumer, part, context, &before).await {
            Ok(()) => Ok(End::Done),
            Err(error) => end(error),
        }
    };
    let called = match AssertUnwindSafe(called).catch_unwind().await {
        Ok(called) => called,
        Err(panic) => Ok(End::Failed(Ended::Panicked, panic_text(panic))),
    };
    let ended = match &called {
        Ok(End::Done) => Ended::Done,
        Ok(End::Unknown) => Ended::Ignored,
        Ok(End::Closed(_)) => Ended::Rejected,
        Ok(End::Failed(ended, _)) => *ended,
        Err(error) => how(error),
    };
    stream.meter().count(ended);
    let ended = called?;
    if !matches!(ended, End::Done) {
        context.roll_back(before);
    }
    match ended {
        End::Done => Ok(true),
        End::Unknown => Ok(false),
        End::Closed(close) => close_all(context, close).await.map(|()| true),
        End::Failed(ended, error) => failed(stream, context, ended, &error).await.map(|()| true),
    }
}

/// The consumer, and what it left to be sent.
async fn call(
    consumer: &Arc<dyn Consume>,
    part: Context,
    whole: &Context,
    before: &Savepoint,
) -> Result {
    consumer.call(part).await?;
    let outbox = whole.take_stream_outbox(before)?;
    effects::send(&**whole.layer(), outbox).await
}

/// What an error means for its stream, if not for the whole event.
fn end(mut error: Error) -> Result<End> {
    let ended = how(&error);
    match error.kind() {
        ErrorKind::Internal if error.is_unknown_event() => Ok(End::Unknown),
        ErrorKind::Closed => Ok(End::Closed(error.take_close())),
        ErrorKind::Rejected | ErrorKind::BadPayload => Ok(End::Failed(ended, error.to_string())),
        ErrorKind::Retry => Err(error),
        ErrorKind::Internal if error.is_unavailable() => Err(error),
        ErrorKind::Denied | ErrorKind::Internal => Ok(End::Failed(Ended::Failed, error.chain())),
    }
}

fn how(error: &Error) -> Ended {
    match error.kind() {
        ErrorKind::Rejected | ErrorKind::Closed => Ended::Rejected,
        ErrorKind::BadPayload => Ended::BadPayload,
        ErrorKind::Denied => Ended::Denied,
        ErrorKind::Retry => Ended::Retry,
        ErrorKind::Internal if error.is_unavailable() => Ended::Lost,
        ErrorKind::Internal => Ended::Failed,
    }
}

async fn failed(stream: &Stream, context: &Context, ended: Ended, error: &str) -> Result {
    let name = Some(&*stream.name);
    match ended {
        Ended::Rejected => refuse(context, name, "rejected", error).await,
        Ended::BadPayload => refuse(context, name, "bad_payload", error).await,
        _ => {
            let error_id = error_id();
            let route = stream.meter().route();
            tracing::error!(route, %error_id, error, "a stream's consumer failed");
            refuse(context, name, "failed", &format!("error {error_id}")).await
        }
    }
}

/// Ends the connection, and keeps what the other streams did with the event.
async fn close_all(context: &Context, close: Option<Close>) -> Result {
    let socket = Socket::from_context(context).await?;
    match close {
        Some(close) => socket.close(close.code, close.reason).await,
        None => Ok(()),
    }
}

async fn refuse(
    context: &Context,
    stream: Option<&str>,
    code: &'static str,
    reason: &str,
) -> Result {
    if context.kind() == PlaceKind::Disconnect {
        return Ok(());
    }
    let error = Reason { code, reason };
    let socket = Socket::from_context(context).await?;
    socket.json(&Refusal { stream, error }).await
}
