//! The topics of a Phoenix socket: a connection each, on the socket's line.
//!
//! The socket's machine decides what a frame of the client means; a topic is a
//! conversation like any other, with an order and a session of its own. What
//! it says is written for the socket's client here.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use http::StatusCode;
use towpath_layer_core::{Counter, EventKind, Frame, Join, Push, TopicReply};

use super::connection::Connection;
use super::flusher::Urgency;
use super::shard::Shard;
use super::standstill::Ending;
use super::topic::{Phoenix, Topic};
use crate::conversation::Conversation;
use crate::protocol::close;
use crate::protocol::frame::OutFrame;
use crate::protocol::phoenix::{
    self, Action, ChannelId, DecodeError, Dropped, EncodeError, JoinOutcome, Leaving, Machine,
    Payload, Stop,
};
use crate::protocol::refusal::Refusal;
use crate::transport::outbox::NotTaken;

impl Shard {
    /// A frame of a client that speaks Phoenix.
    pub(crate) fn received_phoenix(
        self: &Rc<Self>,
        socket: &Rc<Connection>,
        phoenix: &Phoenix,
        frame: Frame,
    ) {
        match phoenix.speech.serializer.decode(frame) {
            Ok(incoming) => self.machine(socket, phoenix, |machine, turn| {
                machine.received(incoming, turn);
            }),
            Err(error) => {
                tracing::debug!(conn_id = %socket.id, %error, "a frame cannot be read");
                let reason = close::cut(&error.to_string().into());
                self.turn(socket, |conversation, turn| {
                    conversation.close(DecodeError::CLOSE_CODE, reason, turn);
                });
            }
        }
    }

    /// A socket ends: so do its topics.
    pub(crate) fn end_topics(self: &Rc<Self>, socket: &Rc<Connection>, reason: Leaving) {
        if let Some(phoenix) = &socket.phoenix {
            phoenix.note_told();
            self.machine(socket, phoenix, |machine, turn| {
                machine.connection_ended(reason, turn);
            });
        }
    }

    /// Closes a connection as soon as all that was read is handled; a socket
    /// as soon as its topics have come to that.
    pub(crate) fn drain_one(self: &Rc<Self>, connection: &Rc<Connection>) {
        let topics = match &connection.phoenix {
            Some(phoenix) if !phoenix.draining.replace(true) => phoenix.all_topics(),
            Some(_) => return,
            None => Vec::new(),
        };
        for topic in &topics {
            self.turn(topic, Conversation::drain);
        }
        self.drain_if_alone(connection);
    }

    /// A socket that is to close does so once its topics have handled all that
    /// was read.
    fn drain_if_alone(self: &Rc<Self>, connection: &Rc<Connection>) {
        let phoenix = connection.phoenix.as_ref();
        if phoenix.is_none_or(|phoenix| phoenix.has_departed()) {
            self.turn(connection, Conversation::drain);
        }
    }

    /// A topic has handled all that was read.
    pub(crate) fn topic_departs(self: &Rc<Self>, topic: &Topic) {
        topic.departed.set(true);
        if topic.is_draining() {
            self.drain_if_alone(&topic.socket);
        }
    }

