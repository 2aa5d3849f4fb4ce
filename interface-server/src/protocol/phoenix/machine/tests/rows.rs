//! The table of §1.5, and how channels end (§1.6).

use super::*;

const UNMATCHED: &str = r#"{"reason":"unmatched topic"}"#;

#[test]
fn a_heartbeat_is_answered_without_a_join_ref() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("phoenix", "null/7", "heartbeat");
    fixture.check(&["phoenix ok null/7 {}"]);
    fixture.says("phoenix", "4/null", "heartbeat");
    fixture.check(&["phoenix ok null/null {}"]);
    fixture.says("phoenix", "null/8", "other");
    fixture.check(&[&format!("phoenix error null/8 {UNMATCHED}")]);
}

#[test]
fn a_join_without_a_route_is_unmatched_without_a_join_ref() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("lobby", "1/2", "phx_join");
    fixture.check(&[&format!("lobby error null/2 {UNMATCHED}")]);
    assert_eq!(fixture.machine.channel_count(), 0);
}

#[test]
fn a_join_is_answered_with_what_the_application_says() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("room:1", "5/6", "phx_join");
    fixture.check(&["room:1 join #1 5/6 {}"]);
    let response = json(r#"{"users":3}"#);
    fixture.done("room:1", 1, JoinOutcome::Joined { response });
    fixture.check(&[r#"room:1 ok 5/6 {"users":3}"#]);
    assert_eq!(fixture.machine.channel_count(), 1);
}

#[test]
fn a_refused_join_leaves_nothing_behind() {
    let mut fixture = Fixture::new(ROOMY);
    let response = json(r#"{"reason":"unauthorized"}"#);
    for (outcome, answer) in [
        (
            JoinOutcome::Refused { response },
            r#"room:1 error 1/2 {"reason":"unauthorized"}"#,
        ),
        (
            JoinOutcome::Crashed,
            r#"room:1 error 1/2 {"reason":"join crashed"}"#,
        ),
        (
            JoinOutcome::Unmatched,
            r#"room:1 error null/2 {"reason":"unmatched topic"}"#,
        ),
    ] {
        fixture.says("room:1", "1/2", "phx_join");
        fixture.actions.clear();
        let id = fixture.machine.next_id - 1;
        fixture.done("room:1", id, outcome);
        fixture.check(&[answer]);
        assert_eq!(fixture.machine.channel_count(), 0);
    }
}

#[test]
fn a_channel_that_stops_before_its_join_is_answered_has_crashed_the_join() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("room:1", "1/2", "phx_join");
    fixture.actions.clear();
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&[r#"room:1 error 1/2 {"reason":"join crashed"}"#]);
    fixture.done_ok("room:1", 1);
    fixture.check(&["drop ChannelEnded"]);
}

#[test]
fn the_last_join_wins_and_the_first_is_closed_before_it() {
    let mut fixture = Fixture::joined();
    fixture.says("room:1", "2/2", "phx_join");
    fixture.check(&["room:1 leave #1 DuplicateJoin"]);
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&["room:1 close 1", "room:1 join #2 2/2 {}"]);
    fixture.done_ok("room:1", 2);
    fixture.check(&["room:1 ok 2/2 {}"]);
    fixture.says("room:1", "1/3", "late");
    fixture.check(&["drop StaleJoinRef"]);
}

#[test]
fn a_replaced_channel_that_crashes_is_closed_all_the_same() {
    let mut fixture = Fixture::joined();
    fixture.says("room:1", "2/2", "phx_join");
    fixture.actions.clear();
    fixture.stops("room:1", 1, Stop::Crashed);
    fixture.check(&["room:1 close 1", "room:1 join #2 2/2 {}"]);
}

#[test]
fn a_leave_is_answered_and_then_the_channel_is_closed() {
    for leave in ["1/9", "null/9"] {
        let mut fixture = Fixture::joined();
        fixture.says("room:1", leave, "phx_leave");
        fixture.check(&["room:1 leave #1 Left"]);
        fixture.stops("room:1", 1, Stop::Normal);
        fixture.check(&["room:1 ok 1/9 {}", "room:1 close 1"]);
        assert_eq!(fixture.machine.channel_count(), 0);
    }
}

#[test]
fn a_leave_of_another_join_is_dropped() {
    let mut fixture = Fixture::joined();
    fixture.says("room:1", "0/9", "phx_leave");
    fixture.check(&["drop StaleJoinRef"]);
    assert_eq!(fixture.machine.channel_count(), 1);
}

#[test]
fn a_leave_of_what_is_not_joined_is_ok() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("room:1", "4/9", "phx_leave");
    fixture.says("lobby", "null/null", "phx_leave");
    fixture.check(&["room:1 ok 4/9 {}", "lobby ok null/null {}"]);
}

#[test]
fn an_event_goes_to_its_channel_with_its_join_ref_or_none() {
    let mut fixture = Fixture::joined();
    fixture.says("room:1", "1/2", "new_msg");
    fixture.says("room:1", "null/3", "new_msg");
    fixture.says("room:1", "1/null", "phx_close");
    fixture.check(&[
        "room:1 forward #1 2 new_msg {}",
        "room:1 forward #1 3 new_msg {}",
        "room:1 forward #1 null phx_close {}",
    ]);
}

#[test]
fn an_event_of_another_join_is_dropped() {
    let mut fixture = Fixture::joined();
    fixture.says("room:1", "2/2", "new_msg");
    // What a binary push without a join_ref has.
    fixture.says("room:1", "/2", "new_msg");
    fixture.check(&["drop StaleJoinRef", "drop StaleJoinRef"]);
}

#[test]
fn an_event_for_what_is_not_joined_is_unmatched() {
    let mut fixture = Fixture::joined();
    fixture.says("room:2", "1/2", "new_msg");
    fixture.says("lobby", "1/null", "new_msg");
    fixture.check(&[
        &format!("room:2 error null/2 {UNMATCHED}"),
        &format!("lobby error null/null {UNMATCHED}"),
    ]);
}

#[test]
fn a_join_without_a_join_ref_takes_events_with_any() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("room:1", "null/4", "phx_join");
    fixture.check(&["room:1 join #1 4/4 {}"]);
    fixture.done_ok("room:1", 1);
    fixture.check(&["room:1 ok null/4 {}"]);
    fixture.says("room:1", "77/5", "new_msg");
    fixture.check(&["room:1 forward #1 5 new_msg {}"]);
    let id = ChannelId(1);
    fixture.turn(|machine, turn| machine.push("room:1", id, "e".into(), json("{}"), turn));
    fixture.check(&["room:1 push 4 e {}"]);
    fixture.says("room:1", "77/6", "phx_leave");
    fixture.actions.clear();
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&["room:1 ok 4/6 {}", "room:1 close null"]);
}

