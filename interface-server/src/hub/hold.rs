//! What waits for a connection until its join is answered: what its consumer
//! says, and what everybody in the topic is told meanwhile.
//!
//! A client that resumes is first answered, then told what it missed, and then
//! what was held beyond that: no gap and no double at the seam.

use std::rc::Rc;

use towpath_layer_core::{
    Counter, Frame, GroupName, LayerError, Position, PositionError, Recalled, Resume, TopicReply,
};

use super::broadcast::{Delivery, Fanout, for_stream};
use super::connection::Connection;
use super::course::Course;
use super::flusher::Urgency;
use super::shard::{Seated, Shard};
use crate::protocol::frame::OutFrame;
use crate::protocol::phoenix::{Carries, Payload, Reply, Serializer};
use crate::protocol::position;

/// What may wait, in messages. What comes beyond it is left out, and a client
/// that resumes is told to begin anew.
const HELD_MAX: usize = 256;

/// Messages that are recalled for one client at most.
const RECALLED_MAX: usize = 1000;

#[derive(Debug)]
enum Held {
    Said(TopicReply),
    Told(Delivery, Option<Position>),
}

/// What waits for one connection.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    held: Vec<Held>,
    overflowed: bool,
    /// Whether its history is being read.
    resumes: bool,
}

impl Hold {
    fn push(&mut self, held: Held) -> bool {
        // The answer and what the consumer says are few: none of it is left out.
        if self.held.len() >= HELD_MAX && matches!(held, Held::Told(..)) {
            self.overflowed = true;
            return false;
        }
        self.held.push(held);
        true
    }

    /// The answer to the join: it goes before all that was held.
    fn take_answer(&mut self) -> Option<Frame> {
        let mut held = self.held.iter();
        let at = held.position(|held| matches!(held, Held::Said(TopicReply::Joined { .. })))?;
        match self.held.remove(at) {
            Held::Said(TopicReply::Joined { response }) => Some(response),
            Held::Said(_) | Held::Told(..) => None,
        }
    }
}

impl Connection {
    /// Whether what it is told has to wait.
    pub(crate) fn holds(&self) -> bool {
        self.hold.borrow().is_some()
    }
}

impl Shard {
    /// Keeps what a topic's members are told for one whose join is not answered.
    pub(super) fn hold(
        &self,
        connection: &Connection,
        delivery: Delivery,
        position: Option<Position>,
    ) {
        let mut hold = connection.hold.borrow_mut();
        let held = hold
            .as_mut()
            .map(|hold| hold.push(Held::Told(delivery, position)));
        if held == Some(false) {
            self.count(Counter::Dropped);
        }
    }

    /// What a consumer says goes out after the answer to its join.
    pub(crate) fn said(self: &Rc<Self>, connection: &Rc<Connection>, said: TopicReply) {
        if let TopicReply::Resume(resume) = said {
            return self.resume_from(connection, *resume);
        }
        if matches!(said, TopicReply::Refused { .. }) {
            connection.hold.take();
        }
        let joins = matches!(said, TopicReply::Joined { .. });
        let resumes = {
            let mut hold = connection.hold.borrow_mut();
            match hold.as_mut() {
                None => false,
                Some(hold) if hold.resumes || !joins => {
                    if !hold.push(Held::Said(said)) {
                        self.count(Counter::Dropped);
                    }
                    return;
                }
                Some(_) => true,
            }
        };
        self.say(connection, said);
        if resumes {
            self.release(connection, None);
        }
    }

    /// Reads what a client has missed, and then answers its join.
    fn resume_from(self: &Rc<Self>, connection: &Rc<Connection>, resume: Resume) {
        connection.hold.borrow_mut().get_or_insert_default().resumes = true;
        let (shard, connection) = (Rc::clone(self), Rc::clone(connection));
        self.sockets.spawn_local(async move {
            let since = resume
                .last_seen_id
                .as_ref()
                .map(|id| id.parse::<Position>());
            let recalled = shard.recall(&connection, &resume, since.clone()).await;
            let recalled = match recalled {
                Ok(mut recalled) => {
                    // What cannot be read is from nowhere.
                    recalled.complete &= !matches!(since, Some(Err(_)));
                    recalled
                }
                Err(error) => {
                    let topic = &*resume.topic;
                    tracing::warn!(topic, %error, "a client's history cannot be read");
                    Recalled {
                        position: since.and_then(Result::ok).unwrap_or(Position {
                            epoch: 0,
                            offset: 0,
                        }),
                        complete: false,
                        messages: Vec::new(),
                    }
                }
            };
            shard.release(&connection, Some((resume, recalled)));
        });
    }

