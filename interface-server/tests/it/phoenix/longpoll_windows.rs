//! How long the lines of one request of long-poll may take, on a clock that
//! only moves when all is done: on the session's node, and on another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::Service;
use towpath_interface_server::{InterfaceServer, TowpathService};
use towpath_layer_core::Limits;
use towpath_layer_memory::MemoryLayer;

use super::stage::pushed;
use crate::rig::{Worker, config, layer, routes};

/// A mount with this window, and what its consumer takes for a message.
const WINDOW: Duration = Duration::from_millis(300);
const WORK: Duration = Duration::from_millis(225);

/// The lines of a request, and how many of them are taken at once: one is
/// handled, and the others may wait for it.
const LINES: usize = 40;
const TAKEN: usize = 17;

/// A session with a topic, and the node to which its client writes.
struct Client {
    reads: TowpathService,
    writes: TowpathService,
    token: String,
}

async fn request(
    mut service: TowpathService,
    request: http::request::Builder,
    body: &str,
) -> Value {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let answer = service.call(request.body(body).unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

async fn get(service: &TowpathService, token: &str) -> Value {
    let uri = format!("/short/longpoll?vsn=2.0.0&token={token}");
    request(service.clone(), Request::get(uri), "").await
}

impl Client {
    /// One that has joined `room:1`.
    async fn open(nodes: [TowpathService; 2], worker: &mut Worker) -> Self {
        let [reads, writes] = nodes;
        let (opened, _) = tokio::join!(get(&reads, ""), worker.welcome());
        let token = opened["token"].as_str().unwrap().to_owned();
        let client = Self {
            reads,
            writes,
            token,
        };
        let join = r#"["1","1","room:1","phx_join",{}]"#.to_owned();
        let join = async {
            assert_eq!(client.post(&[join]).await, 200);
        };
        tokio::join!(join, async {
            let join = worker.next().await;
            worker.accept(&join).await;
            worker.done(&join).await;
        });
        client
    }

    /// Writes lines, and does not read meanwhile.
    async fn only_post(&self, lines: &[String]) -> Value {
        let uri = format!("/short/longpoll?vsn=2.0.0&token={}", self.token);
        let post = Request::post(uri).header("content-type", "application/x-ndjson");
        let mut answer = request(self.writes.clone(), post, &lines.join("\n")).await;
        answer["status"].take()
    }

    /// Writes lines, and reads all the while.
    async fn post(&self, lines: &[String]) -> Value {
        let read = async {
            loop {
                let polled = get(&self.reads, &self.token).await;
                assert!(
                    polled["status"] == 200 || polled["status"] == 204,
                    "{polled}"
                );
            }
        };
        tokio::select! {
            () = read => unreachable!("there is always more to read"),
            status = self.only_post(lines) => status,
        }
    }

    /// Reads for a while.
    async fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            get(&self.reads, &self.token).await;
        }
    }
}

fn lines(event: &str, count: usize) -> Vec<String> {
    let line = |n| format!(r#"["1","{n}","room:1","{event}",{{}}]"#);
    (0..count).map(line).collect()
}

/// Runs a test beside two nodes.
async fn beside(test: impl AsyncFnOnce([TowpathService; 2], Worker)) {
    let layer = layer(Limits::default());
    let other = layer.another_node();
    let local = |layer: &Arc<MemoryLayer>| {
        let layer = Arc::clone(layer);
        InterfaceServer::local(config(), routes(), layer as _)
    };
    let (one, first) = local(&layer).await.unwrap();
    let (two, second) = local(&other).await.unwrap();
    let worker = Worker::on(layer.another_node());
    let stop = CancellationToken::new();
    let test = async {
        Box::pin(test([one, two], worker)).await;
        stop.cancel();
    };
    let nodes = async {
        tokio::join!(first.run(stop.clone()), second.run(stop.clone()));
    };
    tokio::join!(Box::pin(nodes), test);
}

/// Handles messages of `room:1`, each in its time.
async fn work(worker: &mut Worker, times: impl IntoIterator<Item = Duration>) {
    for time in times {
        let event = worker.next().await;
        assert_eq!(&*pushed(&event).event, "n");
        sleep(time).await;
        worker.done(&event).await;
    }
}

async fn lines_take_longer_than_a_window(nodes: [TowpathService; 2], mut worker: Worker) {
    let client = Client::open(nodes, &mut worker).await;
    let begun = Instant::now();
    let written = async {
        let status = client.post(&lines("n", LINES)).await;
        (status, begun.elapsed())
    };
    let worked = work(&mut worker, [WORK; LINES - TAKEN]);
    let ((status, took), ()) = tokio::join!(written, worked);
    assert_eq!(status, 200);
    assert!(took > WINDOW * 10, "{took:?}");
}

async fn a_line_takes_longer_than_its_window(nodes: [TowpathService; 2], mut worker: Worker) {
    const BEFORE: u32 = 20;
    let client = Client::open(nodes, &mut worker).await;
    let begun = Instant::now();
    let written = async {
        let status = client.post(&lines("n", LINES)).await;
        let took = begun.elapsed();
        client.wait(WINDOW * 4).await;
        (status, took)
    };
    let times = (0..BEFORE).map(|_| WORK).chain([WINDOW * 2]);
    let worked = work(&mut worker, times);
    let ((status, took), ()) = tokio::join!(written, worked);
    assert_eq!(status, 408);
    let expected = WORK * BEFORE + WINDOW;
    assert!(took >= expected && took < expected + WINDOW / 4, "{took:?}");

    the_others_are_left_out(&client, &mut worker, TAKEN - 1).await;
}

/// Handles the messages that were taken already: what comes after them was
/// written later.
async fn the_others_are_left_out(client: &Client, worker: &mut Worker, taken: usize) {
    work(worker, vec![Duration::ZERO; taken]).await;
    assert_eq!(client.only_post(&lines("after", 1)).await, 200);
    let after = worker.next().await;
    assert_eq!(
        &*pushed(&after).event,
        "after",
        "the other lines are left out"
    );
    worker.done(&after).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_its_lines_is_not_taken_for_gone() {
    beside(async |nodes, mut worker| {
        let client = Client::open(nodes, &mut worker).await;
        let lines = lines("n", LINES);
        let worked = work(&mut worker, [WORK; LINES - TAKEN]);
        let (status, ()) = tokio::join!(client.only_post(&lines), worked);
        assert_eq!(status, 200);
        let polled = get(&client.reads, &client.token).await;
        assert_eq!(polled["token"], client.token);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_in_a_window_is_left_out_though_nobody_reads() {
    beside(async |nodes, mut worker| {
        let client = Client::open(nodes, &mut worker).await;
        assert_eq!(client.only_post(&lines("n", LINES)).await, 408);
        the_others_are_left_out(&client, &mut worker, TAKEN).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_line_has_a_window_of_its_own() {
    beside(async |[one, _], worker| {
        lines_take_longer_than_a_window([one.clone(), one], worker).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_line_has_a_window_of_its_own_on_another_node() {
    beside(lines_take_longer_than_a_window).await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_takes_longer_than_its_window_is_the_last() {
    beside(async |[one, _], worker| {
        a_line_takes_longer_than_its_window([one.clone(), one], worker).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_takes_longer_than_its_window_is_the_last_on_another_node() {
    beside(a_line_takes_longer_than_its_window).await;
}
