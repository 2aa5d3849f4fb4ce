//! Each rule of a conversation, by itself.

mod ticks;

use std::time::Duration;

use bytes::Bytes;
use towpath_layer_core::{
    Accept, Application, ChannelName, Close, Completion, Content, Counter, Deny, EventKind, Frame,
    GroupChange, GroupName, LocalId, NodeId, Outcome, Reply, SeededEntropy, Taken,
};

use super::{Action, Conversation, Expiry, Handed, Reading, Rules, Turn};
use crate::config::{OnEvent, SlowPolicy};

pub(super) fn rules() -> Rules {
    let minute = Duration::from_mins(1);
    Rules {
        connect_timeout: Duration::from_secs(5),
        consumer_timeout: Duration::from_secs(30),
        expiry: Expiry {
            connect: minute,
            receive: minute,
            application: minute,
            disconnect: minute,
        },
        session_size_max: 64,
        queue_events_max: 4,
        queue_bytes_max: 1000,
        slow_policy: SlowPolicy::Close,
        on_lost: OnEvent::Ignore,
    }
}

pub(super) fn node(seed: u64) -> NodeId {
    NodeId::random(&SeededEntropy::new(seed))
}

/// A conversation, a clock, and what it has asked for.
pub(super) struct Rig {
    pub(super) rules: Rules,
    pub(super) now: Duration,
    pub(super) conversation: Conversation,
    pub(super) actions: Vec<Action>,
}

impl Rig {
    pub(super) fn asking(rules: Rules) -> Self {
        let mut actions = Vec::new();
        let mut turn = Turn {
            now: Duration::ZERO,
            rules: &rules,
            actions: &mut actions,
        };
        let channel = ChannelName::reply(node(1), LocalId(1));
        let connect = EventKind::Connect(Box::default());
        let conversation = Conversation::new(
            channel,
            ("/".into(), None),
            connect,
            Bytes::new(),
            &mut turn,
        );
        Self {
            rules,
            now: Duration::ZERO,
            conversation,
            actions,
        }
    }

    fn open() -> Self {
        Self::open_with(rules())
    }

    fn open_with(rules: Rules) -> Self {
        let mut rig = Self::asking(rules);
        let attempt = rig.sent("websocket.connect");
        rig.reply(Reply {
            accept: Some(Box::default()),
            ..Reply::default()
        });
        assert_eq!(rig.take(), [Action::Accept(Accept::default())]);
        rig.done(attempt);
        assert_eq!(rig.take(), []);
        rig
    }

    pub(super) fn turn<R>(&mut self, f: impl FnOnce(&mut Conversation, &mut Turn<'_>) -> R) -> R {
        let mut turn = Turn {
            now: self.now,
            rules: &self.rules,
            actions: &mut self.actions,
        };
        f(&mut self.conversation, &mut turn)
    }

    fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        self.turn(|conversation, turn| conversation.reply(reply, turn));
    }

    fn text(&mut self, text: &str) {
        let frame = Frame::Text(text.into());
        self.turn(|conversation, turn| conversation.receive(frame, turn));
    }

    pub(super) fn complete(&mut self, attempt: u64, outcome: Outcome) {
        self.reply(Reply::completion(Completion {
            attempt,
            outcome,
            groups: Vec::new(),
        }));
    }

    fn done(&mut self, attempt: u64) {
        self.complete(attempt, Outcome::Done { session: None });
    }

    fn handed(&mut self, attempt: u64, handed: Handed) -> bool {
        self.turn(|conversation, turn| conversation.handed(attempt, handed, turn))
    }

    /// Expects one emission, hands it over, and returns its attempt.
    #[track_caller]
    fn sent(&mut self, expected: &str) -> u64 {
        let actions = self.take();
        // Groups are left before the disconnect is told.
        let emissions = match &actions[..] {
            [Action::Depart, emissions @ ..] if expected == "websocket.disconnect" => emissions,
            emissions => emissions,
        };
        let [Action::Emit { channel, attempt }] = *emissions else {
            panic!("one emission on {expected}, not {actions:?}");
        };
        assert_eq!(channel, expected);
        assert!(!self.handed(attempt, Handed::Sent));
        attempt
    }

