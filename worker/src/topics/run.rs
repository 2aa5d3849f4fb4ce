//! How a topic's consumer runs, on a socket with topics.

use bytestring::ByteString;
use towpath_layer_core::{Application, EventKind, Frame, GroupName, Push, TopicReply};

use super::history::{member, resume};
use super::presence::changes;
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
        topics: Vec::new(),
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
    open(&consumer, response, &topic, &join.payload).await?;
    Ok(())
}

/// What a consumer left that has returned.
#[derive(Default)]
pub(super) struct Done {
    /// Status and response for the client's message.
    pub(super) reply: Option<(ByteString, Frame)>,
    /// Whether the topic ends.
    pub(super) stops: bool,
    /// What it said of presences.
    pub(super) presences: Vec<TopicReply>,
}

impl Done {
    pub(super) fn answered(reply: (ByteString, Frame), stops: bool) -> Self {
        Self {
            reply: Some(reply),
            stops,
            presences: Vec::new(),
        }
    }
}

/// The join has succeeded: the topic's group comes first, so that nothing is
/// missed after the response. Whether the topic ends at once.
pub(super) async fn open<C: TopicConsumer>(
    consumer: &C,
    response: Frame,
    topic: &Topic,
    payload: &Frame,
) -> Result<bool> {
    let presences = changes::<C>(topic).await?;
    keep(consumer, topic)?;
    let resume = resume::<C>(topic, payload).await?;
    // The node itself makes a plain WebSocket a member that resumes: nothing is
    // written before it is told where it stands.
    if !(topic.is_plain() && resume.is_some()) {
        let member = topic.is_plain().then(|| member::<C>(topic).to_text());
        let meta = member.unwrap_or_default().into_bytes();
        let group = GroupName::topic(topic.name());
        join_group(topic.context(), 0, group, meta).await?;
    }
    let resume = resume.map(|resume| TopicReply::Resume(Box::new(resume)));
    let joined = TopicReply::Joined { response };
    let said = resume.into_iter().chain([joined]);
    let said = said.chain(C::PRESENCE.of(topic)).chain(presences);
    topic.opened(said.collect()).await
}

/// What is too large to travel fails before the client is told anything.
fn keep<C: TopicConsumer>(consumer: &C, topic: &Topic) -> Result {
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
    let payload = push.payload.clone();
    let done = answer(&mut consumer, &push.event, payload, &topic).await?;
    topic.finished(done).await.map(drop)
}

/// Hands a message of the client to its consumer.
pub(super) async fn answer<C: TopicConsumer>(
    consumer: &mut C,
    event: &str,
    payload: Frame,
    topic: &Topic,
) -> Result<Done> {
    let answer = consumer.handle_in(event, payload.into(), topic).await?;
    let (reply, stops) = answer.into_parts()?;
    let presences = returned(consumer, topic).await?;
    Ok(Done {
        reply,
        stops,
        presences,
    })
}

/// A consumer has returned: what it said of presences, if its fields can travel.
async fn returned<C: TopicConsumer>(consumer: &C, topic: &Topic) -> Result<Vec<TopicReply>> {
    let presences = changes::<C>(topic).await?;
    keep(consumer, topic)?;
    Ok(presences)
}

async fn handle_out<C: TopicConsumer>(context: &Context, push: &Push) -> Result {
    let topic = Topic::of(context)?;
    let mut consumer = load::<C>(context)?;
    let done = intercepted(&mut consumer, push, &topic).await?;
    topic.finished(done).await.map(drop)
}

/// Hands a broadcast to a consumer before its client sees it.
pub(super) async fn intercepted<C: TopicConsumer>(
    consumer: &mut C,
    push: &Push,
    topic: &Topic,
) -> Result<Done> {
    let payload = push.payload.clone().into();
    consumer.handle_out(&push.event, payload, topic).await?;
    let presences = returned(consumer, topic).await?;
    Ok(Done {
        presences,
        ..Done::default()
    })
}

async fn info<C: TopicConsumer>(event: Application, context: Context) -> Result {
    let topic = Topic::of(&context)?;
    let mut consumer = load::<C>(&context)?;
    let handled = informed(&mut consumer, Info::of(event)?, &topic).await;
    if warned(&handled) {
        return Ok(());
    }
    topic.finished(handled?).await.map(drop)
}

/// Hands something to a consumer that no client said.
pub(super) async fn informed<C: TopicConsumer>(
    consumer: &mut C,
    info: Info,
    topic: &Topic,
) -> Result<Done> {
    consumer.handle_info(info, topic).await?;
    let presences = returned(consumer, topic).await?;
    Ok(Done {
        presences,
        ..Done::default()
    })
}

/// An event that the type does not take ends nothing.
pub(super) fn warned(handled: &Result<Done>) -> bool {
    match handled {
        Err(error) if error.is_unknown_event() => {
            tracing::warn!(%error, "an event is ignored");
            true
        }
        Ok(_) | Err(_) => false,
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
