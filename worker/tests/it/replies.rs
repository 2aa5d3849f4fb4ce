//! When what a consumer writes to its own connection leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;
use towpath_layer_core::{Frame, Outcome};
use towpath_testkit::{Trouble, Troubled};
use towpath_worker::{
    Error, Groups, Result, Router, Socket, State, States, Text, Worker, WorkerConfig, websocket,
};

use crate::stage::{Peer, Stage, receive};

async fn of<A: 'static>(consumer: impl towpath_worker::Handler<A>) -> (Stage, Peer) {
    let stage = Stage::new(Router::new().route("/x", websocket().receive(consumer))).await;
    let peer = stage.peer("/x");
    (stage, peer)
}

/// A stage whose worker has a layer with troubles.
async fn troubled<A: 'static>(
    consumer: impl towpath_worker::Handler<A>,
) -> (Stage, Peer, Arc<Troubled>) {
    let mut stage = Stage::empty().await;
    let layer = Troubled::new(stage.layer.another_node());
    let states = States::new().with(Arc::clone(&layer));
    let router = Router::new().route("/x", websocket().receive(consumer));
    let worker = Worker::new(WorkerConfig::default(), &router, layer.clone(), states);
    stage.add(worker.unwrap());
    let peer = stage.peer("/x");
    (stage, peer, layer)
}