    fn after(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.turn(|conversation, turn| conversation.check_deadlines(turn));
    }

    #[track_caller]
    fn refused(&mut self, status: u16) {
        let actions = self.take();
        let found = actions.iter().find_map(|action| match action {
            Action::Refuse(refusal) => Some(refusal.status.as_u16()),
            _ => None,
        });
        assert_eq!(found, Some(status), "{actions:?}");
    }

    #[track_caller]
    fn closed(&mut self, code: u16) {
        let actions = self.take();
        let found = actions.iter().find_map(|action| match action {
            Action::Close { code, .. } => Some(*code),
            _ => None,
        });
        assert_eq!(found, Some(code), "{actions:?}");
        self.actions = actions
            .into_iter()
            .filter(|action| matches!(action, Action::Depart | Action::Emit { .. }))
            .collect();
    }
}

fn application(len: usize) -> Reply {
    Reply::event(Application::new(
        "tick",
        Content::from_encoded(Bytes::from(vec![0; len])),
    ))
}

#[test]
fn one_event_is_in_flight_and_the_next_waits_for_the_completion() {
    let mut rig = Rig::open();
    rig.text("one");
    let one = rig.sent("websocket.receive");
    assert_eq!(rig.conversation.reading(&rig.rules), Reading::Deliver);
    rig.text("two");
    assert_eq!(rig.take(), []);
    assert_eq!(rig.conversation.reading(&rig.rules), Reading::Pause);
    rig.done(one);
    assert_eq!(rig.conversation.reading(&rig.rules), Reading::Deliver);
    let actions = rig.take();
    let [Action::Emit { attempt, .. }] = *actions else {
        panic!("{actions:?}");
    };
    let event = rig.conversation.message(attempt).unwrap();
    assert_eq!(event.kind, EventKind::Receive(Frame::Text("two".into())));
    assert_eq!(event.order, 2);
}

#[test]
fn the_session_travels_and_a_stale_completion_changes_nothing() {
    let mut rig = Rig::open();
    rig.text("one");
    let one = rig.sent("websocket.receive");
    let session = Some(Bytes::from_static(b"new"));
    rig.complete(
        one - 1,
        Outcome::Done {
            session: Some("old".into()),
        },
    );
    assert_eq!(rig.take(), [Action::Count(Counter::Stale)]);
    let late = Completion {
        attempt: one - 1,
        outcome: Outcome::Done { session: None },
        groups: Vec::new(),
    };
    rig.reply(Reply {
        close: Reply::close(1008, "too late").close,
        ..Reply::completion(late)
    });
    assert_eq!(rig.take(), [Action::Count(Counter::Stale)]);
    rig.complete(one, Outcome::Done { session });
    rig.text("two");
    let [Action::Emit { attempt, .. }] = rig.actions[..] else {
        panic!("{:?}", rig.actions);
    };
    let event = rig.conversation.message(attempt).unwrap();
    assert_eq!(event.session, "new".as_bytes());
    rig.complete(
        attempt,
        Outcome::Done {
            session: Some(vec![0; 65].into()),
        },
    );
    rig.closed(1011);
}

#[test]
fn a_frame_accepts_and_a_deny_or_a_close_refuses() {
    let mut rig = Rig::asking(rules());
    rig.sent("websocket.connect");
    rig.reply(Reply::text("hi"));
    let hi = Frame::Text("hi".into());
    assert_eq!(
        rig.take(),
        [Action::Accept(Accept::default()), Action::Send(hi)]
    );

    let mut rig = Rig::asking(rules());
    let attempt = rig.sent("websocket.connect");
    rig.reply(Reply {
        deny: Some(Box::new(Deny {
            status: 401,
            headers: Vec::new(),
            body: Bytes::new(),
        })),
        frame: Some(Frame::Text("ignored".into())),
        ..Reply::default()
    });
    rig.refused(401);
    rig.done(attempt);
    assert_eq!(rig.take(), [Action::Depart, Action::End]);

    let mut rig = Rig::asking(rules());
    rig.sent("websocket.connect");
    rig.reply(Reply::close(4000, ""));
    rig.refused(403);
}