    async fn recall(
        &self,
        connection: &Connection,
        resume: &Resume,
        since: Option<Result<Position, PositionError>>,
    ) -> Result<Recalled, LayerError> {
        let group = GroupName::topic(&resume.topic);
        if let Some(stream) = &resume.stream {
            let meta = stream.as_bytes().clone();
            let added = self
                .layer
                .group_add(&group, &connection.channel, meta)
                .await;
            if let Err(error) = added {
                tracing::warn!(%group, %error, "a socket is not told of its topic");
            }
        }
        let since = since.and_then(Result::ok);
        let max = match &resume.last_seen_id {
            Some(_) => RECALLED_MAX,
            None => usize::try_from(resume.latest)
                .unwrap_or(RECALLED_MAX)
                .min(RECALLED_MAX),
        };
        let mut recalled = self.layer.group_history(&group, since, max).await?;
        if since.is_none() {
            return Ok(recalled);
        }
        let behind = |recalled: &Recalled| {
            let last = recalled
                .messages
                .last()
                .and_then(|last| last.position.as_deref());
            last.is_some_and(|last| last.offset < recalled.position.offset)
        };
        if behind(&recalled) {
            // More than is recalled for one: it begins anew, behind all of it.
            recalled.complete = false;
        }
        Ok(recalled)
    }

    /// Answers a join, tells what was missed, and what was held beyond that.
    fn release(self: &Rc<Self>, connection: &Rc<Connection>, resumed: Option<(Resume, Recalled)>) {
        let Some(mut hold) = connection.hold.take() else {
            return;
        };
        if let Some((resume, recalled)) = resumed {
            let resync = !recalled.complete || hold.overflowed;
            if let Some(response) = hold.take_answer() {
                let response = position::in_response(response, recalled.position, resync);
                if connection.topic().is_some() {
                    self.say(connection, TopicReply::Joined { response });
                } else {
                    self.say_joined(connection, &resume, response);
                }
            }
            self.replay(connection, &resume, recalled);
        }
        for held in hold.held {
            match held {
                Held::Said(said) => self.say(connection, said),
                Held::Told(_, at) if connection.has_seen(at) => {}
                Held::Told(delivery, _) => {
                    self.deliver(connection, delivery, None, Urgency::Now, 0);
                }
            }
        }
    }

    fn replay(self: &Rc<Self>, connection: &Rc<Connection>, resume: &Resume, recalled: Recalled) {
        let group = GroupName::topic(&resume.topic);
        let stream = resume.stream.as_ref();
        let seated = Seated {
            connection: Rc::clone(connection),
            meta: stream
                .map(|stream| stream.as_bytes().clone())
                .unwrap_or_default(),
        };
        let mut courses = self.courses.borrow_mut();
        courses
            .entry(group)
            .or_insert_with(|| Course::new(recalled.position));
        drop(courses);
        connection.seen.set(Some(recalled.position));
        for reply in recalled.messages {
            for said in &reply.topic {
                if let TopicReply::Broadcast(broadcast) = said {
                    let delivery =
                        Fanout::new(broadcast, reply.position.as_deref().copied()).to(&seated);
                    let more = broadcast.payload.len();
                    self.deliver(connection, delivery, None, Urgency::Now, more);
                }
            }
        }
    }

    fn say(self: &Rc<Self>, connection: &Rc<Connection>, said: TopicReply) {
        match connection.topic() {
            Some(topic) => self.say_to(topic, said),
            None => self.count(Counter::Dropped),
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
                let stream = resume.stream.as_deref().unwrap_or_default();
                Delivery::Frame(OutFrame::data(&for_stream(stream, frame)))
            }
            Err(error) => {
                tracing::warn!(%error, "an answer cannot be written");
                Delivery::Nothing
            }
        };
        self.deliver(connection, delivery, None, Urgency::Now, 0);
    }
}
