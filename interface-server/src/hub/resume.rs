//! What a client has missed is read before its join is answered: answer, what
//! it missed, and what was held beyond that, with no gap and no double at the
//! seam.

use std::rc::Rc;

use towpath_layer_core::{
    Frame, GroupName, LayerError, PlainMember, Position, Recalled, Reply as Message, Resume,
    TopicReply,
};

use super::broadcast::{Delivery, for_stream};
use super::cleanup::Job;
use super::connection::Connection;
use super::flusher::Urgency;
use super::seated::Seated;
use super::shard::Shard;
use crate::protocol::frame::OutFrame;
use crate::protocol::phoenix::{Carries, Payload, Reply, Serializer};
use crate::protocol::position;

/// Messages that are recalled for one client at most: the latest.
pub(super) const RECALLED_MAX: usize = 1000;

/// Where a client's history is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Behind what it has seen.
    Seen(Position),
    /// It names something that no layer has given: as one that has seen nothing,
    /// and begins anew.
    Unreadable(usize),
    /// It has seen nothing: some of what was said before it joined, and all that
    /// was said since.
    Joined(Position),
    /// It has seen nothing, and is told so many.
    Latest(usize),
}

impl Start {
    fn of(resume: &Resume) -> Self {
        let latest = usize::try_from(resume.latest).unwrap_or(RECALLED_MAX);
        if let Some(seen) = &resume.last_seen_id {
            return seen.parse().map_or(Self::Unreadable(latest), Self::Seen);
        }
        match resume.from {
            Some(from) => Self::Joined(Position {
                offset: from.offset.saturating_sub(u64::from(resume.latest)),
                ..from
            }),
            None => Self::Latest(latest),
        }
    }

    const fn since(self) -> Option<Position> {
        match self {
            Self::Seen(position) | Self::Joined(position) => Some(position),
            Self::Unreadable(_) | Self::Latest(_) => None,
        }
    }

    fn max(self) -> usize {
        match self {
            Self::Unreadable(latest) | Self::Latest(latest) => latest.min(RECALLED_MAX),
            Self::Seen(_) | Self::Joined(_) => RECALLED_MAX,
        }
    }

    /// Whether what was recalled is all that the client has to be told.
    fn is_complete(self, recalled: &Recalled) -> bool {
        match self {
            Self::Unreadable(_) => false,
            // What was before it joined need not be kept any more.
            Self::Joined(_) => true,
            Self::Seen(_) | Self::Latest(_) => recalled.complete,
        }
    }
}

/// Whether more was published than is recalled for one client.
fn is_behind(recalled: &Recalled) -> bool {
    let last = recalled.messages.last();
    let last = last.and_then(|last| last.position.as_deref());
    last.is_some_and(|last| last.offset < recalled.position.offset)
}

/// Where a client stands whose history cannot be read: where it said.
fn claimed(resume: &Resume) -> Position {
    Start::of(resume).since().unwrap_or(Position {
        epoch: 0,
        offset: 0,
    })
}

/// Where a client stands that has been told nothing of it yet: what follows
/// moves it on.
fn stands_at(recalled: &Recalled) -> Position {
    let first = recalled.messages.first();
    let first = first.and_then(|first| first.position.as_deref());
    first.map_or(recalled.position, |first| Position {
        offset: first.offset.saturating_sub(1),
        ..*first
    })
}

impl Shard {
    /// Reads what a client has missed, and then answers its join.
    pub(super) fn resume_from(self: &Rc<Self>, connection: &Rc<Connection>, resume: Resume) {
        let group = GroupName::topic(&resume.topic);
        connection.holds_from_now(&group);
        self.begin_course(&group);
        let (shard, connection) = (Rc::clone(self), Rc::clone(connection));
        self.sockets.spawn_local(async move {
            let meta = resume.member.clone().unwrap_or_default().into_bytes();
            let seated = Seated::new(connection, &group, meta);
            let is_member = match resume.member {
                Some(_) => shard.seat(&group, &seated).await,
                None => true,
            };
            let mut recalled = shard.recall(&group, &resume).await;
            if let Some(recalled) = &mut recalled {
                recalled.complete &= is_member;
            }
            let position = recalled.as_ref().map(|recalled| recalled.position);
            shard.set_course(&group, position);
            shard.release(&group, &seated, &resume, recalled);
            let connection = &seated.connection;
            let is_about_to_be_member = resume.member.is_some()
                && is_member
                && connection.conversation.borrow().takes_members();
            if !is_about_to_be_member {
                shard.drop_course(&group);
            }
        });
    }

