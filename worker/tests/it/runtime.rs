//! How events are run: side by side, bounded, in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Barrier, Notify, Semaphore};
use tokio::time::{Instant, timeout};
use towpath_layer_core::{ChannelLayer, Outcome, Reply};
use towpath_testkit::{Trouble, Troubled};
use towpath_worker::{
    Result, Router, Session, Socket, State, States, Text, Worker, WorkerConfig, blocking, websocket,
};

use crate::stage::{PATIENCE, Stage, receive};

#[tokio::test(start_paused = true)]
async fn conversations_run_side_by_side() {
    async fn meet(barrier: State<Barrier>) {
        barrier.wait().await;
    }
    let states = States::new().with(Barrier::new(10));
    let router = Router::new().route("/x", websocket().receive(meet));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let mut peers: Vec<_> = (0..10).map(|_| stage.peer("/x")).collect();
    for peer in &mut peers {
        peer.emit(receive("")).await;
    }
    for peer in &mut peers {
        peer.turn().await.done();
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_keeps_its_order_over_two_workers() {
    async fn count(mut seen: Session<Vec<String>>, Text(text): Text) {
        if text.len() % 2 == 0 {
            tokio::task::yield_now().await;
        }
        seen.push(text.to_string());
    }
    let router = Router::new().route("/x", websocket().receive(count));
    let mut stage = Stage::new(router.clone()).await;
    let layer = stage.layer.another_node();
    let config = WorkerConfig::default();
    stage.add(Worker::new(config, &router, layer, States::new()).unwrap());
    let mut peers: Vec<_> = (0..20).map(|_| stage.peer("/x")).collect();
    let mut expected = Vec::new();
    for length in 0..10 {
        expected.push("x".repeat(length));
        for peer in &mut peers {
            peer.emit(receive(&"x".repeat(length))).await;
        }
        for peer in &mut peers {
            peer.turn().await.done();
        }
    }
    for peer in peers {
        let session = towpath_layer_core::Content::from_encoded(peer.session);
        assert_eq!(session.decode::<Vec<String>>().unwrap(), expected);
    }
}

#[derive(Default)]
struct Gate {
    running: AtomicUsize,
    most: AtomicUsize,
    open: Notify,
}

async fn enter(gate: State<Gate>) {
    let running = gate.running.fetch_add(1, Ordering::Relaxed) + 1;
    gate.most.fetch_max(running, Ordering::Relaxed);
    gate.open.notified().await;
    gate.running.fetch_sub(1, Ordering::Relaxed);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_may() {
    let mut stage = Stage::empty().await;
    let states = States::new().with(Gate::default());
    let gate = states.get::<Gate>().unwrap();
    let config = WorkerConfig {
        concurrency: 3,
        ..WorkerConfig::default()
    };
    let router = Router::new().route("/x", websocket().receive(enter));
    let layer = stage.layer.another_node();
    stage.add(Worker::new(config, &router, layer, states).unwrap());
    let mut peers: Vec<_> = (0..10).map(|_| stage.peer("/x")).collect();
    for peer in &mut peers {
        peer.emit(receive("")).await;
    }
    for _ in 0..10 {
        gate.open.notify_one();
        tokio::task::yield_now().await;
    }
    for peer in &mut peers {
        while gate.running.load(Ordering::Relaxed) > 0 {
            gate.open.notify_one();
            tokio::task::yield_now().await;
        }
        peer.turn().await.done();
    }
    assert_eq!(gate.most.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_takes_too_long_has_failed() {
    async fn wait_for_ever(dropped: State<Arc<Semaphore>>) {
        struct OnDrop(Arc<Semaphore>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.add_permits(1);
            }
        }
        let _on_drop = OnDrop(Arc::clone(&dropped));
        std::future::pending::<()>().await;
    }
    let dropped = Arc::new(Semaphore::new(0));
    let states = States::new().with(Arc::clone(&dropped));
    let router = Router::new().route("/x", websocket().receive(wait_for_ever));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let began = Instant::now();
    stage.peer("/x").text("").await.failed();
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(dropped.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_says_that_it_still_holds_an_event() {
    async fn sleep(Text(seconds): Text) -> Result {
        tokio::time::sleep(Duration::from_secs(seconds.parse()?)).await;
        Ok(())
    }
    let mut stage = Stage::empty().await;
    let layer = stage.layer.another_node();
    let node = layer.node();
    let router = Router::new().route("/x", websocket().receive(sleep));
    let config = WorkerConfig::default();
    stage.add(Worker::new(config, &router, layer, States::new()).unwrap());
    let mut peer = stage.peer("/x");

    let began = Instant::now();
    peer.emit(receive("20")).await;
    let taken = peer.reply().await.taken.unwrap();
    assert_eq!(began.elapsed().as_millis() / 10, 25);
    assert_eq!((taken.attempt, taken.worker), (1, node));
    assert!(peer.reply().await.taken.is_some());
    assert_eq!(began.elapsed().as_secs(), 15);
    assert_eq!(peer.turn().await.done().replies, [Reply::default()]);

    let turn = peer.text("0").await.done();
    assert_eq!(turn.replies, [Reply::default()]);
}

#[tokio::test(start_paused = true)]
async fn a_completion_waits_for_the_backend() {
    async fn leave(layer: State<Arc<Troubled>>) {
        layer.set(Trouble::Away);
    }
    let mut stage = Stage::empty().await;
    let layer = Troubled::new(stage.layer.another_node());
    let states = States::new().with(Arc::clone(&layer));
    let router = Router::new().route("/x", websocket().receive(leave));
    let config = WorkerConfig {
        concurrency: 1,
        ..WorkerConfig::default()
    };
    stage.add(Worker::new(config, &router, layer.clone(), states).unwrap());
    let (mut first, mut second) = (stage.peer("/x"), stage.peer("/x"));
    first.emit(receive("")).await;
    second.emit(receive("")).await;
    timeout(Duration::from_secs(10), first.reply())
        .await
        .unwrap_err();
    layer.set(Trouble::None);
    first.turn().await.done();
    // It has the only place of the second event until its deadline.
    timeout(Duration::from_secs(25), second.reply())
        .await
        .unwrap_err();
    layer.set(Trouble::None);
    second.turn().await.done();
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_is_too_large_becomes_a_failure() {
    use towpath_worker::Groups;
    async fn join_many(groups: Groups) -> Result {
        for number in 0..40 {
            groups
                .add_with(format!("group.{number}"), &"x".repeat(4000))
                .await?;
        }
        Ok(())
    }
    let stage = Stage::new(Router::new().route("/x", websocket().receive(join_many))).await;
    let turn = stage.peer("/x").text("").await.failed();
    assert!(turn.completion.groups.is_empty());
}

#[tokio::test]
async fn late_blocking_functions_count_against_the_bound() {
    use std::sync::mpsc;
    type Door = std::sync::Mutex<mpsc::Receiver<()>>;

    fn stand_at_the_door(Text(text): Text, socket: Socket, door: State<Door>) -> Result {
        if text == "stand" {
            door.lock().unwrap().recv()?;
        }
        towpath_worker::wait(socket.text("through"))
    }
    let (open, door) = mpsc::channel();
    let states = States::new().with(std::sync::Mutex::new(door));
    let config = WorkerConfig {
        concurrency: 1,
        consumer_timeout: Duration::from_millis(100),
        ..WorkerConfig::default()
    };
    let router = Router::new().route("/x", websocket().receive(blocking(stand_at_the_door)));
    let stage = Stage::with(config, router, states).await;
    let mut late = stage.peer("/x");
    late.text("stand").await.failed();
    // The first function still has the only thread, so the second has no turn.
    stage.peer("/x").text("go").await.failed();
    open.send(()).unwrap();
    let through = timeout(PATIENCE, late.reply()).await.unwrap();
    assert_eq!(through, Reply::text("through"));
    assert_eq!(stage.peer("/x").text("go").await.done().text(), "through");
}

#[tokio::test]
async fn a_consumer_that_blocks_does_not_hold_its_batch() {
    // On a thread that never yields the others of the batch become tasks, and
    // still every one of them is answered.
    async fn spin(Text(text): Text) -> Result {
        let until = std::time::Instant::now() + Duration::from_millis(text.parse()?);
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        Ok(())
    }
    let router = Router::new().route("/x", websocket().receive(spin));
    let mut stage = Stage::empty().await;
    let mut peers: Vec<_> = (0..10).map(|_| stage.peer("/x")).collect();
    for peer in &mut peers {
        peer.emit(receive("3")).await;
    }
    let layer = stage.layer.another_node();
    let config = WorkerConfig::default();
    stage.add(Worker::new(config, &router, layer, States::new()).unwrap());
    for peer in &mut peers {
        let turn = peer.turn().await;
        assert_eq!(turn.completion.outcome, Outcome::Done { session: None });
    }
}
