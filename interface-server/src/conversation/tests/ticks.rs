//! Recurring events: when they come, when they do not, and when they end.

use std::time::Duration;

use towpath_layer_core::{Application, Content, Counter, EventKind, Outcome, Reply};

use super::{Rig, application, rules};
use crate::conversation::{Action, Conversation};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tick(name: &str, every_ms: u64) -> Reply {
    Reply::tick(name, Some(ms(every_ms)))
}

impl Rig {
    /// Moves time on and wakes the conversation, due or not.
    fn tick_at(&mut self, at_ms: u64) {
        self.now = ms(at_ms);
        self.turn(|conversation, turn| conversation.tick(turn));
    }

    /// Expects to be told when to wake it next.
    #[track_caller]
    fn wakes_at(&mut self, expected: Option<u64>) {
        let position = self
            .actions
            .iter()
            .position(|action| matches!(action, Action::Wake { .. }));
        let position = position.unwrap_or_else(|| panic!("no wake in {:?}", self.actions));
        let Action::Wake { at, .. } = self.actions.remove(position) else {
            unreachable!()
        };
        assert_eq!(at, expected.map(ms));
    }
}

#[test]
fn a_tick_is_an_event_without_content_that_comes_again_and_again() {
    let mut rig = Rig::open();
    rig.reply(tick("clock", 1000));
    rig.wakes_at(Some(1000));
    rig.tick_at(999);
    assert_eq!(rig.take(), []);
    for at in [1000, 2000, 3000] {
        rig.tick_at(at);
        rig.wakes_at(Some(at + 1000));
        let [Action::Emit { attempt, .. }] = rig.actions[..] else {
            panic!("{:?}", rig.actions);
        };
        let expected = EventKind::Application(Box::new(Application::new(
            "clock",
            Content::encode(&()).unwrap(),
        )));
        assert_eq!(rig.conversation.message(attempt).unwrap().kind, expected);
        rig.sent("websocket.event");
        rig.done(attempt);
    }
    rig.reply(Reply::tick("clock", None));
    rig.wakes_at(None);
    rig.tick_at(9000);
    assert_eq!(rig.take(), []);
}

#[test]
fn a_tick_whose_predecessor_waits_or_is_in_flight_is_left_out_and_the_grid_stays() {
    let mut rig = Rig::open();
    rig.reply(tick("clock", 1000));
    rig.wakes_at(Some(1000));
    rig.tick_at(1300);
    rig.wakes_at(Some(2000));
    let attempt = rig.sent("websocket.event");
    rig.tick_at(2000);
    rig.tick_at(5500);
    assert!(
        rig.take()
            .iter()
            .all(|action| matches!(action, Action::Wake { .. }))
    );
    rig.done(attempt);
    assert_eq!(rig.take(), []);
    rig.text("busy");
    let busy = rig.sent("websocket.receive");
    rig.tick_at(6000);
    rig.wakes_at(Some(7000));
    rig.tick_at(7000);
    rig.wakes_at(Some(8000));
    assert_eq!(rig.take(), []);
    rig.done(busy);
    let attempt = rig.sent("websocket.event");
    rig.done(attempt);
    assert_eq!(rig.take(), [], "two that were due are one");
}

#[test]
fn ticks_keep_their_place_among_the_other_events() {
    let mut rig = Rig::open();
    rig.text("busy");
    let busy = rig.sent("websocket.receive");
    rig.reply(tick("clock", 1000));
    rig.reply(application(1));
    rig.tick_at(1000);
    rig.text("later");
    rig.wakes_at(Some(1000));
    rig.wakes_at(Some(2000));
    rig.done(busy);
    let other = rig.sent("websocket.event");
    rig.done(other);
    let clock = rig.sent("websocket.event");
    rig.done(clock);
    rig.sent("websocket.receive");
}

#[test]
fn a_stopped_tick_does_not_come_although_it_waited() {
    let mut rig = Rig::open();
    rig.text("busy");
    let busy = rig.sent("websocket.receive");
    rig.reply(tick("clock", 1000));
    rig.tick_at(1000);
    rig.reply(Reply::tick("clock", None));
    rig.take();
    rig.done(busy);
    assert_eq!(rig.take(), []);
}

