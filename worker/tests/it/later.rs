//! What is sent later, and what comes again and again.
//!
//! The cases of Channels 1.1.8 for its delay server, and what has their place
//! here:
//!
//! | there | here |
//! |---|---|
//! | an invalid message is refused | [`what_cannot_be_sent_later_is_refused_at_once`] |
//! | a message is kept and sent when due | [`a_job_comes_when_it_is_due`] |
//! | a full channel puts it back | [`what_is_due_waits_for_room`] |
//! | it is due at its time | [`a_job_comes_when_it_is_due`] |
//! | it is sent once | [`a_job_comes_when_it_is_due`], [`what_was_cancelled_never_comes`] |

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use towpath_layer_core::{ChannelLayer, ChannelName, DelayKey, SendError};
use towpath_worker::{
    Layer, Outbox, Payload, Result, Router, Session, Socket, State, States, Text, WorkerConfig,
    websocket,
};

use crate::stage::{PATIENCE, Stage};

type Log = mpsc::Sender<(u32, Instant)>;

async fn job(Payload(number): Payload<u32>, log: State<Log>) -> Result {
    Ok(log.send((number, Instant::now())).await?)
}

/// A stage whose worker takes jobs, and where they are seen.
async fn jobs() -> (Stage, mpsc::Receiver<(u32, Instant)>) {
    let (log, logged) = mpsc::channel::<(u32, Instant)>(100);
    let router = Router::new().channel("jobs.run", job);
    let states = States::new().with::<Log>(log);
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    (stage, logged)
}

