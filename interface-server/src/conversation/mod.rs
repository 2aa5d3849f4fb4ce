//! One ordered stream of events with a session.
//!
//! A [`Conversation`] decides what happens next: which event is emitted, what
//! an answer means, when it has waited long enough. Its methods take what
//! happened and the time, and push [`Action`]s for the shell to perform in
//! order; it knows no socket, no clock and no layer.

mod completion;
mod deadlines;
mod in_flight;
mod queue;
mod reply;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod ticks;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::{
    Accept, Application, ChannelName, Close, Counter, Event, EventKind, Frame, GroupChange, Push,
    TopicReply,
};

use crate::config::{OnEvent, SlowPolicy};
use crate::protocol::close;
use crate::protocol::refusal::Refusal;
use in_flight::{InFlight, State};
use queue::Queue;
use ticks::Ticks;

pub(crate) use in_flight::Handed;

/// Messages of a client that may wait in a conversation that has a socket of
/// its own: reading stops at it, so the kernel, and then the client, keeps the
/// rest.
const MESSAGES_MAX: usize = 1;

/// What the operator and the layer say about all conversations.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) connect_timeout: Duration,
    pub(crate) consumer_timeout: Duration,
    pub(crate) expiry: Expiry,
    pub(crate) session_size_max: usize,
    pub(crate) queue_events_max: usize,
    pub(crate) queue_bytes_max: usize,
    pub(crate) slow_policy: SlowPolicy,
    pub(crate) on_lost: OnEvent,
}

/// How long an event waits in its channel, by kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    pub(crate) connect: Duration,
    pub(crate) receive: Duration,
    pub(crate) application: Duration,
    pub(crate) disconnect: Duration,
}

impl Rules {
    fn expiry_of(&self, kind: &EventKind) -> Duration {
        match kind {
            EventKind::Connect(_) | EventKind::Join(_) => self.expiry.connect,
            EventKind::Receive(_) | EventKind::In(_) | EventKind::Out(_) => self.expiry.receive,
            EventKind::Application(_) => self.expiry.application,
            EventKind::Disconnect { .. } => self.expiry.disconnect,
        }
    }
}

/// What the shell is to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Hand the event in flight to the layer.
    Emit { channel: &'static str, attempt: u64 },
    /// Answer the handshake with 101.
    Accept(Accept),
    /// Answer the handshake with an error.
    Refuse(Refusal),
    /// Put a frame in the outbox.
    Send(Frame),
    /// Tell a topic's client.
    Topic(TopicReply),
    /// Put a close frame in the outbox, as the last.
    Close {
        code: u16,
        reason: ByteString,
        /// Whether what waits in the outbox is of no use any more.
        at_once: bool,
    },
    /// Repeat these membership changes if they are missing.
    Groups(Vec<GroupChange>),
    /// End all memberships, before the next emission: its consumer finds the
    /// connection in no group, and makes it a member of none.
    Depart,
    /// Forget the conversation.
    End,
    /// Call [`Conversation::tick`] at this time, and no more at that time.
    Wake {
        was: Option<Duration>,
        at: Option<Duration>,
    },
    /// Count something.
    Count(Counter),
}

/// The time, the rules, and where actions go.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) now: Duration,
    pub(crate) rules: &'a Rules,
    pub(crate) actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    fn push(&mut self, action: Action) {
        self.actions.push(action);
    }
}

/// What the shell does with what a peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Messages are events.
    Deliver,
    /// Enough waits; the rest stays in the kernel.
    Pause,
    /// Messages are thrown away until the peer closes, too.
    Discard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The handshake is not answered.
    Asking,
    /// Messages go both ways.
    Open,
    /// The peer is gone; what it had sent is still handled.
    Left,
    /// This side has closed or refused; what waited is gone.
    Shut,
    /// The disconnect is in flight.
    Parting,
    /// Nothing happens any more.
    Ended,
}

/// How a socket ended.
#[derive(Debug, Clone, Default)]
struct Farewell {
    code: u16,
    reason: ByteString,
}

/// One ordered stream of events.
#[derive(Debug)]
pub(crate) struct Conversation {
    reply_channel: ChannelName,
    path: ByteString,
    topic: Option<Arc<str>>,
    stage: Stage,
    accepted: bool,
    departed: bool,
    draining: bool,
    session: Bytes,
    next_order: u64,
    next_attempt: u64,
    in_flight: Option<InFlight>,
    waiting: Queue,
    farewell: Farewell,
    answer_by: Duration,
    ticks: Ticks,
}