#[test]
fn a_connect_that_is_not_answered_is_refused() {
    let mut rig = Rig::asking(rules());
    let attempt = rig.sent("websocket.connect");
    rig.done(attempt);
    rig.refused(403);

    for (outcome, status) in [
        (
            Outcome::Failed {
                error_id: "e".into(),
            },
            500,
        ),
        (Outcome::Lost, 503),
    ] {
        let mut rig = Rig::asking(rules());
        let attempt = rig.sent("websocket.connect");
        rig.complete(attempt, outcome);
        rig.refused(status);
    }

    let mut rig = Rig::asking(rules());
    rig.sent("websocket.connect");
    rig.after(4);
    assert_eq!(rig.take(), []);
    rig.after(1);
    rig.refused(504);
}

#[test]
fn a_full_connect_channel_refuses_and_an_unreachable_layer_is_waited_for() {
    for (handed, again, status) in [(Handed::Full, false, 503), (Handed::TooLarge, false, 431)] {
        let mut rig = Rig::asking(rules());
        assert_eq!(rig.handed(1, handed), again);
        rig.refused(status);
    }
    let mut rig = Rig::asking(rules());
    assert!(rig.handed(1, Handed::Unavailable));
    assert!(rig.conversation.message(1).is_some());
    rig.after(5);
    rig.refused(503);
    assert!(rig.conversation.message(1).is_none());
}

#[test]
fn a_full_channel_is_waited_for_until_the_event_expires() {
    let mut rig = Rig::open();
    rig.text("one");
    let [Action::Emit { attempt, .. }] = *rig.take() else {
        panic!("an emission");
    };
    assert!(rig.handed(attempt, Handed::Full));
    rig.after(59);
    assert_eq!(rig.take(), []);
    rig.after(1);
    rig.closed(1013);
    rig.sent("websocket.disconnect");
}

#[test]
fn a_failed_consumer_closes_with_1011_and_then_disconnects() {
    let mut rig = Rig::open();
    rig.text("one");
    let attempt = rig.sent("websocket.receive");
    rig.complete(
        attempt,
        Outcome::Failed {
            error_id: "e42".into(),
        },
    );
    rig.closed(1011);
    let attempt = rig.sent("websocket.disconnect");
    rig.done(attempt);
    assert_eq!(rig.take(), [Action::End]);
}

#[test]
fn a_retry_has_a_new_attempt_and_ends_after_ten() {
    let mut rig = Rig::open();
    rig.text("one");
    let mut attempt = rig.sent("websocket.receive");
    for _ in 0..10 {
        rig.complete(attempt, Outcome::Retry);
        let again = rig.sent("websocket.receive");
        assert!(again > attempt);
        attempt = again;
    }
    rig.complete(attempt, Outcome::Retry);
    rig.closed(1011);
}

#[test]
fn a_lost_event_lets_the_conversation_go_on_or_closes() {
    let mut rig = Rig::open();
    rig.text("one");
    rig.sent("websocket.receive");
    rig.text("two");
    rig.after(89);
    assert_eq!(rig.take(), []);
    rig.after(1);
    let actions = rig.take();
    assert_eq!(actions[0], Action::Count(Counter::Lost));
    assert!(matches!(
        actions[1],
        Action::Emit {
            channel: "websocket.receive",
            ..
        }
    ));

    let mut rig = Rig::open_with(Rules {
        on_lost: OnEvent::Close,
        ..rules()
    });
    rig.text("one");
    let attempt = rig.sent("websocket.receive");
    rig.complete(attempt, Outcome::Lost);
    rig.closed(1012);
}

