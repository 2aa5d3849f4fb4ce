//! A topic's message to everybody who joined it: encoded once for each way in
//! which its clients read.

use std::rc::Rc;

use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use towpath_layer_core::{
    Application, Broadcast, Content, Counter, Frame, GroupName, Position, Push, Reply,
};

use super::connection::Connection;
use super::flusher::Urgency;
use super::inbox;
use super::shard::{Seated, Shard};
use crate::protocol::close;
use crate::protocol::frame::OutFrame;
use crate::protocol::phoenix::{self, Carries, Payload, Serializer};
use crate::protocol::position;
use crate::transport::outbox::NotTaken;

/// The event that ends every socket with an id, sent to the id as a topic
/// (reference §1.11).
const DISCONNECT: &str = "disconnect";

/// The name under which a consumer hears of a topic that it has subscribed to.
const SUBSCRIBED: &str = "phx_broadcast";

/// In which form a member reads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Phoenix(Serializer, Carries),
    /// A plain WebSocket, or one of its streams: the frames of V1.
    Plain(Bytes),
}

/// What is done for a member.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The frame is written.
    Frame(OutFrame),
    /// Its conversation hears of it.
    Heard(Reply),
    /// Its consumer sees it first.
    Intercepted(Push),
    /// Nothing: it is not for this member, or cannot be written for it.
    Nothing,
}

impl Delivery {
    /// What waits of it until it is done, in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len(),
            Self::Intercepted(push) => push.event.len() + push.payload.len(),
            Self::Heard(_) | Self::Nothing => 0,
        }
    }
}

/// One message on its way to the members of one shard.
#[derive(Debug)]
pub(super) struct Fanout<'a> {
    broadcast: &'a Broadcast,
    payload: Payload,
    written: SmallVec<[(Form, Option<OutFrame>); 3]>,
    heard: Option<Reply>,
}

impl<'a> Fanout<'a> {
    pub(super) fn new(broadcast: &'a Broadcast, position: Option<Position>) -> Self {
        let payload = match (&broadcast.payload, position) {
            (Frame::Text(json), Some(position)) => {
                Payload::Json(position::in_message(json, position))
            }
            (payload, _) => payload.clone().into(),
        };
        Self {
            broadcast,
            payload,
            written: SmallVec::new(),
            heard: None,
        }
    }

    /// What to do for a member.
    pub(super) fn to(&mut self, seated: &Seated) -> Delivery {
        let connection = &seated.connection;
        let broadcast = self.broadcast;
        if broadcast.except.as_ref() == Some(&connection.channel) {
            return Delivery::Nothing;
        }
        if let Some(topic) = connection.topic() {
            if topic.told.get() {
                // Its client may have joined again, as another member.
                return Delivery::Nothing;
            }
            let Some(phoenix) = &topic.socket.phoenix else {
                return Delivery::Nothing;
            };
            if *topic.name != *broadcast.topic {
                return self.heard();
            }
            let speech = &phoenix.speech;
            if speech.mount.intercepts(topic.route, &broadcast.event) {
                return Delivery::Intercepted(Push {
                    event: broadcast.event.clone(),
                    payload: self.payload.clone().into(),
                    reference: None,
                });
            }
            return self.frame(Form::Phoenix(speech.serializer, speech.carries));
        }
        if connection.phoenix.is_none() && *seated.meta != *GroupName::SOCKET_ID_META {
            return self.frame(Form::Plain(seated.meta.clone()));
        }
        // A socket itself is in no topic but its id.
        if &*broadcast.event == DISCONNECT {
            return Delivery::Heard(Reply::close(close::GOING_AWAY, "disconnected"));
        }
        Delivery::Nothing
    }

    fn heard(&mut self) -> Delivery {
        let heard = self.heard.get_or_insert_with(|| Reply {
            event: Some(Box::new(Application {
                name: ByteString::from_static(SUBSCRIBED),
                content: Content::encode(self.broadcast).unwrap_or_default(),
            })),
            ..Reply::default()
        });
        Delivery::Heard(heard.clone())
    }