    /// Lets something happen to a socket's machine, and does what follows.
    fn machine(
        self: &Rc<Self>,
        socket: &Rc<Connection>,
        phoenix: &Phoenix,
        happen: impl FnOnce(&mut Machine, &mut phoenix::Turn<'_>),
    ) {
        let mut actions = self.spare_phoenix_actions.take();
        let mut turn = phoenix::Turn {
            routes: &phoenix.speech.mount.topics,
            actions: &mut actions,
        };
        happen(&mut phoenix.machine.borrow_mut(), &mut turn);
        for action in actions.drain(..) {
            self.perform_phoenix(socket, phoenix, action);
        }
        self.spare_phoenix_actions.set(actions);
    }

    fn perform_phoenix(
        self: &Rc<Self>,
        socket: &Rc<Connection>,
        phoenix: &Phoenix,
        action: Action,
    ) {
        match action {
            Action::StartJoin {
                topic, id, payload, ..
            } => self.start_join(socket, phoenix, (&topic, id), payload),
            Action::Forward {
                id,
                reference,
                event,
                payload,
                ..
            } => {
                let push = Push {
                    event,
                    payload: payload.into(),
                    reference: reference.map(Into::into),
                    stream: None,
                };
                if let Some(topic) = phoenix.topic(id) {
                    self.push_to(&topic, phoenix, push);
                }
            }
            Action::StartLeave { id, reason, .. } => {
                let reason = ByteString::from_static(reason.as_str());
                if let Some(topic) = phoenix.topic(id) {
                    if let Some(topic) = topic.topic() {
                        topic.ending.set(Ending::Asked);
                    }
                    self.turn(&topic, |conversation, turn| {
                        conversation.transport_ended(close::NORMAL, reason, turn);
                    });
                }
            }
            // Phoenix is silent about these, too.
            Action::Drop(Dropped::StaleJoinRef | Dropped::ConnectionEnded) => {}
            Action::Drop(Dropped::ChannelEnded) => self.count(Counter::Dropped),
            said => self.write_phoenix(socket, phoenix, &said),
        }
    }

    /// A topic's conversation begins, with the join.
    fn start_join(
        self: &Rc<Self>,
        socket: &Rc<Connection>,
        phoenix: &Phoenix,
        (name, id): (&ByteString, ChannelId),
        payload: Payload,
    ) {
        let name: Arc<str> = Arc::from(&**name);
        let (path, session) = socket.conversation.borrow().place();
        let join = Join {
            payload: payload.into(),
            socket: session,
        };
        let topic = Topic {
            socket: Rc::clone(socket),
            route: phoenix.speech.mount.topics.find(&name).unwrap_or_default(),
            name: Arc::clone(&name),
            id,
            told: Cell::new(false),
            departed: Cell::new(false),
            ending: Cell::new(Ending::No),
            waiting: Cell::new(0),
        };
        let mut actions = Vec::new();
        let connection = self.enter(&mut actions, |channel, turn| {
            let conversation = Conversation::new(
                channel,
                (path, Some(name)),
                EventKind::Join(Box::new(join)),
                Bytes::new(),
                turn,
            );
            (conversation, super::connection::Role::Topic(topic))
        });
        let mut topics = phoenix.topics.borrow_mut();
        topics.insert(id, Rc::clone(&connection));
        drop(topics);
        self.perform(&connection, &mut actions);
    }

    /// What a topic's consumer says to its client.
    pub(crate) fn say_to(self: &Rc<Self>, topic: &Topic, reply: TopicReply) {
        match reply {
            TopicReply::Joined { response } => {
                let response = response.into();
                self.joined(topic, JoinOutcome::Joined { response });
            }
            TopicReply::Refused { response } => {
                let response = response.into();
                self.joined(topic, JoinOutcome::Refused { response });
            }
            TopicReply::Push { event, payload } => self.on_machine(topic, |machine, turn| {
                machine.push(&topic.name, topic.id, event, payload.into(), turn);
            }),
            TopicReply::Answer {
                reference,
                status,
                response,
            } => self.on_machine(topic, |machine, turn| {
                let reference = Some(reference.into());
                machine.reply(
                    &topic.name,
                    topic.id,
                    reference,
                    status,
                    response.into(),
                    turn,
                );
            }),
            // These go to a group, or have been done.
            TopicReply::Broadcast(_)
            | TopicReply::Presence(_)
            | TopicReply::Tracking(_)
            | TopicReply::Resume(_)
            | TopicReply::Stop => {
                self.count(Counter::Dropped);
            }
        }
    }

    pub(super) fn on_machine(
        self: &Rc<Self>,
        topic: &Topic,
        happen: impl FnOnce(&mut Machine, &mut phoenix::Turn<'_>),
    ) {
        if let Some(phoenix) = &topic.socket.phoenix {
            self.machine(&topic.socket, phoenix, happen);
        }
    }

    /// How the join ended that a topic began with.
    pub(crate) fn joined(self: &Rc<Self>, topic: &Topic, outcome: JoinOutcome) {
        if !matches!(outcome, JoinOutcome::Joined { .. }) {
            topic.note_told();
        }
        self.on_machine(topic, |machine, turn| {
            machine.join_done(&topic.name, topic.id, outcome, turn);
        });
    }

    /// A join that its consumer did not answer.
    pub(crate) fn join_failed(self: &Rc<Self>, topic: &Topic, refusal: &Refusal) {
        let outcome = if refusal.status == StatusCode::NOT_FOUND {
            JoinOutcome::Unmatched
        } else if refusal.status.is_client_error() || refusal.is_transient() {
            // That nobody answered in time is no fault of the consumer either: the
            // event may have been lost with the layer.
            let status = match refusal.status {
                StatusCode::GATEWAY_TIMEOUT => StatusCode::SERVICE_UNAVAILABLE,
                status => status,
            };
            let reason = status.canonical_reason().unwrap_or("refused");
            let response = format!(r#"{{"reason":"{}"}}"#, reason.to_lowercase());
            let response = Payload::Json(response.into());
            JoinOutcome::Refused { response }
        } else {
            JoinOutcome::Crashed
        };
        self.joined(topic, outcome);
    }

    /// A topic's conversation closes. In good order its client is told at the
    /// end; of a failure at once, so that it joins again.
    pub(crate) fn topic_closes(self: &Rc<Self>, topic: &Topic, code: u16) {
        if topic.is_draining() {
            // The client comes back to another node, and joins again there.
            topic.note_told();
        } else if code != close::NORMAL && !topic.note_told() {
            self.stopped(topic, Stop::Crashed);
        }
    }

    pub(super) fn stopped(self: &Rc<Self>, topic: &Topic, stop: Stop) {
        self.on_machine(topic, |machine, turn| {
            machine.channel_stopped(&topic.name, topic.id, stop, turn);
        });
    }

    /// A topic's conversation is over: its client is told, if it does not know.
    pub(crate) fn forget_topic(self: &Rc<Self>, topic: &Topic) {
        let Some(phoenix) = &topic.socket.phoenix else {
            return;
        };
        phoenix.note_waiting(topic, 0);
        phoenix.topics.borrow_mut().remove(&topic.id);
        if !topic.note_told() {
            self.stopped(topic, Stop::Normal);
        }
        topic.socket.line.borrow_mut().ends_topics = phoenix.ends_topics();
    }

    fn write_phoenix(self: &Rc<Self>, socket: &Rc<Connection>, phoenix: &Phoenix, said: &Action) {
        let frame = match phoenix.written(said) {
            Ok(Some(frame)) => OutFrame::data(&frame),
            Ok(None) => return,
            Err(error) => {
                tracing::error!(conn_id = %socket.id, %error, "a message cannot be written");
                self.count(Counter::Dropped);
                return;
            }
        };
        match self.put(socket, frame, Urgency::Now) {
            Ok(()) => self.metrics.frames_out.increment(1),
            Err(NotTaken::Full) => self.overflow(socket),
            Err(NotTaken::Sealed) => self.count(Counter::Dropped),
        }
    }
}

impl Phoenix {
    /// What a machine says, as its client reads it. An answer that cannot be
    /// written becomes one that says so: the client waits for it.
    fn written(&self, said: &Action) -> Result<Option<Frame>, EncodeError> {
        let (serializer, carries) = (self.speech.serializer, self.speech.carries);
        let written = serializer.encode(said, carries);
        let (
            Err(error),
            Action::Reply {
                join_ref,
                reference,
                topic,
                ..
            },
        ) = (&written, said)
        else {
            return written;
        };
        tracing::warn!(%topic, %error, "an answer cannot be written");
        let reason = serde_json::json!({ "reason": error.to_string() });
        let instead = Action::Reply {
            join_ref: join_ref.clone(),
            reference: reference.clone(),
            topic: topic.clone(),
            status: ByteString::from_static("error"),
            response: Payload::Json(reason.to_string().into()),
        };
        serializer.encode(&instead, carries)
    }
}