#[test]
fn two_streams_have_ticks_of_one_name() {
    let on = |stream: &str, every_ms: Option<u64>| {
        let mut reply = Reply::tick("clock", every_ms.map(ms));
        if let Some(tick) = &mut reply.tick {
            tick.stream = Some(stream.into());
        }
        reply
    };
    let mut rig = Rig::open();
    rig.reply(on("a", Some(1000)));
    rig.wakes_at(Some(1000));
    rig.reply(on("b", Some(5000)));
    rig.reply(Reply::tick("clock", None));
    for at in [1000, 2000] {
        rig.tick_at(at);
        rig.wakes_at(Some(at + 1000));
        let [Action::Emit { attempt, .. }] = rig.actions[..] else {
            panic!("{:?}", rig.actions);
        };
        let kind = rig.conversation.message(attempt).unwrap().kind;
        let EventKind::Application(event) = kind else {
            panic!("no event of the application: {kind:?}");
        };
        assert_eq!(
            (&*event.name, event.stream.as_deref()),
            ("clock", Some("a"))
        );
        rig.sent("websocket.event");
        rig.done(attempt);
    }
    rig.reply(on("a", None));
    rig.wakes_at(Some(5000));
    rig.reply(on("b", None));
    rig.wakes_at(None);
}

#[test]
fn a_tick_that_is_set_again_begins_anew_and_a_short_one_is_raised() {
    let mut rig = Rig::open();
    rig.reply(tick("clock", 1000));
    rig.wakes_at(Some(1000));
    rig.now = ms(500);
    rig.reply(tick("clock", 1));
    rig.wakes_at(Some(600));
    rig.reply(tick("other", 60_000));
    assert_eq!(rig.take(), [], "the sooner one is known already");
    rig.tick_at(650);
    rig.wakes_at(Some(700));
    rig.reply(Reply::tick("far", Some(Duration::MAX)));
    rig.reply(Reply::tick("clock", None));
    rig.wakes_at(Some(60_500));
}

#[test]
fn a_conversation_has_16_ticks_and_its_names_are_short() {
    let mut rig = Rig::open();
    for number in 0..16 {
        rig.reply(tick(&format!("clock.{number}"), 1000));
    }
    rig.wakes_at(Some(1000));
    rig.reply(tick("one.more", 1000));
    assert_eq!(rig.take(), [Action::Count(Counter::Dropped)]);
    rig.reply(Reply::tick("clock.0", None));
    rig.reply(tick("one.more", 1000));
    assert_eq!(rig.take(), []);
    let mut rig = Rig::open();
    rig.reply(tick(&"n".repeat(256), 1000));
    assert_eq!(rig.take(), [Action::Count(Counter::Dropped)]);
}

#[test]
fn ticks_end_with_the_connection_whoever_ends_it() {
    let ends: [fn(&mut Conversation, &mut crate::conversation::Turn<'_>); 4] = [
        |conversation, turn| conversation.transport_ended(1006, "".into(), turn),
        |conversation, turn| conversation.close(1000, "".into(), turn),
        |conversation, turn| conversation.abort(1013, "".into(), turn),
        Conversation::drain,
    ];
    for end in ends {
        let mut rig = Rig::open();
        rig.text("busy");
        rig.sent("websocket.receive");
        rig.reply(tick("clock", 1000));
        rig.wakes_at(Some(1000));
        rig.turn(end);
        rig.wakes_at(None);
        rig.take();
        rig.reply(tick("clock", 1000));
        rig.tick_at(5000);
        assert_eq!(rig.take(), []);
    }
}

#[test]
fn a_tick_set_at_connect_waits_for_the_answer_and_goes_with_a_refusal() {
    let mut rig = Rig::asking(rules());
    let attempt = rig.sent("websocket.connect");
    rig.reply(tick("clock", 1000));
    rig.wakes_at(Some(1000));
    rig.tick_at(1000);
    rig.wakes_at(Some(2000));
    assert_eq!(rig.take(), []);
    rig.reply(Reply {
        accept: Some(Box::default()),
        ..Reply::default()
    });
    rig.take();
    rig.done(attempt);
    rig.sent("websocket.event");

    let mut rig = Rig::asking(rules());
    let attempt = rig.sent("websocket.connect");
    rig.reply(tick("clock", 1000));
    rig.wakes_at(Some(1000));
    rig.complete(attempt, Outcome::Lost);
    rig.wakes_at(None);
}

#[test]
fn a_group_sets_no_ticks() {
    let mut rig = Rig::open();
    let reply = tick("clock", 1000);
    rig.turn(|conversation, turn| conversation.group_reply(&reply, turn));
    assert_eq!(rig.take(), []);
}

#[test]
fn a_queue_without_room_leaves_a_tick_out_and_closes_nothing() {
    let mut rig = Rig::open();
    rig.reply(tick("clock", 1000));
    for _ in 0..5 {
        rig.reply(application(1));
    }
    rig.take();
    rig.tick_at(1000);
    rig.wakes_at(Some(2000));
    assert_eq!(rig.take(), []);
}