async fn next(logged: &mut mpsc::Receiver<(u32, Instant)>) -> (u32, Instant) {
    timeout(PATIENCE, logged.recv()).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_job_comes_when_it_is_due() {
    let (stage, mut logged) = jobs().await;
    let layer = Layer::new(stage.layer.clone());
    let began = Instant::now();
    for (number, seconds) in [(3, 3), (1, 1), (2, 2)] {
        let delay = Duration::from_secs(seconds);
        layer.send_after(delay, "jobs.run", &number).await.unwrap();
    }
    for number in 1..=3 {
        let (came, at) = next(&mut logged).await;
        assert_eq!(came, number);
        let waited = (at - began).as_millis();
        let due = u128::from(number) * 1000;
        assert!((due..due + 50).contains(&waited), "{number}: {waited} ms");
    }
    // Each came once.
    let nothing = timeout(Duration::from_secs(60), logged.recv()).await;
    nothing.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_was_cancelled_never_comes() {
    let (stage, mut logged) = jobs().await;
    let layer = Layer::new(stage.layer.clone());
    let delay = Duration::from_secs(1);
    let kept = layer.send_after(delay, "jobs.run", &1_u32).await.unwrap();
    let gone = layer.send_after(delay, "jobs.run", &2_u32).await.unwrap();
    assert!(layer.cancel(&gone).await.unwrap());
    assert!(!layer.cancel(&gone).await.unwrap());
    assert_eq!(next(&mut logged).await.0, 1);
    assert!(!layer.cancel(&kept).await.unwrap());
    let nothing = timeout(Duration::from_secs(60), logged.recv()).await;
    nothing.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_later_is_refused_at_once() {
    let stage = Stage::empty().await;
    let layer = Layer::new(stage.layer.clone());
    let delay = Duration::from_secs(1);
    let failed = layer.send_after(delay, "two words", &1).await.unwrap_err();
    assert!(failed.to_string().contains("two words"), "{failed}");
    let month = Duration::from_hours(24 * 31);
    let failed = layer.send_after(month, "jobs.run", &1).await.unwrap_err();
    let cause = failed.downcast_ref::<SendError>();
    assert!(
        matches!(cause, Some(SendError::DelayTooLong { .. })),
        "{failed}"
    );
    let large = "x".repeat(2 << 20);
    let failed = layer
        .send_after(delay, "jobs.run", &large)
        .await
        .unwrap_err();
    let cause = failed.downcast_ref::<SendError>();
    assert!(
        matches!(cause, Some(SendError::MessageTooLarge { .. })),
        "{failed}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_due_waits_for_room() {
    let stage = Stage::empty().await;
    let channel = ChannelName::new("jobs.full").unwrap();
    let layer = Layer::new(stage.layer.clone());
    let delay = Duration::from_secs(1);
    layer.send_after(delay, "jobs.full", &"late").await.unwrap();
    stage.fill(&channel).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let mut receiver = stage.layer.receiver(vec![channel]).unwrap();
    let mut received = Vec::new();
    while received.len() < 101 {
        let more = receiver.receive_many(&mut received, 10);
        timeout(PATIENCE, more).await.unwrap().unwrap();
    }
    let last = received.pop().unwrap().message;
    let expected = towpath_layer_core::Content::encode("late").unwrap();
    assert_eq!(last, expected.into());
}

#[derive(Default, Serialize, Deserialize)]
struct Alarm {
    rung: u32,
    key: Option<DelayKey>,
}

async fn command(
    Text(text): Text,
    socket: Socket,
    layer: Layer,
    mut alarm: Session<Alarm>,
) -> Result {
    let delay = Duration::from_secs(10);
    match &*text {
        "set" => alarm.key = Some(socket.event_after(delay, "alarm", "wake up").await?),
        "cancel" => {
            let cancelled = match alarm.key.take() {
                Some(key) => layer.cancel(&key).await?,
                None => false,
            };
            socket.json(&cancelled).await?;
        }
        "tick" => {
            socket
                .tick_every(Duration::from_secs(1), "clock.tick")
                .await?
        }
        _ => socket.stop_ticking("clock.tick").await?,
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_event_for_the_own_consumer_comes_later_and_can_be_cancelled() {
    let router = Router::new().route("/x", websocket().receive(command));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    let began = Instant::now();
    peer.text("set").await.done();
    let event = peer.reply().await.event.unwrap();
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(
        (&*event.name, event.content.decode().unwrap()),
        ("alarm", "wake up".to_owned())
    );
    // The key travelled in the session.
    assert_eq!(peer.text("cancel").await.done().text(), "false");
    peer.text("set").await.done();
    assert_eq!(peer.text("cancel").await.done().text(), "true");
    tokio::time::advance(Duration::from_secs(60)).await;
    peer.text("tick").await.done();
    assert!(peer.is_silent());
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_asked_of_the_node_that_holds_the_connection() {
    let router = Router::new().route("/x", websocket().receive(command));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    let turn = peer.text("tick").await.done();
    let tick = turn.replies[0].tick.clone().unwrap();
    let every = Some(Duration::from_secs(1));
    assert_eq!((&*tick.name, tick.every), ("clock.tick", every));
    let turn = peer.text("stop").await.done();
    assert_eq!(turn.replies[0].tick.clone().unwrap().every, None);
}

#[tokio::test(start_paused = true)]
async fn an_outbox_sends_later_too() {
    async fn later(Text(text): Text, outbox: Outbox) -> Result {
        outbox.send_after(Duration::from_secs(5), "jobs.run", &7_u32)?;
        text.parse::<u32>()?;
        Ok(())
    }
    let (log, mut logged) = mpsc::channel::<(u32, Instant)>(100);
    let router = Router::new()
        .route("/x", websocket().receive(later))
        .channel("jobs.run", job);
    let states = States::new().with::<Log>(log);
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let mut peer = stage.peer("/x");
    let began = Instant::now();
    peer.text("no number").await.failed();
    peer.text("1").await.done();
    let (number, at) = next(&mut logged).await;
    assert_eq!((number, (at - began).as_secs()), (7, 5));
    let nothing = timeout(Duration::from_secs(60), logged.recv()).await;
    nothing.unwrap_err();
}
