//! What happens at each limit.

use super::*;

#[test]
fn a_join_beyond_the_limit_of_channels_is_told_the_limit() {
    let mut fixture = Fixture::new(ROOMY);
    for number in 1..=100 {
        fixture.joins(&format!("room:{number}"), "1/1");
    }
    fixture.says("room:101", "2/3", "phx_join");
    fixture
        .check(&[r#"room:101 error 2/3 {"reason":"too many channels joined","max_topics":100}"#]);
    fixture.says("lobby", "2/4", "phx_join");
    fixture.check(&[r#"lobby error null/4 {"reason":"unmatched topic"}"#]);
    fixture.stops("room:7", 7, Stop::Normal);
    fixture.says("room:101", "2/5", "phx_join");
    fixture.check(&["room:7 close 1", "room:101 join #101 2/5 {}"]);
}

#[test]
fn a_channel_that_joins_or_ends_counts() {
    let mut fixture = Fixture::new(Limits {
        max_topics: 1,
        ..ROOMY
    });
    let refusal = r#"room:2 error 2/2 {"reason":"too many channels joined","max_topics":1}"#;
    fixture.says("room:1", "1/1", "phx_join");
    fixture.says("room:2", "2/2", "phx_join");
    fixture.check(&["room:1 join #1 1/1 {}", refusal]);
    fixture.done_ok("room:1", 1);
    fixture.says("room:1", "1/3", "phx_leave");
    fixture.actions.clear();
    fixture.says("room:2", "2/2", "phx_join");
    fixture.check(&[refusal]);
}

#[test]
fn a_topic_joined_again_is_not_one_more() {
    let mut fixture = Fixture::new(Limits {
        max_topics: 1,
        ..ROOMY
    });
    fixture.joins("room:1", "1/1");
    fixture.says("room:1", "2/2", "phx_join");
    fixture.stops("room:1", 1, Stop::Normal);
    fixture.check(&[
        "room:1 leave #1 DuplicateJoin",
        "room:1 close 1",
        "room:1 join #2 2/2 {}",
    ]);
}

#[test]
fn a_join_to_a_topic_that_is_too_long_is_told_the_limit() {
    let mut fixture = Fixture::new(Limits {
        topic_len_max: 6,
        ..ROOMY
    });
    fixture.says("room:12", "1/1", "phx_join");
    fixture.says("room:1", "1/2", "phx_join");
    fixture.check(&[
        r#"room:12 error 1/1 {"reason":"the topic is too long","topic_len_max":6}"#,
        "room:1 join #1 1/2 {}",
    ]);
}

#[test]
fn a_message_beyond_the_count_that_may_wait_is_told_the_limit() {
    let mut fixture = Fixture::new(Limits {
        held_messages_max: 2,
        ..ROOMY
    });
    for topic in ["room:1", "room:2"] {
        fixture.says(topic, "1/1", "phx_join");
        fixture.says(topic, "1/2", "new_msg");
    }
    fixture.actions.clear();
    fixture.says("room:1", "1/3", "new_msg");
    fixture.check(&[concat!(
        r#"room:1 error 1/3 {"reason":"too many messages wait for their channels","#,
        r#""held_messages_max":2}"#
    )]);
    fixture.done_ok("room:2", 2);
    fixture.actions.clear();
    fixture.says("room:1", "1/4", "new_msg");
    fixture.done_ok("room:1", 1);
    fixture.check(&[
        "room:1 ok 1/1 {}",
        "room:1 forward #1 2 new_msg {}",
        "room:1 forward #1 4 new_msg {}",
    ]);
}

#[test]
fn a_message_beyond_the_bytes_that_may_wait_is_told_the_limit() {
    let mut fixture = Fixture::new(Limits {
        held_bytes_max: 250,
        ..ROOMY
    });
    fixture.says("room:1", "1/1", "phx_join");
    fixture.says_in("room:1", "1/2", "new_msg", 150);
    fixture.says_in("room:1", "1/3", "new_msg", 100);
    fixture.actions.clear();
    fixture.says_in("room:1", "1/4", "new_msg", 1);
    fixture.check(&[concat!(
        r#"room:1 error 1/4 {"reason":"too many messages wait for their channels","#,
        r#""held_bytes_max":250}"#
    )]);
}

#[test]
fn a_message_of_any_size_may_wait_alone() {
    let mut fixture = Fixture::new(Limits {
        held_bytes_max: 250,
        ..ROOMY
    });
    fixture.says("room:1", "1/1", "phx_join");
    fixture.says_in("room:1", "1/2", "new_msg", 1000);
    fixture.says_in("room:1", "1/3", "new_msg", 1);
    assert_eq!(fixture.machine.held_count(), 1);
}

#[test]
fn a_leave_of_each_topic_fits_beyond_what_may_wait() {
    let mut fixture = Fixture::new(Limits {
        held_messages_max: 1,
        held_bytes_max: 250,
        ..ROOMY
    });
    for topic in ["room:1", "room:2"] {
        fixture.says(topic, "1/1", "phx_join");
    }
    fixture.says("room:1", "1/2", "new_msg");
    fixture.says_in("room:1", "1/3", "phx_leave", 1000);
    fixture.says("room:2", "1/4", "phx_leave");
    fixture.actions.clear();
    fixture.says("room:1", "1/5", "phx_leave");
    fixture.check(&[concat!(
        r#"room:1 error 1/5 {"reason":"too many messages wait for their channels","#,
        r#""held_messages_max":1}"#
    )]);
    fixture.done_ok("room:1", 1);
    fixture.done_ok("room:2", 2);
    fixture.check(&[
        "room:1 ok 1/1 {}",
        "room:1 forward #1 2 new_msg {}",
        "room:1 leave #1 Left",
        "room:2 ok 1/1 {}",
        "room:2 leave #2 Left",
    ]);
    assert_eq!(fixture.machine.held_count(), 0);
}

#[test]
fn a_channel_is_not_ended_for_a_join_that_cannot_wait() {
    let mut fixture = Fixture::new(Limits {
        held_messages_max: 1,
        ..ROOMY
    });
    fixture.joins("room:1", "1/1");
    fixture.says("room:2", "2/2", "phx_join");
    fixture.says("room:2", "2/3", "new_msg");
    fixture.actions.clear();
    fixture.says("room:1", "4/4", "phx_join");
    fixture.says("room:1", "1/5", "new_msg");
    fixture.check(&[
        concat!(
            r#"room:1 error 4/4 {"reason":"too many messages wait for their channels","#,
            r#""held_messages_max":1}"#
        ),
        "room:1 forward #1 5 new_msg {}",
    ]);
}

#[test]
fn what_a_channel_keeps_does_not_keep_a_frame() {
    let mut fixture = Fixture::new(ROOMY);
    let frame = ByteString::from(format!("room:1 23 {}", "x".repeat(1000)));
    let incoming = Incoming {
        join_ref: Some(Ref::new(frame.slice_ref(&frame[7..8]))),
        reference: Some(Ref::new(frame.slice_ref(&frame[8..9]))),
        topic: frame.slice_ref(&frame[..6]),
        event: "phx_join".into(),
        payload: Payload::empty(),
        size: frame.len(),
    };
    fixture.turn(|machine, turn| machine.received(incoming, turn));
    fixture.actions.clear();
    assert!(frame.into_bytes().is_unique());
}

#[test]
fn a_connection_keeps_little_for_its_channels() {
    let sizes = (size_of::<(ByteString, Channel)>(), size_of::<Machine>());
    assert!(sizes.0 <= 192 && sizes.1 <= 112, "{sizes:?}");
}
