//! What waits while a channel joins or ends.

use super::*;

#[test]
fn a_join_that_waits_holds_up_its_own_topic_alone() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.joins("room:2", "2/2");
    fixture.says("room:1", "3/3", "phx_join");
    fixture.says("room:1", "3/4", "first");
    fixture.says("room:2", "2/5", "other");
    fixture.says("room:1", "3/6", "second");
    fixture.says("phoenix", "null/7", "heartbeat");
    fixture.says("room:3", "8/8", "phx_join");
    fixture.check(&[
        "room:1 join #2 3/3 {}",
        "room:2 forward #1 5 other {}",
        "phoenix ok null/7 {}",
        "room:3 join #3 8/8 {}",
    ]);
    fixture.done_ok("room:1", 2);
    fixture.check(&[
        "room:1 ok 3/3 {}",
        "room:1 forward #2 4 first {}",
        "room:1 forward #2 6 second {}",
    ]);
    assert_eq!(fixture.machine.held_count(), 0);
}

#[test]
fn what_waited_for_a_refused_join_is_unmatched() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("room:1", "1/1", "phx_join");
    fixture.says("room:1", "1/2", "new_msg");
    fixture.says("room:1", "1/3", "phx_leave");
    fixture.actions.clear();
    fixture.done("room:1", 1, JoinOutcome::Crashed);
    fixture.check(&[
        r#"room:1 error 1/1 {"reason":"join crashed"}"#,
        r#"room:1 error null/2 {"reason":"unmatched topic"}"#,
        "room:1 ok 1/3 {}",
    ]);
}

#[test]
fn a_stale_message_that_waited_is_dropped() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("room:1", "2/2", "phx_join");
    fixture.says("room:1", "1/3", "new_msg");
    fixture.actions.clear();
    fixture.done_ok("room:1", 1);
    fixture.check(&["room:1 ok 2/2 {}", "drop StaleJoinRef"]);
}

#[test]
fn a_client_that_leaves_and_joins_again_gets_every_answer_in_order() {
    let mut fixture = Fixture::joined();
    fixture.says("room:1", "1/2", "phx_leave");
    fixture.says("room:1", "3/3", "phx_join");
    fixture.says("room:1", "3/4", "new_msg");
    fixture.check(&["room:1 leave #1 Left"]);
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&[
        "room:1 ok 1/2 {}",
        "room:1 close 1",
        "room:1 join #2 3/3 {}",
    ]);
    fixture.done_ok("room:1", 2);
    fixture.check(&["room:1 ok 3/3 {}", "room:1 forward #2 4 new_msg {}"]);
}

#[test]
fn a_client_that_gives_up_a_slow_join_gets_every_answer_in_order() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("room:1", "1/1", "phx_join");
    fixture.says("room:1", "1/2", "phx_leave");
    fixture.says("room:1", "3/3", "phx_join");
    fixture.check(&["room:1 join #1 1/1 {}"]);
    fixture.done_ok("room:1", 1);
    fixture.check(&["room:1 ok 1/1 {}", "room:1 leave #1 Left"]);
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&[
        "room:1 ok 1/2 {}",
        "room:1 close 1",
        "room:1 join #2 3/3 {}",
    ]);
}

#[test]
fn a_join_during_a_join_replaces_it_once_it_is_answered() {
    let mut fixture = Fixture::new(ROOMY);
    fixture.says("room:1", "1/1", "phx_join");
    fixture.says("room:1", "2/2", "phx_join");
    fixture.says("room:1", "2/3", "new_msg");
    fixture.check(&["room:1 join #1 1/1 {}"]);
    fixture.done_ok("room:1", 1);
    fixture.check(&["room:1 ok 1/1 {}", "room:1 leave #1 DuplicateJoin"]);
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&["room:1 close 1", "room:1 join #2 2/2 {}"]);
    fixture.done_ok("room:1", 2);
    fixture.check(&["room:1 ok 2/2 {}", "room:1 forward #2 3 new_msg {}"]);
}

#[test]
fn what_comes_behind_a_leave_finds_the_topic_not_joined() {
    let mut fixture = Fixture::joined();
    fixture.says("room:1", "1/2", "phx_leave");
    fixture.says("room:1", "1/3", "new_msg");
    fixture.says("room:1", "1/4", "phx_leave");
    fixture.actions.clear();
    fixture.stops("room:1", 1, Stop::Crashed);
    fixture.check(&[
        "room:1 ok 1/2 {}",
        "room:1 close 1",
        r#"room:1 error null/3 {"reason":"unmatched topic"}"#,
        "room:1 ok 1/4 {}",
    ]);
}

#[test]
fn a_channel_speaks_while_it_ends() {
    let mut fixture = Fixture::joined();
    fixture.says("room:1", "1/2", "phx_leave");
    let id = ChannelId(1);
    fixture.turn(|machine, turn| machine.push("room:1", id, "you_left".into(), json("{}"), turn));
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&[
        "room:1 leave #1 Left",
        "room:1 push 1 you_left {}",
        "room:1 ok 1/2 {}",
        "room:1 close 1",
    ]);
}

#[test]
fn a_channel_that_ends_is_in_the_way_of_a_join_alone() {
    let mut fixture = Fixture::joined();
    let in_the_way = |fixture: &Fixture| fixture.machine.is_in_the_way("room:1", ChannelId(1));
    fixture.says("room:1", "1/2", "phx_leave");
    fixture.says("room:1", "1/3", "new_msg");
    assert!(!in_the_way(&fixture));
    fixture.says("room:1", "4/4", "phx_join");
    assert!(in_the_way(&fixture));
    assert!(!fixture.machine.is_in_the_way("room:1", ChannelId(2)));
    fixture.stops("room:1", 1, Stop::Normal);
    assert!(!in_the_way(&fixture));

    let mut fixture = Fixture::joined();
    fixture.says("room:1", "2/2", "phx_join");
    assert!(in_the_way(&fixture));
}
