//! What a connection makes of messages, told in lines.

mod limits;
mod model;
mod pending;
mod rows;

use bytestring::ByteString;

use super::*;
use crate::protocol::phoenix::routes::Pattern;

/// Limits that are not what a test is about.
const ROOMY: Limits = Limits {
    max_topics: 100,
    topic_len_max: 255,
    held_messages_max: 64,
    held_bytes_max: 64 * 1024,
};

/// A connection to a mount with the topics `room:*`.
#[derive(Debug)]
struct Fixture {
    machine: Machine,
    routes: Routes,
    actions: Vec<Action>,
}

fn name(reference: Option<&Ref>) -> String {
    reference.map_or_else(|| "null".into(), |reference| reference.text().into_owned())
}

fn text(payload: &Payload) -> String {
    match payload {
        Payload::Json(json) => json.to_string(),
        Payload::Binary(bytes) => format!("{bytes:?}"),
    }
}

/// An action as a line: refs as `join_ref/ref`, channels as `#id`.
fn line(action: &Action) -> String {
    match action {
        Action::Reply {
            join_ref,
            reference,
            topic,
            status,
            response,
        } => {
            let (join_ref, reference) = (name(join_ref.as_ref()), name(reference.as_ref()));
            format!("{topic} {status} {join_ref}/{reference} {}", text(response))
        }
        Action::Push {
            join_ref,
            topic,
            event,
            payload,
        } => {
            let join_ref = name(join_ref.as_ref());
            format!("{topic} push {join_ref} {event} {}", text(payload))
        }
        Action::Close { topic, join_ref } => format!("{topic} close {}", name(join_ref.as_ref())),
        Action::Error { topic, join_ref } => format!("{topic} error {}", name(join_ref.as_ref())),
        Action::StartJoin {
            topic,
            id,
            join_ref,
            reference,
            payload,
        } => {
            let (join_ref, reference) = (name(join_ref.as_ref()), name(reference.as_ref()));
            format!(
                "{topic} join #{} {join_ref}/{reference} {}",
                id.0,
                text(payload)
            )
        }
        Action::Forward {
            topic,
            id,
            reference,
            event,
            payload,
        } => {
            let reference = name(reference.as_ref());
            format!(
                "{topic} forward #{} {reference} {event} {}",
                id.0,
                text(payload)
            )
        }
        Action::StartLeave { topic, id, reason } => format!("{topic} leave #{} {reason:?}", id.0),
        Action::Drop(dropped) => format!("drop {dropped:?}"),
    }
}

/// `null` is null, and the rest is a ref.
fn reference(text: &str) -> Option<Ref> {
    (text != "null").then(|| Ref::new(text))
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        Self {
            machine: Machine::new(limits),
            routes: Routes::new(vec![Pattern::new("room:*").unwrap()]),
            actions: Vec::new(),
        }
    }

    /// A connection whose channel 1 is `room:1`, joined as `1/1`.
    fn joined() -> Self {
        let mut fixture = Self::new(ROOMY);
        fixture.joins("room:1", "1/1");
        fixture
    }

    fn turn(&mut self, act: impl FnOnce(&mut Machine, &mut Turn<'_>)) {
        let mut turn = Turn {
            routes: &self.routes,
            actions: &mut self.actions,
        };
        act(&mut self.machine, &mut turn);
    }

    /// A message, its refs as `join_ref/ref`, in a frame of 100 bytes.
    fn says(&mut self, topic: &str, refs: &str, event: &str) {
        self.says_in(topic, refs, event, 100);
    }

    fn says_in(&mut self, topic: &str, refs: &str, event: &str, size: usize) {
        let (join_ref, own) = refs.split_once('/').unwrap();
        let incoming = Incoming {
            join_ref: reference(join_ref),
            reference: reference(own),
            topic: topic.into(),
            event: event.into(),
            payload: Payload::empty(),
            size,
        };
        self.turn(|machine, turn| machine.received(incoming, turn));
    }

    fn done(&mut self, topic: &str, id: u64, outcome: JoinOutcome) {
        self.turn(|machine, turn| machine.join_done(topic, ChannelId(id), outcome, turn));
    }

    fn done_ok(&mut self, topic: &str, id: u64) {
        let response = Payload::empty();
        self.done(topic, id, JoinOutcome::Joined { response });
    }

    fn stops(&mut self, topic: &str, id: u64, stop: Stop) {
        self.turn(|machine, turn| machine.channel_stopped(topic, ChannelId(id), stop, turn));
    }

    /// Joins a topic, and forgets how.
    fn joins(&mut self, topic: &str, refs: &str) -> u64 {
        self.says(topic, refs, "phx_join");
        let id = self.machine.next_id - 1;
        self.done_ok(topic, id);
        self.actions.clear();
        id
    }

    /// What was done since the last look.
    #[track_caller]
    fn check(&mut self, expected: &[&str]) {
        let lines: Vec<_> = self.actions.drain(..).map(|action| line(&action)).collect();
        assert_eq!(lines, expected);
    }
}

fn json(text: &'static str) -> Payload {
    Payload::Json(ByteString::from_static(text))
}
