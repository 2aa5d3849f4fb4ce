//! Whatever happens in whatever order, a conversation keeps its promises.

use std::time::Duration;

use proptest::prelude::*;
use towpath_layer_core::{Application, Content, Event, EventKind, Frame, Outcome, Reply};

use super::tests::{Rig, rules};
use super::{Action, Handed, Reading};

#[derive(Debug, Clone)]
enum Step {
    Handed(Handed),
    Accept,
    Text,
    Message,
    Application,
    SetTick(u64),
    StopTick,
    Close,
    Deny,
    Complete(Outcome),
    Stale,
    Lost,
    PeerLeft,
    Drain,
    Wait(u64),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        8 => Just(Outcome::Done { session: None }),
        1 => Just(Outcome::Failed { error_id: "e".into() }),
        1 => Just(Outcome::Lost),
        1 => Just(Outcome::Retry),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Handed(Handed::Sent)),
        1 => Just(Step::Handed(Handed::Doubtful)),
        1 => Just(Step::Handed(Handed::Full)),
        1 => Just(Step::Handed(Handed::Unavailable)),
        1 => Just(Step::Handed(Handed::TooLarge)),
        1 => Just(Step::Handed(Handed::Closed)),
        4 => Just(Step::Accept),
        2 => Just(Step::Text),
        8 => Just(Step::Message),
        3 => Just(Step::Application),
        2 => (1..50_u64).prop_map(Step::SetTick),
        1 => Just(Step::StopTick),
        1 => Just(Step::Close),
        1 => Just(Step::Deny),
        8 => outcome().prop_map(Step::Complete),
        1 => Just(Step::Stale),
        1 => Just(Step::Lost),
        1 => Just(Step::PeerLeft),
        1 => Just(Step::Drain),
        1 => (1..100_u64).prop_map(Step::Wait),
    ]
}

/// What has been seen so far of one conversation.
#[derive(Debug, Default)]
struct Seen {
    last_attempt: u64,
    in_flight: Option<(u64, u64)>,
    orders: Vec<(u64, &'static str)>,
    answered: usize,
    accepted: bool,
    closed: bool,
    departed: usize,
    ended: bool,
    texts: Vec<u64>,
    /// When the conversation wants to be woken, and how often it may tick.
    wake: Option<Duration>,
    ticks: usize,
    ticks_max: usize,
}

impl Seen {
    fn look(&mut self, rig: &mut Rig) {
        for action in std::mem::take(&mut rig.actions) {
            let counts = matches!(action, Action::Count(_));
            assert!(counts || !self.ended, "{action:?} after the end");
            match action {
                Action::Emit { channel, attempt } => {
                    assert!(attempt > self.last_attempt, "an attempt is used twice");
                    self.last_attempt = attempt;
                    if let Some(event) = rig.conversation.message(attempt) {
                        self.emitted(&event, channel);
                    }
                }
                Action::Accept(_) => {
                    self.answered += 1;
                    self.accepted = true;
                }
                Action::Refuse(_) => self.answered += 1,
                Action::Send(_) | Action::Topic(_) => assert!(self.accepted && !self.closed),
                Action::Close { .. } => {
                    assert!(
                        self.accepted && !self.closed,
                        "one close, on an open socket"
                    );
                    self.closed = true;
                }
                Action::Depart => self.departed += 1,
                Action::End => self.ended = true,
                Action::Wake { was, at } => {
                    assert_eq!(was, self.wake, "one time to wake at");
                    assert!(at.is_none_or(|at| at > rig.now), "it lies ahead");
                    self.wake = at;
                }
                Action::Groups(_) | Action::Count(_) => {}
            }
        }
        assert!(self.answered <= 1, "a handshake is answered once");
        assert!(self.departed <= 1);
        assert!(!self.ended || self.departed == 1);
        assert!(
            !(self.closed || self.ended) || self.wake.is_none(),
            "ticks end with the connection"
        );
    }

