//! How a topic's consumer runs on a plain WebSocket, or on a stream of a
//! demultiplexer: one topic, whose messages are frames.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use towpath_layer_core::{Application, Deny, Event, EventKind, Frame, GroupName, Push, Reply};

use super::presence::changes;
use super::run::{Done, answer, informed, intercepted, open, value, warned};
use super::socket::enter;
use super::template::Template;
use super::topic::leave_group;
use super::wire::{self, Incoming};
use super::{
    Info, Joined, Kept, SocketParams, TerminateReason, Terminated, Topic, TopicConsumer,
    TopicPattern, names,
};
use crate::extract::short_name;
use crate::handler::Consume;
use crate::router::Websocket;
use crate::{Context, Error, ErrorKind, Place, PlaceKind, Result};

/// A normal end (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;

/// A topic's consumer as the consumers of a connection.
pub(super) fn websocket<C: TopicConsumer>(topic: &str) -> Websocket {
    let topic = Arc::new(Template::new(topic));
    let kept = TopicPattern::new(&topic.pattern()).map(|pattern| Kept {
        pattern,
        history: C::HISTORY,
    });
    let part = || -> Option<Arc<dyn Consume>> {
        Some(Arc::new(Part::<C> {
            topic: Arc::clone(&topic),
            consumer: PhantomData,
        }))
    };
    Websocket {
        connect: part(),
        receive: part(),
        disconnect: part(),
        events: Vec::new(),
        other_events: part(),
        topics: kept.into_iter().collect(),
    }
}

struct Part<C> {
    topic: Arc<Template>,
    consumer: PhantomData<fn(C)>,
}

impl<C: TopicConsumer> Consume for Part<C> {
    fn call(&self, context: Context) -> BoxFuture<'static, Result> {
        let topic = self.topic.fill(context.params());
        Box::pin(async move {
            let topic = topic?;
            let Some(event) = context.event() else {
                return Err(context.lacks("connection"));
            };
            match &event.kind {
                EventKind::Connect(_) => connect::<C>(&context, topic).await,
                EventKind::Receive(frame) => receive::<C>(&context, topic, frame).await,
                EventKind::Application(event) => {
                    info::<C>(&context, topic, (**event).clone()).await
                }
                EventKind::Disconnect { .. } => terminate::<C>(&context, topic, event).await,
                EventKind::Out(push) => out::<C>(&context, topic, push).await,
                EventKind::Join(_) | EventKind::In(_) => Err(context.lacks("frame")),
            }
        })
    }

    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        // There always is a connect consumer: what concerns all is said there.
        if place.kind() != PlaceKind::Connect {
            return Ok(());
        }
        let own = C::INTERCEPT
            .iter()
            .find(|name| names::is_reserved_event(name));
        if let Some(event) = own {
            let this = short_name::<C>();
            return Err(format!(
                "{this} intercepts {event:?}, an event of the protocol's own"
            ));
        }
        self.topic.check(place.params)
    }
}

async fn connect<C: TopicConsumer>(context: &Context, name: String) -> Result {
    let params = SocketParams::of(context)?;
    let payload = params.to_json()?;
    let meta = Bytes::from_static(GroupName::SOCKET_ID_META);
    let socket: C::Socket = enter(context, params, meta).await?;
    let topic = Topic::plain(&context.holding(), name)?.joining();
    let joined = C::join(payload.clone().into(), &socket, &topic).await;
    let (mut consumer, response) = joined.and_then(Joined::into_result).map_err(deny)?;
    if open(&consumer, response, &topic, &payload).await? {
        end(&mut consumer, TerminateReason::Stopped, &topic).await?;
    }
    Ok(())
}

/// A refused join is a refused handshake.
fn deny(mut error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Rejected | ErrorKind::BadPayload) {
        return error;
    }
    let refusal = error.take_refusal();
    let response = refusal.unwrap_or_else(|| wire::reason(&error.to_string()));
    let json = (
        "content-type".into(),
        Bytes::from_static(b"application/json"),
    );
    Error::deny_with(Deny {
        status: 403,
        headers: vec![json],
        body: Bytes::copy_from_slice(response.as_bytes()),
    })
}

async fn receive<C: TopicConsumer>(context: &Context, name: String, frame: &Frame) -> Result {
    let Frame::Text(text) = frame else {
        return Err(Error::bad_payload("text frames with JSON are expected"));
    };
    let incoming = Incoming::read(text)?;
    let topic = Topic::plain(context, name)?.answering(incoming.reference.clone());
    let mut consumer = match (elsewhere(&incoming, &topic)?, value::<C>(context)?) {
        (Some(reply), _) => return topic.socket().reply(reply).await,
        (None, Some(consumer)) => consumer,
        (None, None) => return refuse(&topic, "unmatched topic").await,
    };
    if *incoming.event == *names::LEAVE {
        let ok = ("ok".into(), Frame::Text("{}".into()));
        topic.finished(Done::answered(ok, true)).await?;
        return end(&mut consumer, TerminateReason::Left, &topic).await;
    }
    if names::is_reserved_event(&incoming.event) {
        return refuse(&topic, "the event is the protocol's own").await;
    }
    let payload = incoming
        .payload
        .map(|payload| text.slice_ref(payload.get()));
    let payload = Frame::Text(payload.unwrap_or_else(|| "{}".into()));
    let answered = answer(&mut consumer, &incoming.event, payload, &topic).await;
    match unless_refused(context, answered)? {
        Ok(done) => finish(&mut consumer, done, &topic).await,
        Err(reason) => refuse(&topic, &reason).await,
    }
}