#[tokio::test(start_paused = true)]
async fn a_reply_and_the_completion_are_one_message() {
    async fn echo(Text(text): Text, socket: Socket) -> Result {
        socket.text(text).await
    }
    let (_stage, mut peer) = of(echo).await;
    let turn = peer.text("hello").await.done();
    assert_eq!(turn.texts(), ["hello"]);
    assert_eq!(turn.replies.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_last_reply_goes_with_the_completion() {
    async fn thrice(socket: Socket) -> Result {
        socket.text("a").await?;
        socket.text("b").await?;
        socket.text("c").await
    }
    let (_stage, mut peer) = of(thrice).await;
    let turn = peer.text("go").await.done();
    assert_eq!(turn.texts(), ["a", "b", "c"]);
    assert_eq!(turn.replies.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_large_reply_goes_by_itself() {
    async fn large(Text(text): Text, socket: Socket) -> Result {
        socket.text("x".repeat(text.parse::<usize>()?)).await
    }
    let (_stage, mut peer) = of(large).await;
    assert_eq!(peer.text("2048").await.done().replies.len(), 1);
    assert_eq!(peer.text("2049").await.done().replies.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_leaves_as_soon_as_the_consumer_waits() {
    async fn wait(socket: Socket, go_on: State<Arc<Notify>>) -> Result {
        socket.text("before").await?;
        go_on.notified().await;
        socket.text("after").await
    }
    let go_on = Arc::new(Notify::new());
    let states = States::new().with(Arc::clone(&go_on));
    let router = Router::new().route("/x", websocket().receive(wait));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let mut peer = stage.peer("/x");
    peer.emit(receive("go")).await;
    let before = peer.reply().await;
    assert!(before.frame.is_some() && before.completion.is_none());
    go_on.notify_one();
    let turn = peer.turn().await.done();
    assert_eq!(turn.texts(), ["after"]);
    assert_eq!(turn.replies.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_asked_of_the_layer_overtakes_a_reply() {
    async fn join(socket: Socket, groups: Groups) -> Result {
        socket.text("you join").await?;
        groups.add("room").await?;
        socket.text("you leave").await?;
        groups.discard("room").await
    }
    let (_stage, mut peer) = of(join).await;
    peer.text("go").await.done();
    let arrivals = peer.arrivals();
    assert_eq!(arrivals, ["reply", "join", "reply", "leave", "reply"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_a_consumer_that_fails_is_written_all_the_same() {
    async fn fail(Text(text): Text, socket: Socket) -> Result {
        socket.text("oh").await?;
        if text == "panic" {
            panic!("on purpose");
        }
        Err(Error::internal("on purpose"))
    }
    let (_stage, mut peer) = of(fail).await;
    for how in ["panic", "error"] {
        let turn = peer.text(how).await.failed();
        assert_eq!(turn.texts(), ["oh"]);
        assert_eq!(turn.replies.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_reply_waits_with_the_completion_for_a_layer_out_of_reach() {
    async fn last(socket: Socket, layer: State<Arc<Troubled>>) -> Result {
        layer.set(Trouble::Away);
        socket.text("hello").await
    }
    let (_stage, mut peer, layer) = troubled(last).await;
    peer.emit(receive("go")).await;
    // Under a paused clock this ends when nothing else can happen.
    sleep(Duration::from_secs(1)).await;
    assert!(peer.is_silent());
    layer.set(Trouble::None);
    let turn = peer.turn().await.done();
    assert_eq!(turn.texts(), ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_earlier_reply_was_not_sent_is_lost() {
    async fn waits(Text(text): Text, socket: Socket, layer: State<Arc<Troubled>>) -> Result {
        layer.set(Trouble::Away);
        socket.text("hello").await?;
        match &*text {
            "waits" => yield_now().await,
            _ => {
                let second = socket.text("again").await;
                layer.set(Trouble::None);
                second?;
            }
        }
        layer.set(Trouble::None);
        Ok(())
    }
    let (_stage, mut peer, _layer) = troubled(waits).await;
    for how in ["waits", "writes on"] {
        let turn = peer.text(how).await;
        assert_eq!(turn.completion.outcome, Outcome::Lost, "{how}");
        assert_eq!(turn.texts(), [""; 0], "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_from_a_task_of_the_consumers_own_is_sent_at_once() {
    async fn apart(socket: Socket) -> Result {
        let apart = socket.clone();
        #[expect(clippy::disallowed_methods, reason = "an application may")]
        let task = tokio::spawn(async move { apart.text("from a task").await });
        task.await?
    }
    let (_stage, mut peer) = of(apart).await;
    let turn = peer.text("go").await.done();
    assert_eq!(turn.texts(), ["from a task"]);
    assert_eq!(turn.replies.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unsent_reply_is_not_forgotten_when_a_later_one_is_sent() {
    async fn waits(socket: Socket, layer: State<Arc<Troubled>>) -> Result {
        layer.set(Trouble::Away);
        socket.text("a").await?;
        yield_now().await;
        layer.set(Trouble::None);
        socket.text("b").await?;
        yield_now().await;
        Ok(())
    }
    let (_stage, mut peer, _layer) = troubled(waits).await;
    let turn = peer.text("go").await;
    assert_eq!(turn.completion.outcome, Outcome::Lost, "{:?}", turn.texts());
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_not_overtaken_by_a_task_spawned_after_it() {
    async fn apart(socket: Socket) -> Result {
        yield_now().await;
        socket.text("a").await?;
        let apart = socket.clone();
        #[expect(clippy::disallowed_methods, reason = "an application may")]
        tokio::spawn(async move { apart.text("b").await });
        Ok(())
    }
    let (_stage, mut peer) = of(apart).await;
    let turn = peer.text("go").await;
    let mut texts: Vec<String> = turn.texts().iter().map(|text| text.to_string()).collect();
    if texts.len() < 2
        && let Some(Frame::Text(text)) = peer.reply().await.frame
    {
        texts.push(text.to_string());
    }
    assert_eq!(texts, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_blocks_its_thread_can_flush_before() {
    async fn blocks(
        socket: Socket,
        left: State<Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>>,
    ) -> Result {
        socket.text("question").await?;
        socket.flush().await?;
        let left = std::sync::Arc::clone(&left);
        let answered = tokio::task::block_in_place(move || {
            left.lock()
                .unwrap()
                .recv_timeout(Duration::from_secs(2))
                .is_ok()
        });
        socket
            .text(if answered {
                "answered"
            } else {
                "nobody answered"
            })
            .await
    }
    let (answer, left) = std::sync::mpsc::channel();
    let states = States::new().with(Arc::new(std::sync::Mutex::new(left)));
    let router = Router::new().route("/x", websocket().receive(blocks));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let mut peer = stage.peer("/x");
    peer.emit(receive("go")).await;
    let first = peer.reply().await;
    assert!(first.frame.is_some());
    answer.send(()).unwrap();
    let turn = peer.turn().await;
    assert_eq!(turn.texts(), ["answered"]);
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_a_reply_does_not_go_to_a_call_whose_error_is_of_no_matter() {
    async fn tells(socket: Socket, layer: State<Arc<Troubled>>, groups: Groups) -> Result {
        layer.set(Trouble::Away);
        socket.text("a").await?;
        // Nobody has to hear of it.
        groups.send_text("room", "somebody writes").await.ok();
        layer.set(Trouble::None);
        Ok(())
    }
    let (_stage, mut peer, _layer) = troubled(tells).await;
    let turn = peer.text("go").await;
    let is_lost = turn.completion.outcome == Outcome::Lost;
    assert!(is_lost || turn.texts() == ["a"], "{turn:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_awaited_survives_another_call_that_is_dropped() {
    async fn drops(socket: Socket, layer: State<Arc<Troubled>>, groups: Groups) -> Result {
        layer.set(Trouble::Slow);
        socket.text("a").await?;
        let soon = Duration::from_millis(1);
        tokio::time::timeout(soon, groups.send_text("room", "x"))
            .await
            .ok();
        layer.set(Trouble::None);
        Ok(())
    }
    let (_stage, mut peer, _layer) = troubled(drops).await;
    let turn = peer.text("go").await;
    let is_lost = turn.completion.outcome == Outcome::Lost;
    assert!(is_lost || turn.texts() == ["a"], "{turn:?}");
}

#[tokio::test(start_paused = true)]
async fn a_last_reply_that_could_not_go_alone_makes_the_event_lost() {
    type Kept = Arc<parking_lot::Mutex<Option<Socket>>>;
    /// Somebody else keeps the socket, so the reply does not wait for the completion.
    async fn keeps(socket: Socket, layer: State<Arc<Troubled>>, kept: State<Kept>) -> Result {
        kept.lock().replace(socket.clone());
        layer.set(Trouble::Away);
        socket.text("hello").await
    }
    let mut stage = Stage::empty().await;
    let layer = Troubled::new(stage.layer.another_node());
    let states = States::new().with(Arc::clone(&layer)).with(Kept::default());
    let router = Router::new().route("/x", websocket().receive(keeps));
    let worker = Worker::new(WorkerConfig::default(), &router, layer.clone(), states);
    stage.add(worker.unwrap());
    let mut peer = stage.peer("/x");
    peer.emit(receive("go")).await;
    // Under a paused clock this ends when nothing else can happen.
    sleep(Duration::from_secs(1)).await;
    layer.set(Trouble::None);
    let turn = peer.turn().await;
    assert_eq!(turn.completion.outcome, Outcome::Lost);
}