    fn frame(&mut self, form: Form) -> Delivery {
        let known = self.written.iter().find(|(known, _)| *known == form);
        let frame = match known {
            Some((_, frame)) => frame.clone(),
            None => {
                let frame = self.write(&form);
                self.written.push((form, frame.clone()));
                frame
            }
        };
        frame.map_or(Delivery::Nothing, Delivery::Frame)
    }

    fn write(&self, form: &Form) -> Option<OutFrame> {
        let message = phoenix::Broadcast {
            topic: &self.broadcast.topic,
            event: &self.broadcast.event,
            payload: &self.payload,
        };
        let (serializer, carries) = match form {
            Form::Phoenix(serializer, carries) => (*serializer, *carries),
            Form::Plain(_) => (Serializer::V1, Carries::TextAndBytes),
        };
        let written = serializer.encode_broadcast(&message, carries);
        let frame = match written {
            Ok(frame) => frame,
            Err(error) => {
                let (topic, event) = (&*self.broadcast.topic, &*self.broadcast.event);
                tracing::warn!(topic, event, %error, "a broadcast cannot be written for some");
                return None;
            }
        };
        let frame = match form {
            Form::Plain(stream) => for_stream(&String::from_utf8_lossy(stream), frame),
            Form::Phoenix(..) => frame,
        };
        Some(OutFrame::data(&frame))
    }
}

/// A frame for one stream of a demultiplexed socket, or for a socket without.
pub(super) fn for_stream(stream: &str, frame: Frame) -> Frame {
    match frame {
        Frame::Text(text) if !stream.is_empty() => {
            let stream = serde_json::Value::from(stream);
            Frame::Text(format!(r#"{{"stream":{stream},"payload":{text}}}"#).into())
        }
        frame => frame,
    }
}

impl Shard {
    /// Brings a topic's message to every member here.
    pub(super) fn fan_out(
        self: &Rc<Self>,
        group: &GroupName,
        broadcast: &Broadcast,
        position: Option<Position>,
    ) {
        let mut fanout = Fanout::new(broadcast, position);
        let mut later: SmallVec<[(Rc<Connection>, Delivery); 8]> = SmallVec::new();
        let mut sent = 0;
        let urgency = {
            let groups = self.groups.borrow();
            let members = groups.members(group);
            let urgency = inbox::urgency(members.len());
            for (_, seated) in members {
                let connection = &seated.connection;
                if connection.has_seen(position) {
                    continue;
                }
                match fanout.to(seated) {
                    Delivery::Nothing => {}
                    Delivery::Frame(frame) if !connection.holds(group) => {
                        match self.put(connection, frame.clone(), urgency) {
                            Ok(()) => sent += 1,
                            Err(_) => later.push((Rc::clone(connection), Delivery::Frame(frame))),
                        }
                    }
                    other => later.push((Rc::clone(connection), other)),
                }
            }
            urgency
        };
        self.metrics.frames_out.increment(sent);
        for (connection, delivery) in later {
            if connection.holds(group) {
                self.hold(&connection, group, delivery, position);
            } else {
                self.deliver(&connection, delivery, urgency, 0);
            }
        }
    }

    /// Does what is to be done for one member; `more` bytes of it may wait
    /// beyond what its outbox, or its queue of events, holds.
    pub(super) fn deliver(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        delivery: Delivery,
        urgency: Urgency,
        more: usize,
    ) {
        match delivery {
            Delivery::Nothing => {}
            Delivery::Frame(frame) => match self.put_more(connection, frame, urgency, more) {
                Ok(()) => self.metrics.frames_out.increment(1),
                Err(NotTaken::Full) => self.overflow(connection),
                Err(NotTaken::Sealed) => self.count(Counter::Dropped),
            },
            Delivery::Heard(reply) => self.turn(connection, |conversation, turn| {
                conversation.group_reply(&reply, turn);
            }),
            Delivery::Intercepted(push) => self.turn(connection, |conversation, turn| {
                if more == 0 {
                    conversation.intercepted(push, turn);
                } else {
                    conversation.intercepted_before(push, self.beyond(more), turn);
                }
            }),
        }
    }
}
