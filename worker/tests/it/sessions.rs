//! Sessions and order.
//!
//! The cases of Channels 1.1.8 for its sessions, and what has their place here:
//! the session travels with the event, and a conversation has one event in
//! flight.
//!
//! | there | here |
//! |---|---|
//! | session of a reply channel | [`what_one_event_left_the_next_one_finds`] |
//! | decorator on a function | `extractors::the_session_travels_with_the_conversation` |
//! | decorator on a method | `consumers::a_type_takes_connect_frames_events_and_disconnect` |
//! | decorator, message as third argument | [`a_session_may_be_any_argument`] |
//! | decorator twice, function | [`two_that_read_one_session_see_the_same`] |
//! | decorator twice, method | `middleware::middleware_and_consumer_share_the_session` |
//! | decorator twice, third argument | [`two_that_read_one_session_see_the_same`] |
//! | no reply channel, function | [`without_a_connection_there_is_no_session`] |
//! | no reply channel, method | `consumers::a_value_that_is_not_there_is_found_at_start` |
//! | no reply channel, third argument | [`without_a_connection_there_is_no_session`] |
//! | HTTP session from the cookie | `consumers::a_field_keeps_what_the_handshake_said` |
//! | both sessions: the key is kept, later restored | [`what_the_handshake_said_is_kept_for_later_events`] |
//! | ordering: in order | `runtime::a_conversation_keeps_its_order_over_two_workers` |
//! | ordering: a gap waits | there is none: the interface server's `one_event_is_in_flight_and_the_next_waits_for_the_completion` |
//! | ordering: no `order` is an error | [`an_event_says_its_place`]: it is a part of the type |
//! | ordering: concurrent change is requeued | [`a_completion_says_which_attempt_it_ends`], and the interface server's `the_session_travels_and_a_stale_completion_changes_nothing` |
//!
//! And those for the worker:
//!
//! | there | here |
//! |---|---|
//! | only, exclude, both | `routing::a_worker_receives_from_what_only_and_exclude_leave` |
//! | `ConsumeLater`: one requeue, two calls | [`a_retried_event_comes_once_more_with_the_old_session`] |
//! | normal run: one call, no send | [`an_event_that_ends_well_runs_once_and_sends_nothing_by_itself`] |

use serde::{Deserialize, Serialize};
use towpath_layer_core::{Content, Event, Handshake, Outcome};
use towpath_worker::{
    Connection, Context, Error, Headers, Result, Router, Session, Socket, States, Text, websocket,
};

use crate::stage::{Stage, receive};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ponies(i32);