    fn emitted(&mut self, event: &Event, channel: &'static str) {
        assert_eq!(event.kind.channel(), channel);
        self.in_flight = Some((event.attempt, event.order));
        if self.orders.last() == Some(&(event.order, channel)) {
            return; // Once more, because its consumer asked for it.
        }
        assert_eq!(
            event.order,
            self.orders.len() as u64,
            "no gap and no double"
        );
        let is_first = matches!(event.kind, EventKind::Connect(_));
        assert_eq!(is_first, event.order == 0, "connect is first");
        let parted = self
            .orders
            .iter()
            .any(|(_, channel)| *channel == "websocket.disconnect");
        assert!(!parted, "disconnect is last");
        if let EventKind::Application(event) = &event.kind {
            self.ticks += usize::from(event.name == "clock");
            assert!(self.ticks <= self.ticks_max, "no tick before its time");
        }
        if let EventKind::Receive(frame) = &event.kind {
            let text = std::str::from_utf8(frame.as_bytes()).unwrap();
            self.texts.push(text.parse().unwrap());
        }
        self.orders.push((event.order, channel));
    }
}

fn run(steps: Vec<Step>) {
    let mut rig = Rig::asking(rules());
    let mut seen = Seen::default();
    let mut next_text = 0_u64;
    seen.look(&mut rig);
    for step in steps {
        let attempt = seen.in_flight.map_or(0, |(attempt, _)| attempt);
        match step {
            Step::Handed(handed) => {
                rig.turn(|conversation, turn| conversation.handed(attempt, handed, turn));
            }
            Step::Accept => rig.reply(Reply {
                accept: Some(Box::default()),
                ..Reply::default()
            }),
            Step::Text => rig.reply(Reply::text("hi")),
            Step::Message => {
                if rig.conversation.reading(&rig.rules) == Reading::Deliver {
                    let frame = Frame::Text(next_text.to_string().into());
                    next_text += 1;
                    rig.turn(|conversation, turn| conversation.receive(frame, turn));
                }
            }
            Step::Application => {
                rig.reply(Reply::event(Application::new("tick", Content::default())))
            }
            Step::SetTick(seconds) => {
                rig.reply(Reply::tick("clock", Some(Duration::from_secs(seconds))));
            }
            Step::StopTick => rig.reply(Reply::tick("clock", None)),
            Step::Close => rig.reply(Reply::close(4000, "")),
            Step::Deny => rig.reply(Reply {
                deny: Some(Box::new(towpath_layer_core::Deny {
                    status: 401,
                    headers: Vec::new(),
                    body: bytes::Bytes::new(),
                })),
                ..Reply::default()
            }),
            Step::Complete(outcome) => rig.complete(attempt, outcome),
            Step::Stale => rig.complete(attempt + 1000, Outcome::Retry),
            Step::Lost => {
                rig.turn(|conversation, turn| conversation.lost(turn));
            }
            Step::PeerLeft => {
                rig.turn(|conversation, turn| conversation.transport_ended(1006, "".into(), turn));
            }
            Step::Drain => rig.turn(super::Conversation::drain),
            Step::Wait(seconds) => {
                let until = rig.now + Duration::from_secs(seconds);
                wait(&mut rig, &mut seen, until);
            }
        }
        seen.look(&mut rig);
    }
    settle(&mut rig, &mut seen);
    assert!(seen.texts.is_sorted(), "messages are handled in order");
    let parted = seen
        .orders
        .iter()
        .any(|(_, channel)| *channel == "websocket.disconnect");
    assert!(
        !parted || seen.accepted || seen.answered == 0,
        "who was refused has no disconnect"
    );
}

/// Lets time pass, and wakes the conversation whenever it wants to be.
fn wait(rig: &mut Rig, seen: &mut Seen, until: Duration) {
    while let Some(at) = seen.wake.filter(|at| *at <= until) {
        rig.now = at;
        seen.ticks_max += 1;
        rig.turn(|conversation, turn| conversation.tick(turn));
        seen.look(rig);
    }
    rig.now = until;
    rig.turn(|conversation, turn| conversation.check_deadlines(turn));
}

/// The peer leaves and everybody behaves: the conversation ends.
fn settle(rig: &mut Rig, seen: &mut Seen) {
    rig.turn(|conversation, turn| conversation.transport_ended(1006, "".into(), turn));
    seen.look(rig);
    for _ in 0..20 {
        let Some((attempt, _)) = seen.in_flight else {
            break;
        };
        rig.turn(|conversation, turn| conversation.handed(attempt, Handed::Sent, turn));
        rig.complete(attempt, Outcome::Done { session: None });
        seen.look(rig);
    }
    assert!(seen.ended && seen.wake.is_none(), "{:?}", rig.conversation);
}

proptest! {
    #[test]
    fn its_promises_hold_whatever_happens(steps in prop::collection::vec(step(), 0..80)) {
        run(steps);
    }
}