#[test]
fn a_worker_without_a_lease_loses_what_it_took() {
    let mut rig = Rig::open();
    rig.text("one");
    let attempt = rig.sent("websocket.receive");
    let worker = node(7);
    for (attempt, expected) in [(attempt - 1, None), (attempt, Some(worker))] {
        rig.reply(Reply {
            taken: Some(Taken { attempt, worker }),
            ..Reply::default()
        });
        assert_eq!(rig.conversation.worker(), expected);
    }
    rig.turn(|conversation, turn| conversation.worker_gone(node(8), turn));
    assert_eq!(rig.take(), []);
    rig.turn(|conversation, turn| conversation.worker_gone(worker, turn));
    assert_eq!(rig.take(), [Action::Count(Counter::Lost)]);
}

#[test]
fn an_event_that_was_handed_out_to_nobody_who_says_so_is_lost() {
    let mut rig = Rig::open();
    rig.text("one");
    let attempt = rig.sent("websocket.receive");
    assert_eq!(rig.conversation.suspect(rig.now), None);
    rig.after(1);
    let age = Duration::from_secs(1);
    let suspect = Some(("websocket.receive", attempt, age));
    assert_eq!(rig.conversation.suspect(rig.now), suspect);
    for (may_wait, lost) in [(false, false), (true, false), (false, false), (false, true)] {
        rig.after(1);
        rig.turn(|conversation, turn| conversation.whereabouts(attempt, may_wait, turn));
        let expected: &[Action] = if lost {
            &[Action::Count(Counter::Lost)]
        } else {
            &[]
        };
        assert_eq!(rig.take(), expected);
    }
}

#[test]
fn an_event_that_the_layer_may_not_have_is_suspect_at_once_and_not_handed_over_again() {
    let mut rig = Rig::open();
    rig.text("one");
    let [Action::Emit { channel, attempt }] = rig.take()[..] else {
        panic!("one emission");
    };
    assert!(!rig.handed(attempt, Handed::Doubtful));
    let suspect = Some((channel, attempt, Duration::ZERO));
    assert_eq!(rig.conversation.suspect(rig.now), suspect);
    rig.after(3);
    rig.turn(|conversation, turn| conversation.whereabouts(attempt, false, turn));
    assert_eq!(rig.take(), []);
    // It may have come to the layer when that answered again, and wait since then.
    assert_eq!(rig.conversation.suspect(rig.now), suspect);
    rig.after(1);
    rig.turn(|conversation, turn| conversation.whereabouts(attempt, false, turn));
    assert_eq!(rig.take(), [Action::Count(Counter::Lost)]);
}

#[test]
fn what_was_read_before_the_end_is_handled_before_the_disconnect() {
    let mut rig = Rig::open();
    rig.text("one");
    let one = rig.sent("websocket.receive");
    rig.text("two");
    rig.turn(|conversation, turn| conversation.transport_ended(1001, "bye".into(), turn));
    assert_eq!(rig.take(), []);
    rig.done(one);
    let two = rig.sent("websocket.receive");
    rig.done(two);
    let [Action::Depart, Action::Emit { attempt, .. }] = rig.actions[..] else {
        panic!("{:?}", rig.actions);
    };
    let event = rig.conversation.message(attempt).unwrap();
    let (code, reason) = (1001, "bye".into());
    assert_eq!(event.kind, EventKind::Disconnect { code, reason });
    assert_eq!(event.order, 3);
}

#[test]
fn a_close_by_the_consumer_is_the_end_and_its_code_is_told() {
    let mut rig = Rig::open();
    rig.text("one");
    let one = rig.sent("websocket.receive");
    rig.text("two");
    rig.reply(Reply {
        close: Some(Close {
            code: 4001,
            reason: "over".into(),
        }),
        ..Reply::default()
    });
    rig.closed(4001);
    assert_eq!(rig.conversation.reading(&rig.rules), Reading::Discard);
    rig.done(one);
    let [
        Action::Depart,
        Action::Emit {
            channel: "websocket.disconnect",
            attempt,
        },
    ] = rig.actions[..]
    else {
        panic!("{:?}", rig.actions);
    };
    let event = rig.conversation.message(attempt).unwrap();
    let (code, reason) = (4001, "over".into());
    assert_eq!(event.kind, EventKind::Disconnect { code, reason });
}