impl Conversation {
    /// A conversation that begins with that event, a connect or a join, and with
    /// that session.
    pub(crate) fn new(
        reply_channel: ChannelName,
        (path, topic): (ByteString, Option<Arc<str>>),
        first: EventKind,
        session: Bytes,
        turn: &mut Turn<'_>,
    ) -> Self {
        let mut new = Self {
            reply_channel,
            path,
            topic,
            stage: Stage::Asking,
            accepted: false,
            departed: false,
            draining: false,
            session,
            next_order: 0,
            next_attempt: 1,
            in_flight: None,
            waiting: Queue::default(),
            farewell: Farewell::default(),
            answer_by: turn.now + turn.rules.connect_timeout,
            ticks: Ticks::default(),
        };
        new.start(first, turn);
        new
    }

    /// What to do with what the peer sends.
    pub(crate) fn reading(&self, rules: &Rules) -> Reading {
        match self.stage {
            Stage::Asking => Reading::Pause,
            Stage::Open if self.draining => Reading::Pause,
            Stage::Open if !self.waiting.takes_message(MESSAGES_MAX, rules) => Reading::Pause,
            Stage::Open => Reading::Deliver,
            Stage::Left | Stage::Shut | Stage::Parting | Stage::Ended => Reading::Discard,
        }
    }

    /// Messages of the client that wait for the event in flight.
    pub(crate) fn messages(&self) -> usize {
        self.waiting.messages()
    }

    /// Whether another message of the client may wait, if no more than so many
    /// may; one always may.
    pub(crate) fn takes_message(&self, messages_max: usize, rules: &Rules) -> bool {
        self.messages() == 0 || self.waiting.takes_message(messages_max, rules)
    }

    /// Its path and its session.
    pub(crate) fn place(&self) -> (ByteString, Bytes) {
        (self.path.clone(), self.session.clone())
    }

    /// Whether memberships may be made.
    pub(crate) fn takes_members(&self) -> bool {
        !self.departed
    }

    /// Whether an event is in flight.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether the event in flight is the first one.
    pub(crate) fn is_connecting(&self) -> bool {
        self.in_flight
            .as_ref()
            .is_some_and(|event| event.order == 0)
    }

    /// A message of the client.
    pub(crate) fn receive(&mut self, frame: Frame, turn: &mut Turn<'_>) {
        self.message_of_client(EventKind::Receive(frame), turn);
    }

    /// A message of the client to this topic.
    pub(crate) fn push(&mut self, push: Push, turn: &mut Turn<'_>) {
        self.message_of_client(EventKind::In(Box::new(push)), turn);
    }

    fn message_of_client(&mut self, kind: EventKind, turn: &mut Turn<'_>) {
        if self.stage == Stage::Open {
            self.waiting.push(kind);
            self.advance(turn);
        }
    }

    /// A message to the client that the topic's consumer wants to see first.
    pub(crate) fn intercepted(&mut self, push: Push, turn: &mut Turn<'_>) {
        self.heard_elsewhere(EventKind::Out(Box::new(push)), turn);
    }

    /// The same for what was said before, and comes all at once: so many bytes
    /// of it may wait beyond the bounds, and take no room from what follows.
    pub(crate) fn intercepted_before(&mut self, push: Push, more: usize, turn: &mut Turn<'_>) {
        let kind = EventKind::Out(Box::new(push));
        let open = matches!(self.stage, Stage::Asking | Stage::Open) && !self.draining;
        if open && self.waiting.has_room_beyond(&kind, more, turn.rules) {
            self.waiting.push_beyond(kind);
            self.advance(turn);
        } else {
            self.heard_elsewhere(kind, turn);
        }
    }

    /// The socket is gone, by the peer's close or without one.
    pub(crate) fn transport_ended(&mut self, code: u16, reason: ByteString, turn: &mut Turn<'_>) {
        if matches!(self.stage, Stage::Asking | Stage::Open) {
            self.stage = Stage::Left;
            self.farewell = Farewell { code, reason };
            self.end_ticks(turn);
            self.advance(turn);
        }
    }

    /// Its peer waits no more for what was read to be handled: the event in
    /// flight is the last but for the disconnect, and it is in no group while
    /// that goes on.
    pub(crate) fn cut_short(&mut self, turn: &mut Turn<'_>) {
        if self.stage == Stage::Left {
            self.stage = Stage::Shut;
            self.waiting.clear();
            self.depart(turn);
            self.advance(turn);
        }
    }

    /// Closes with a code, after what waits in the outbox.
    pub(crate) fn close(&mut self, code: u16, reason: ByteString, turn: &mut Turn<'_>) {
        self.shut(code, reason, false, turn);
    }

    /// Closes with a code and throws away what waits in the outbox.
    pub(crate) fn abort(&mut self, code: u16, reason: ByteString, turn: &mut Turn<'_>) {
        self.shut(code, reason, true, turn);
    }

    /// Closes as soon as all that was read is handled.
    pub(crate) fn drain(&mut self, turn: &mut Turn<'_>) {
        self.draining = true;
        self.end_ticks(turn);
        self.advance(turn);
    }