#[test]
fn a_channel_that_stops_by_itself_is_closed() {
    let mut fixture = Fixture::joined();
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&["room:1 close 1"]);
    assert_eq!(fixture.machine.channel_count(), 0);
}

#[test]
fn a_crash_ends_its_channel_alone_and_it_can_be_joined_again() {
    let mut fixture = Fixture::joined();
    fixture.joins("room:2", "2/2");
    fixture.stops("room:1", 1, Stop::Crashed);
    fixture.check(&["room:1 error 1"]);
    fixture.says("room:2", "2/3", "new_msg");
    fixture.check(&["room:2 forward #2 3 new_msg {}"]);
    fixture.says("room:1", "4/4", "phx_join");
    fixture.check(&["room:1 join #3 4/4 {}"]);
}

#[test]
fn answers_and_pushes_carry_the_join_that_their_channel_came_from() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.joins("room:1", "11/1");
    let id = ChannelId(1);
    fixture.turn(|machine, turn| {
        let reference = Some(Ref::new("2"));
        machine.reply("room:1", id, reference, "ok".into(), json("[1]"), turn);
        machine.push("room:1", id, "news".into(), json("{}"), turn);
    });
    fixture.check(&["room:1 ok 11/2 [1]", "room:1 push 11 news {}"]);
}

#[test]
fn what_comes_late_from_an_ended_channel_is_dropped() {
    let mut fixture = Fixture::joined();
    fixture.stops("room:1", 1, Stop::Crashed);
    fixture.joins("room:1", "2/2");
    let id = ChannelId(1);
    fixture.turn(|machine, turn| {
        machine.reply("room:1", id, None, "ok".into(), json("{}"), turn);
        machine.push("room:1", id, "news".into(), json("{}"), turn);
        machine.channel_stopped("room:1", id, Stop::Normal, turn);
        machine.join_done("room:1", id, JoinOutcome::Crashed, turn);
    });
    fixture.check(&["drop ChannelEnded"; 4]);
    fixture.done("room:1", 2, JoinOutcome::Crashed);
    fixture.check(&["drop ChannelEnded"]);
    assert_eq!(fixture.machine.channel_count(), 1);
}

#[test]
fn the_end_of_the_connection_ends_every_channel_once() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.joins("room:1", "1/1");
    fixture.joins("room:2", "2/2");
    fixture.says("room:3", "3/3", "phx_join");
    fixture.says("room:3", "3/4", "new_msg");
    fixture.says("room:2", "2/5", "phx_leave");
    fixture.actions.clear();
    fixture.turn(|machine, turn| machine.connection_ended(Leaving::Disconnected, turn));
    fixture.check(&[
        "room:1 leave #1 Disconnected",
        "room:3 leave #3 Disconnected",
    ]);
    assert_eq!(
        (
            fixture.machine.channel_count(),
            fixture.machine.held_count()
        ),
        (0, 0)
    );
    fixture.says("phoenix", "null/6", "heartbeat");
    fixture.done_ok("room:3", 3);
    fixture.stops("room:2", 2, Stop::Normal);
    fixture.turn(|machine, turn| machine.connection_ended(Leaving::Closed, turn));
    fixture.check(&[
        "drop ConnectionEnded",
        "drop ChannelEnded",
        "drop ChannelEnded",
    ]);
}
