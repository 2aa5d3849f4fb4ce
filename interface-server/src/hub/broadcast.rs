//! A topic's message to everybody who joined it: encoded once for each way in
//! which its clients read.

use std::rc::Rc;

use bytestring::ByteString;
use smallvec::SmallVec;
use towpath_layer_core::{
    Application, Broadcast, ChannelName, Content, Counter, Frame, GroupName, LocalId, Position,
    Push, Reply,
};

use super::connection::Connection;
use super::flusher::Urgency;
use super::inbox;
use super::seated::{Hears, Joined, Seated};
use super::shard::Shard;
use crate::protocol::close;
use crate::protocol::frame::OutFrame;
use crate::protocol::phoenix::{self, Carries, Payload, Serializer};
use crate::protocol::position;
use crate::transport::outbox::NotTaken;

/// The event that ends every socket with an id, sent to the id as a topic
/// (reference §1.11).
const DISCONNECT: &str = "disconnect";

/// In which form a member reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form<'s> {
    Phoenix(Serializer, Carries),
    /// A plain WebSocket, or one of its streams: the frames of V1.
    Plain(&'s ByteString),
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

/// One message on its way to the members of one group on one shard.
#[derive(Debug)]
pub(super) struct Fanout<'a> {
    broadcast: &'a Broadcast,
    payload: Payload,
    /// Who is not told, if it is one of the shard's node.
    except: Option<LocalId>,
    /// Whether the group is the message's own topic's.
    is_own: bool,
    written: SmallVec<[(Form<'a>, Option<OutFrame>); 3]>,
    heard: Option<Content>,
}

impl<'a> Fanout<'a> {
    /// What to do for a member.
    #[inline]
    pub(super) fn to(&mut self, member: LocalId, seated: &'a Seated) -> Delivery {
        if self.except == Some(member) {
            return Delivery::Nothing;
        }
        match &seated.hears {
            Hears::Plain(plain) if plain.intercepts.contains(&self.broadcast.event) => {
                self.intercepted(Some(&plain.stream))
            }
            Hears::Plain(plain) => self.frame(Form::Plain(&plain.stream)),
            Hears::Listens(stream) => self.heard(Some(stream)),
            // Its client may have joined again, as another member.
            Hears::Joined(_) if seated.is_over() => Delivery::Nothing,
            Hears::Joined(joined) if !self.is_of(joined, seated) => self.heard(None),
            Hears::Joined(joined) => self.joined(joined),
            // Of its id it hears only its end.
            Hears::Socket if &*self.broadcast.event == DISCONNECT => {
                Delivery::Heard(Reply::close(close::GOING_AWAY, "disconnected"))
            }
            Hears::Socket => Delivery::Nothing,
        }
    }

    /// Whether a joined topic is the message's.
    fn is_of(&self, joined: &Joined, seated: &Seated) -> bool {
        if self.is_own {
            return joined.is_own;
        }
        let topic = seated.connection.topic();
        topic.is_some_and(|topic| *topic.name == *self.broadcast.topic)
    }

    #[inline]
    fn joined(&mut self, joined: &Joined) -> Delivery {
        let event = &self.broadcast.event;
        if let Some((mount, route)) = &joined.intercepted
            && mount.intercepts(*route, event)
        {
            return self.intercepted(None);
        }
        self.frame(Form::Phoenix(joined.serializer, joined.carries))
    }

    /// Its consumer sees it first, on a stream if that has a name.
    fn intercepted(&self, stream: Option<&ByteString>) -> Delivery {
        Delivery::Intercepted(Push {
            event: self.broadcast.event.clone(),
            payload: self.payload.clone().into(),
            reference: None,
            stream: named(stream),
        })
    }

    /// Its consumer hears of a topic that it has not joined.
    fn heard(&mut self, stream: Option<&ByteString>) -> Delivery {
        let encode = || Content::encode(self.broadcast).unwrap_or_default();
        let content = self.heard.get_or_insert_with(encode).clone();
        let name = ByteString::from_static(Broadcast::HEARD);
        let event = Application::new(name, content);
        let stream = named(stream);
        Delivery::Heard(Reply::event(Application { stream, ..event }))
    }

    #[inline]
    fn frame(&mut self, form: Form<'a>) -> Delivery {
        let known = self.written.iter().find(|(known, _)| *known == form);
        let frame = match known {
            Some((_, frame)) => frame.clone(),
            None => {
                let frame = self.write(form);
                self.written.push((form, frame.clone()));
                frame
            }
        };
        frame.map_or(Delivery::Nothing, Delivery::Frame)
    }

    fn write(&self, form: Form<'_>) -> Option<OutFrame> {
        let message = phoenix::Broadcast {
            topic: &self.broadcast.topic,
            event: &self.broadcast.event,
            payload: &self.payload,
        };
        let (serializer, carries) = match form {
            Form::Phoenix(serializer, carries) => (serializer, carries),
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
            Form::Plain(stream) => for_stream(stream, frame),
            Form::Phoenix(..) => frame,
        };
        Some(OutFrame::data(&frame))
    }
}

/// A stream of a demultiplexer; a plain WebSocket without one has an empty name.
fn named(stream: Option<&ByteString>) -> Option<ByteString> {
    stream.filter(|stream| !stream.is_empty()).cloned()
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
    /// A topic's message to a group: its own, or one of others that hear it.
    pub(super) fn fanout<'a>(
        &self,
        group: &GroupName,
        broadcast: &'a Broadcast,
        position: Option<Position>,
    ) -> Fanout<'a> {
        let payload = match (&broadcast.payload, position) {
            (Frame::Text(json), Some(position)) => {
                Payload::Json(position::in_message(json, position))
            }
            (payload, _) => payload.clone().into(),
        };
        let except = broadcast.except.as_ref().and_then(ChannelName::as_reply);
        let except = except.filter(|(node, _)| *node == self.layer.node());
        Fanout {
            broadcast,
            payload,
            except: except.map(|(_, member)| member),
            is_own: *group == GroupName::topic(&broadcast.topic),
            written: SmallVec::new(),
            heard: None,
        }
    }

    /// Brings a topic's message to every member here; `more` bytes of it and of
    /// what is told with it may wait beyond what their outboxes hold.
    pub(super) fn fan_out(
        self: &Rc<Self>,
        group: &GroupName,
        broadcast: &Broadcast,
        position: Option<Position>,
        more: usize,
    ) {
        let mut later: SmallVec<[(Rc<Connection>, Delivery, bool); 8]> = SmallVec::new();
        let mut sent = 0;
        let urgency = {
            let groups = self.groups.borrow();
            let mut fanout = self.fanout(group, broadcast, position);
            let members = groups.members(group);
            let urgency = inbox::urgency(members.len());
            for (member, seated) in members {
                let connection = &seated.connection;
                if connection.has_seen(position) && !seated.listens() {
                    continue;
                }
                match fanout.to(*member, seated) {
                    Delivery::Nothing => {}
                    Delivery::Frame(frame) if !seated.holds(group) => {
                        let put = if more == 0 {
                            self.put_on_line(&seated.socket, frame, urgency, self.bounds)
                        } else {
                            self.put_more(connection, frame, urgency, more)
                        };
                        match put {
                            Ok(()) => sent += 1,
                            Err(_) => {
                                let again = fanout.to(*member, seated);
                                later.push((Rc::clone(connection), again, false));
                            }
                        }
                    }
                    other => later.push((Rc::clone(connection), other, seated.holds(group))),
                }
            }
            urgency
        };
        self.metrics.frames_out.increment(sent);
        for (connection, delivery, holds) in later {
            if holds {
                self.hold(&connection, group, delivery, position);
            } else {
                self.deliver(&connection, delivery, urgency, more);
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