    /// The event in flight as a message, if that emission still waits to be
    /// handed to the layer.
    pub(crate) fn message(&self, attempt: u64) -> Option<Event> {
        let event = self.in_flight.as_ref()?;
        if event.attempt != attempt || !matches!(event.state, State::Waiting) {
            return None;
        }
        Some(Event {
            reply_channel: self.reply_channel.clone(),
            path: self.path.clone(),
            topic: self.topic.clone(),
            order: event.order,
            attempt,
            session: self.session.clone(),
            kind: event.kind.clone(),
        })
    }

    fn application(&mut self, event: Box<Application>, turn: &mut Turn<'_>) {
        self.heard_elsewhere(EventKind::Application(event), turn);
    }

    fn heard_elsewhere(&mut self, kind: EventKind, turn: &mut Turn<'_>) {
        let open = matches!(self.stage, Stage::Asking | Stage::Open) && !self.draining;
        if open && self.waiting.has_room(&kind, turn.rules) {
            self.waiting.push(kind);
            self.advance(turn);
            return;
        }
        turn.push(Action::Count(Counter::Dropped));
        if open && turn.rules.slow_policy == SlowPolicy::Close {
            let reason = ByteString::from_static("too many events wait");
            self.abort(close::TRY_LATER, reason, turn);
        }
    }

    fn shut(&mut self, code: u16, reason: ByteString, at_once: bool, turn: &mut Turn<'_>) {
        match self.stage {
            Stage::Asking => self.refuse(Refusal::forbidden(), turn),
            Stage::Open => {
                self.stage = Stage::Shut;
                self.waiting.clear();
                self.end_ticks(turn);
                self.farewell = Farewell {
                    code,
                    reason: reason.clone(),
                };
                turn.push(Action::Close {
                    code,
                    reason,
                    at_once,
                });
                if at_once && self.topic.is_some() {
                    // Its client may join again before the event in flight ends.
                    self.depart(turn);
                }
                self.advance(turn);
            }
            Stage::Left | Stage::Shut | Stage::Parting | Stage::Ended => {}
        }
    }

    fn refuse(&mut self, refusal: Refusal, turn: &mut Turn<'_>) {
        if self.stage == Stage::Asking {
            self.stage = Stage::Shut;
            self.waiting.clear();
            self.end_ticks(turn);
            turn.push(Action::Refuse(refusal));
            self.advance(turn);
        }
    }

    /// Starts the next event if none is in flight.
    fn advance(&mut self, turn: &mut Turn<'_>) {
        if self.in_flight.is_some() {
            return;
        }
        match self.stage {
            Stage::Asking | Stage::Ended => {}
            Stage::Open => match self.waiting.pop() {
                Some(next) => self.start(next, turn),
                None if self.draining => {
                    let reason = ByteString::from_static(match self.topic {
                        Some(_) => "draining",
                        None => "the server restarts",
                    });
                    self.close(close::RESTART, reason, turn);
                }
                None => {}
            },
            Stage::Left => match self.waiting.pop() {
                Some(next) => self.start(next, turn),
                None => self.part(turn),
            },
            Stage::Shut => self.part(turn),
            Stage::Parting => self.end(turn),
        }
    }

    /// Leaves the groups and emits the disconnect, if there was a socket that its
    /// consumer knew of.
    fn part(&mut self, turn: &mut Turn<'_>) {
        if !self.accepted {
            self.end(turn);
            return;
        }
        self.stage = Stage::Parting;
        self.depart(turn);
        let Farewell { code, reason } = std::mem::take(&mut self.farewell);
        self.start(EventKind::Disconnect { code, reason }, turn);
    }

    fn end(&mut self, turn: &mut Turn<'_>) {
        self.stage = Stage::Ended;
        self.in_flight = None;
        self.depart(turn);
        turn.push(Action::End);
    }

    fn depart(&mut self, turn: &mut Turn<'_>) {
        if !self.departed {
            self.departed = true;
            turn.push(Action::Depart);
        }
    }

    fn start(&mut self, kind: EventKind, turn: &mut Turn<'_>) {
        let order = self.next_order;
        self.next_order += 1;
        self.emit(kind, order, 0, turn);
    }

    fn emit(&mut self, kind: EventKind, order: u64, retries: u8, turn: &mut Turn<'_>) {
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        turn.push(Action::Emit {
            channel: kind.channel(),
            attempt,
        });
        let until = turn.now + turn.rules.expiry_of(&kind);
        self.in_flight = Some(InFlight::new(kind, order, attempt, retries, until));
    }

    fn close_as_asked(&mut self, asked: &Close, turn: &mut Turn<'_>) {
        let (code, reason) = close::sendable(asked);
        self.close(code, reason, turn);
    }
}