#[test]
fn a_peer_that_left_before_the_answer_is_disconnected_only_if_it_was_accepted() {
    for accepted in [false, true] {
        let mut rig = Rig::asking(rules());
        let attempt = rig.sent("websocket.connect");
        rig.turn(|conversation, turn| conversation.transport_ended(1006, "".into(), turn));
        assert_eq!(rig.take(), []);
        rig.reply(Reply {
            accept: accepted.then(Box::default),
            ..Reply::default()
        });
        rig.done(attempt);
        if accepted {
            rig.sent("websocket.disconnect");
        } else {
            assert_eq!(rig.take(), [Action::Depart, Action::End]);
        }
    }
}

#[test]
fn application_events_wait_in_order_and_overflow_by_policy() {
    let mut rig = Rig::open();
    for _ in 0..5 {
        rig.reply(application(1));
    }
    rig.sent("websocket.event");
    assert_eq!(rig.conversation.reading(&rig.rules), Reading::Pause);
    rig.reply(application(1));
    assert_eq!(rig.actions[0], Action::Count(Counter::Dropped));
    rig.closed(1013);

    let mut rig = Rig::open_with(Rules {
        slow_policy: SlowPolicy::Drop,
        ..rules()
    });
    rig.reply(application(1));
    let attempt = rig.sent("websocket.event");
    rig.reply(application(2000));
    rig.reply(application(1));
    assert_eq!(rig.take(), [Action::Count(Counter::Dropped)]);
    rig.done(attempt);
    rig.sent("websocket.event");
}

#[test]
fn a_drain_finishes_what_was_read_and_then_closes() {
    let mut rig = Rig::open();
    rig.text("one");
    let one = rig.sent("websocket.receive");
    rig.text("two");
    rig.turn(Conversation::drain);
    assert_eq!(rig.take(), []);
    rig.done(one);
    let two = rig.sent("websocket.receive");
    assert_eq!(rig.conversation.reading(&rig.rules), Reading::Pause);
    rig.done(two);
    rig.closed(1012);

    let mut idle = Rig::open();
    idle.turn(Conversation::drain);
    idle.closed(1012);
}

#[test]
fn a_disconnect_may_be_completed_before_the_layer_says_that_it_took_it() {
    let mut rig = Rig::open();
    rig.turn(|conversation, turn| conversation.transport_ended(1000, "".into(), turn));
    let [Action::Depart, Action::Emit { attempt, .. }] = *rig.take() else {
        panic!("an emission");
    };
    rig.done(attempt);
    assert_eq!(rig.take(), [Action::End]);
    assert!(!rig.handed(attempt, Handed::Sent));
    assert_eq!(rig.take(), []);
}

#[test]
fn what_is_cut_short_is_in_no_group_and_parts_after_the_event_in_flight() {
    let mut rig = Rig::open();
    rig.text("one");
    let attempt = rig.sent("websocket.receive");
    rig.text("two");
    rig.turn(|conversation, turn| conversation.cut_short(turn));
    assert_eq!(rig.take(), [], "nobody waits for the end of an open one");
    rig.turn(|conversation, turn| conversation.transport_ended(1000, "left".into(), turn));
    assert_eq!(rig.take(), []);
    rig.turn(|conversation, turn| conversation.cut_short(turn));
    assert_eq!(rig.take(), [Action::Depart]);
    let groups = vec![GroupChange::discard(GroupName::new("room").unwrap())];
    rig.reply(Reply::completion(Completion {
        attempt,
        outcome: Outcome::Done { session: None },
        groups,
    }));
    let disconnect = rig.sent("websocket.disconnect");
    rig.done(disconnect);
    assert_eq!(rig.take(), [Action::End]);
}
