//! How a worker stops.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use towpath_layer_core::{ChannelLayer, LayerError, Outcome};
use towpath_worker::{Router, Socket, State, States, Text, Worker, WorkerConfig, websocket};

use crate::stage::{Stage, receive};

#[derive(Default)]
struct Steps {
    begun: Notify,
    go_on: Notify,
}

async fn step(steps: State<Steps>, Text(text): Text, socket: Socket) -> towpath_worker::Result {
    steps.begun.notify_one();
    steps.go_on.notified().await;
    socket.text(text).await
}

fn router() -> Router {
    Router::new().route("/x", websocket().receive(step))
}

#[tokio::test(start_paused = true)]
async fn what_runs_ends_and_what_waits_is_left_to_others() {
    let states = States::new().with(Steps::default());
    let steps = states.get::<Steps>().unwrap();
    let config = WorkerConfig {
        concurrency: 1,
        ..WorkerConfig::default()
    };
    let mut stage = Stage::with(config.clone(), router(), states.clone()).await;
    let (mut runs, mut waits) = (stage.peer("/x"), stage.peer("/x"));
    runs.emit(receive("runs")).await;
    waits.emit(receive("waits")).await;
    steps.begun.notified().await;

    stage.shutdown.cancel();
    tokio::task::yield_now().await;
    steps.go_on.notify_one();
    assert_eq!(runs.turn().await.done().text(), "runs");
    stage.ended().await.unwrap();

    stage.shutdown = tokio_util::sync::CancellationToken::new();
    let layer = stage.layer.another_node();
    stage.add(Worker::new(config, &router(), layer, states).unwrap());
    steps.go_on.notify_one();
    assert_eq!(waits.turn().await.done().text(), "waits");
}

#[tokio::test(start_paused = true)]
async fn what_runs_too_long_is_given_up_as_lost() {
    let states = States::new().with(Steps::default());
    let steps = states.get::<Steps>().unwrap();
    let config = WorkerConfig {
        drain_timeout: Duration::from_secs(5),
        ..WorkerConfig::default()
    };
    let mut stage = Stage::with(config, router(), states).await;
    let mut peer = stage.peer("/x");
    peer.emit(receive("")).await;
    steps.begun.notified().await;
    let began = Instant::now();
    stage.shutdown.cancel();
    stage.ended().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(peer.turn().await.completion.outcome, Outcome::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_closed_layer_ends_the_worker_with_an_error() {
    let mut stage = Stage::empty().await;
    let layer = stage.layer.another_node();
    let config = WorkerConfig::default();
    let states = States::new().with(Steps::default());
    stage.add(Worker::new(config, &router(), layer.clone(), states).unwrap());
    tokio::task::yield_now().await;
    layer.close().await;
    assert!(matches!(stage.ended().await, Err(LayerError::Closed)));
}