    /// Makes a plain WebSocket a member. What is published while that fails is
    /// missing for it.
    async fn seat(&self, group: &GroupName, seated: &Seated) -> bool {
        let (channel, meta) = (&seated.connection.channel, seated.meta.clone());
        let added = self.layer.group_add(group, channel, meta.clone()).await;
        let Err(error) = added else {
            return true;
        };
        tracing::warn!(%group, %error, "a socket is not told of its topic yet");
        self.repair(Job::Add {
            group: group.clone(),
            channel: channel.clone(),
            meta,
        });
        false
    }

    /// What a client is to be told of the past; nothing if it cannot be read.
    async fn recall(&self, group: &GroupName, resume: &Resume) -> Option<Recalled> {
        let recalled = self.recall_from(group, Start::of(resume)).await;
        let failed = |error: &LayerError| {
            let topic = &*resume.topic;
            tracing::warn!(topic, %error, "a client's history cannot be read");
        };
        recalled.inspect_err(failed).ok()
    }

    async fn recall_from(&self, group: &GroupName, start: Start) -> Result<Recalled, LayerError> {
        let since = start.since();
        let recalled = self.layer.group_history(group, since, start.max()).await?;
        if since.is_some() && is_behind(&recalled) {
            // A gap before what it is told, and none before what comes then.
            let latest = self.layer.group_history(group, None, RECALLED_MAX).await?;
            return Ok(Recalled {
                complete: false,
                ..latest
            });
        }
        Ok(Recalled {
            complete: start.is_complete(&recalled),
            ..recalled
        })
    }

    /// Answers a join, tells what was missed, and what was held beyond that.
    fn release(
        self: &Rc<Self>,
        group: &GroupName,
        seated: &Seated,
        resume: &Resume,
        recalled: Option<Recalled>,
    ) {
        let connection = &seated.connection;
        let Some(mut join) = connection.take_join(group) else {
            return;
        };
        let complete = recalled.as_ref().is_some_and(|recalled| recalled.complete);
        let resync = !complete || join.overflowed;
        if let Some(response) = join.answer.take() {
            let stands = recalled.as_ref().map_or_else(|| claimed(resume), stands_at);
            let response = position::in_response(response, stands, resync);
            if connection.topic().is_some() {
                self.say(connection, TopicReply::Joined { response });
            } else {
                self.say_joined(connection, resume, response);
            }
        }
        if let Some(recalled) = recalled {
            connection.note_seen(recalled.position);
            let mut told = 0;
            for message in &recalled.messages {
                self.tell_again(group, seated, message, &mut told);
            }
        }
        self.let_out(connection, join.held);
    }

    /// Tells something of the past; `told` bytes of it may wait, which nobody
    /// could take so far.
    fn tell_again(
        self: &Rc<Self>,
        group: &GroupName,
        seated: &Seated,
        message: &Message,
        told: &mut usize,
    ) {
        let at = message.position.as_deref().copied();
        for said in &message.topic {
            if let TopicReply::Broadcast(broadcast) = said {
                let member = seated.connection.id;
                let delivery = self.fanout(group, broadcast, at).to(member, seated);
                *told += delivery.size();
                self.deliver(&seated.connection, delivery, Urgency::Now, *told);
            }
        }
    }

    /// Tells a plain WebSocket where it stands, in the frames of version 1.
    fn say_joined(self: &Rc<Self>, connection: &Rc<Connection>, resume: &Resume, response: Frame) {
        let reply = Reply {
            join_ref: None,
            reference: None,
            topic: &resume.topic,
            status: "ok",
            response: &Payload::from(response),
        };
        let delivery = match Serializer::V1.encode_reply(&reply, Carries::TextAndBytes) {
            Ok(frame) => {
                let member = resume.member.clone().unwrap_or_default();
                let stream = PlainMember::of(&member.into_bytes()).stream;
                Delivery::Frame(OutFrame::data(&for_stream(&stream, frame)))
            }
            Err(error) => {
                tracing::warn!(%error, "an answer cannot be written");
                Delivery::Nothing
            }
        };
        self.deliver(connection, delivery, Urgency::Now, 0);
    }
}