/// What a consumer left, or why it refused: that ends nothing, but what it put
/// into its outbox is not sent.
fn unless_refused(context: &Context, handled: Result<Done>) -> Result<Result<Done, String>> {
    match handled {
        Err(error) if matches!(error.kind(), ErrorKind::Rejected | ErrorKind::BadPayload) => {
            context.take_outbox();
            let reason = error.to_string();
            tracing::debug!(reason, "a consumer refused");
            Ok(Err(reason))
        }
        done => done.map(Ok),
    }
}

/// What answers a message to another topic, of which there is only the
/// protocol's own.
fn elsewhere(incoming: &Incoming<'_>, topic: &Topic) -> Result<Option<Reply>> {
    let Some(named) = incoming
        .topic
        .as_deref()
        .filter(|name| *name != topic.name())
    else {
        return Ok(None);
    };
    let beats = names::is_reserved_topic(named) && incoming.event == names::HEARTBEAT;
    let (status, response) = if beats {
        ("ok", Frame::Text("{}".into()))
    } else {
        ("error", wire::reason("unmatched topic"))
    };
    let frame = wire::answer(named, incoming.reference.as_ref(), status, &response)?;
    Ok(Some(topic.context().framing().encoded(frame)))
}

async fn refuse(topic: &Topic, reason: &str) -> Result {
    topic.answered("error".into(), wire::reason(reason)).await
}

/// Does what a consumer left that has returned.
async fn finish<C: TopicConsumer>(consumer: &mut C, done: Done, topic: &Topic) -> Result {
    if topic.finished(done).await? {
        end(consumer, TerminateReason::Stopped, topic).await?;
    }
    Ok(())
}

/// The topic is over: so is the connection, unless it has other streams.
async fn end<C: TopicConsumer>(consumer: &mut C, reason: TerminateReason, topic: &Topic) -> Result {
    let context = topic.context();
    leave_group(context, 0, GroupName::topic(topic.name())).await?;
    topic.unsubscribe_all().await?;
    context.keep_session(Ok(Bytes::new()));
    let terminated = Terminated::in_order(reason);
    if let Err(error) = consumer.terminate(terminated, topic).await {
        // The topic is over all the same.
        let (name, error) = (topic.name(), error.chain());
        tracing::error!(topic = name, error, "a consumer failed at its end");
    }
    if context.framing().stream.is_none() {
        return topic.socket().close(NORMAL, "").await;
    }
    // The connection lives, and with it what is not untracked.
    topic.tell_all(changes::<C>(topic).await?).await
}

async fn info<C: TopicConsumer>(context: &Context, name: String, event: Application) -> Result {
    let topic = Topic::plain(context, name)?;
    // On a stream it may be for another.
    let is_own = event.stream == context.framing().stream;
    let Some(mut consumer) = value::<C>(context)? else {
        // One that has left hears nothing any more; what it told itself may be
        // a tick.
        return if is_own {
            topic.stop_ticking(event.name).await
        } else {
            Err(Error::unknown_event(&event))
        };
    };
    let handled = informed(&mut consumer, Info::of(event)?, &topic).await;
    if is_own && warned(&handled) {
        return Ok(());
    }
    match unless_refused(context, handled)? {
        Ok(done) => finish(&mut consumer, done, &topic).await,
        // There is nobody to tell.
        Err(_) => Ok(()),
    }
}

/// A broadcast of `INTERCEPT`: one that has left hears nothing any more.
async fn out<C: TopicConsumer>(context: &Context, name: String, push: &Push) -> Result {
    let topic = Topic::plain(context, name)?;
    let Some(mut consumer) = value::<C>(context)? else {
        return Ok(());
    };
    let handled = intercepted(&mut consumer, push, &topic).await;
    match unless_refused(context, handled)? {
        Ok(done) => finish(&mut consumer, done, &topic).await,
        Err(_) => Ok(()),
    }
}

async fn terminate<C: TopicConsumer>(context: &Context, name: String, event: &Event) -> Result {
    let Some(mut consumer) = value::<C>(context)? else {
        return Ok(());
    };
    let Some(terminated) = Terminated::of_socket(&event.kind) else {
        return Err(context.lacks("end"));
    };
    let topic = Topic::plain(context, name)?;
    consumer.terminate(terminated, &topic).await
}
