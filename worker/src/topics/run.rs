//! How a topic's consumer runs, on a socket with topics.

use bytes::Bytes;
use towpath_layer_core::{Application, EventKind, Frame, GroupName, Push};

use super::topic::join_group;
use super::{Info, Terminated, Topic, TopicConsumer};
use crate::extract::session::{decode, encode};
use crate::extract::short_name;
use crate::handler::erase;
use crate::router::Websocket;
use crate::{Context, Error, Result};

/// The consumers of a topic.
pub(super) fn consumers<C: TopicConsumer>() -> Websocket {
    Websocket {
        connect: Some(erase(join::<C>)),
        receive: Some(erase(receive::<C>)),
        disconnect: Some(erase(terminate::<C>)),
        events: Vec::new(),
        other_events: Some(erase(info::<C>)),
    }
}

async fn join<C: TopicConsumer>(context: Context) -> Result {
    let Some(EventKind::Join(join)) = context.event().map(|event| &event.kind) else {
        return Err(context.lacks("join"));
    };
    let lacks = || Error::internal("the socket of the topic has no session");
    let socket: C::Socket = decode(join.socket.clone())?.ok_or_else(lacks)?;
    let topic = Topic::of(&context)?.joining();
    let joined = C::join(join.payload.clone().into(), &socket, &topic).await?;
    let (consumer, response) = joined.into_result()?;
    open(&consumer, response, &topic, Bytes::new()).await?;
    Ok(())
}

/// The join has succeeded: the topic's group comes first, so that nothing is
/// missed after the response. Whether the topic ends at once.
pub(super) async fn open<C: TopicConsumer>(
    consumer: &C,
    response: Frame,
    topic: &Topic,
    meta: Bytes,
) -> Result<bool> {
    keep(consumer, topic)?;
    join_group(topic.context(), GroupName::topic(topic.name()), meta).await?;
    topic.opened(response).await
}

/// What is too large to travel fails before the client is told anything.
pub(super) fn keep<C: TopicConsumer>(consumer: &C, topic: &Topic) -> Result {
    topic.context().keep_session(encode(consumer));
    topic.context().check_session()
}

async fn receive<C: TopicConsumer>(context: Context) -> Result {
    match context.event().map(|event| &event.kind) {
        Some(EventKind::In(push)) => handle_in::<C>(&context, push).await,
        Some(EventKind::Out(push)) => handle_out::<C>(&context, push).await,
        _ => Err(context.lacks("message")),
    }
}

async fn handle_in<C: TopicConsumer>(context: &Context, push: &Push) -> Result {
    let topic = Topic::of(context)?.answering(push.reference.clone());
    let mut consumer = load::<C>(context)?;
    let payload = push.payload.clone().into();
    let answer = consumer.handle_in(&push.event, payload, &topic).await?;
    let (reply, stops) = answer.into_parts()?;
    keep(&consumer, &topic)?;
    topic.finished(reply, stops).await.map(drop)
}

async fn handle_out<C: TopicConsumer>(context: &Context, push: &Push) -> Result {
    let topic = Topic::of(context)?;
    let mut consumer = load::<C>(context)?;
    let payload = push.payload.clone().into();
    consumer.handle_out(&push.event, payload, &topic).await?;
    keep(&consumer, &topic)?;
    topic.finished(None, false).await.map(drop)
}

async fn info<C: TopicConsumer>(event: Application, context: Context) -> Result {
    let topic = Topic::of(&context)?;
    let mut consumer = load::<C>(&context)?;
    let handled = consumer.handle_info(Info::of(event)?, &topic).await;
    if warned(&handled) {
        return Ok(());
    }
    handled?;
    keep(&consumer, &topic)?;
    topic.finished(None, false).await.map(drop)
}

/// An event that the type does not take ends nothing.
pub(super) fn warned(handled: &Result) -> bool {
    match handled {
        Err(error) if error.is_unknown_event() => {
            tracing::warn!(%error, "an event is ignored");
            true
        }
        Ok(()) | Err(_) => false,
    }
}

async fn terminate<C: TopicConsumer>(context: Context) -> Result {
    // A join that was refused has no value behind it.
    let Some(mut consumer) = value::<C>(&context)? else {
        return Ok(());
    };
    let kind = context.event().map(|event| &event.kind);
    let Some(terminated) = kind.and_then(Terminated::of) else {
        return Err(context.lacks("end"));
    };
    let topic = Topic::of(&context)?;
    consumer.terminate(terminated, &topic).await
}

pub(super) fn value<C: TopicConsumer>(context: &Context) -> Result<Option<C>> {
    decode(context.session().unwrap_or_default())
}

fn load<C: TopicConsumer>(context: &Context) -> Result<C> {
    let lacks = || Error::internal(format!("there is no {} yet", short_name::<C>()));
    value(context)?.ok_or_else(lacks)
}