async fn count(mut ponies: Session<Ponies>, Text(by): Text) -> Result {
    ponies.0 += by.parse::<i32>()?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_one_event_left_the_next_one_finds() {
    let router = Router::new().route("/x", websocket().receive(count));
    let stage = Stage::new(router).await;
    let (mut one, mut other) = (stage.peer("/x"), stage.peer("/x"));
    one.text("42").await.done();
    other.text("7").await.done();
    one.text("-43").await.done();
    let ponies = |session| Content::from_encoded(session).decode::<Ponies>().unwrap();
    assert_eq!(ponies(one.session), Ponies(-1));
    assert_eq!(ponies(other.session), Ponies(7));
}

#[tokio::test(start_paused = true)]
async fn a_session_may_be_any_argument() {
    async fn last(Text(by): Text, socket: Socket, mut ponies: Session<Ponies>) -> Result {
        ponies.0 += by.parse::<i32>()?;
        socket.text(ponies.0.to_string()).await
    }
    let stage = Stage::new(Router::new().route("/x", websocket().receive(last))).await;
    let mut peer = stage.peer("/x");
    assert_eq!(peer.text("1").await.done().text(), "1");
    assert_eq!(peer.text("2").await.done().text(), "3");
}

#[tokio::test(start_paused = true)]
async fn two_that_read_one_session_see_the_same() {
    async fn twice(context: Context, mut ponies: Session<Ponies>, socket: Socket) -> Result {
        ponies.0 += 1;
        let other: Session<Ponies> = context.extract().await?;
        socket.json(&(ponies.0, other.0)).await
    }
    let stage = Stage::new(Router::new().route("/x", websocket().receive(twice))).await;
    let mut peer = stage.peer("/x");
    // Both began with what came, and the one that was changed is kept.
    assert_eq!(peer.text("").await.done().text(), "[1,0]");
    assert_eq!(peer.text("").await.done().text(), "[2,1]");
}

#[test]
fn without_a_connection_there_is_no_session() {
    let router = Router::new()
        .channel("first", async |_: Session<Ponies>| {})
        .channel(
            "third",
            async |_: Context, _: Context, _: Session<Ponies>| {},
        );
    let errors = router.check(&States::new()).unwrap_err().to_string();
    let reason = "channel consumers cannot take Session: a channel has no session";
    assert_eq!(errors, format!("first: {reason}\nthird: {reason}"));
}

#[tokio::test(start_paused = true)]
async fn what_the_handshake_said_is_kept_for_later_events() {
    async fn connect(headers: Headers, mut key: Session<String>) {
        headers
            .text("cookie")
            .unwrap_or_default()
            .clone_into(&mut key);
    }
    async fn tell(key: Session<String>, socket: Socket) -> Result {
        socket.text(key.as_str()).await
    }
    let router = Router::new().route("/x", websocket().connect(connect).receive(tell));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    let handshake = Handshake {
        headers: vec![("cookie".into(), "sessionid=7".into())],
        ..Handshake::default()
    };
    peer.connect_with(handshake).await.done();
    assert_eq!(peer.text("").await.text(), "sessionid=7");
}

#[tokio::test(start_paused = true)]
async fn an_event_says_its_place() {
    async fn tell(connection: Connection, socket: Socket) -> Result {
        socket.text(connection.order.to_string()).await
    }
    let router = Router::new().route("/x", websocket().connect(tell).receive(tell));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    assert_eq!(peer.connect().await.text(), "0");
    for order in 1..4 {
        assert_eq!(peer.text("").await.text(), order.to_string());
    }
}

async fn retries(
    mut tries: Session<u32>,
    Text(text): Text,
    context: Context,
    socket: Socket,
) -> Result {
    *tries += 1;
    let attempt = context.event().map(|event: &Event| event.attempt);
    if text == "again" && attempt == Some(2) {
        return Err(Error::retry());
    }
    socket.text(tries.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn a_retried_event_comes_once_more_with_the_old_session() {
    let stage = Stage::new(Router::new().route("/x", websocket().receive(retries))).await;
    let mut peer = stage.peer("/x");
    assert_eq!(peer.text("well").await.done().text(), "1");
    let turn = peer.text("again").await;
    assert_eq!(turn.completion.outcome, Outcome::Retry);
    assert!(turn.texts().is_empty());
    let turn = peer.again(receive("again")).await.done();
    assert_eq!(turn.texts(), ["2"]);
    assert!(peer.is_silent());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_ends_well_runs_once_and_sends_nothing_by_itself() {
    let stage = Stage::new(Router::new().route("/x", websocket().receive(count))).await;
    let mut peer = stage.peer("/x");
    let turn = peer.text("1").await.done();
    assert_eq!((turn.replies.len(), turn.texts().len()), (1, 0));
    let ponies = Content::from_encoded(peer.session.clone());
    assert_eq!(ponies.decode::<Ponies>().unwrap(), Ponies(1));
    assert!(peer.is_silent());
}

#[tokio::test(start_paused = true)]
async fn a_completion_says_which_attempt_it_ends() {
    // The same event in two hands: each completion names its attempt, so the
    // node takes the one that it waits for; the other is stale.
    let stage = Stage::new(Router::new().route("/x", websocket().receive(count))).await;
    let mut peer = stage.peer("/x");
    peer.emit(receive("1")).await;
    peer.emit(receive("1")).await;
    let mut attempts = Vec::new();
    for _ in 0..2 {
        let completion = peer.reply().await.completion.unwrap();
        let Outcome::Done { session } = completion.outcome else {
            panic!("not done");
        };
        let kept = Content::from_encoded(session.unwrap()).decode::<Ponies>();
        assert_eq!(kept.unwrap(), Ponies(1));
        attempts.push(completion.attempt);
    }
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2]);
}
