//! Layers around consumers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::{Layer, Service, ServiceBuilder};
use towpath_layer_core::Outcome;
use towpath_worker::{
    ConsumerService, Context, Demultiplexer, Error, Methods, Payload, PlaceKind, Result, Router,
    Session, Socket, State, States, Text, This, Websocket, WorkerConfig, demultiplexer, websocket,
};

use crate::stage::{Stage, receive};
use crate::streams::{count, frame};

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what passes, and how it ends; turns away whom it is told to.
#[derive(Clone)]
struct Watch {
    name: &'static str,
    log: Log,
    refuses: Option<PlaceKind>,
}

#[derive(Clone)]
struct Watched {
    watch: Watch,
    inner: ConsumerService,
}

impl Layer<ConsumerService> for Watch {
    type Service = Watched;

    fn layer(&self, inner: ConsumerService) -> Watched {
        let watch = self.clone();
        Watched { watch, inner }
    }
}

impl Service<Context> for Watched {
    type Response = ();
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result> + Send>>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, context: Context) -> Self::Future {
        let Watch { name, log, refuses } = self.watch.clone();
        let kind = context.kind();
        log.lock().push(format!("{name} {kind}"));
        if refuses == Some(kind) {
            return Box::pin(async move { Err(Error::rejected(format!("{name} says no"))) });
        }
        let called = self.inner.call(context);
        Box::pin(async move {
            let ended = called.await;
            let how = if ended.is_ok() { "done" } else { "failed" };
            log.lock().push(format!("{name} {how}"));
            ended
        })
    }
}

fn watch(log: &Log, name: &'static str) -> Watch {
    let log = Arc::clone(log);
    Watch {
        name,
        log,
        refuses: None,
    }
}

fn taken(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock())
}

fn echo() -> Websocket {
    websocket().receive(async |Text(text): Text, socket: Socket| socket.text(text).await)
}

#[tokio::test(start_paused = true)]
async fn the_layer_that_was_added_last_is_the_outermost() {
    let log = Log::default();
    let router = Router::new()
        .route("/x", echo().middleware(watch(&log, "route")))
        .middleware(watch(&log, "router"))
        .route("/bare", echo());
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    // A connect event passes also where no consumer was given for it.
    assert!(peer.connect().await.done().accepted());
    let expected = [
        "router connect",
        "route connect",
        "route done",
        "router done",
    ];
    assert_eq!(taken(&log), expected);
    assert_eq!(peer.text("hi").await.done().text(), "hi");
    let expected = [
        "router receive",
        "route receive",
        "route done",
        "router done",
    ];
    assert_eq!(taken(&log), expected);
    peer.bytes(b"x").await.done();
    let expected = [
        "router receive",
        "route receive",
        "route failed",
        "router failed",
    ];
    assert_eq!(taken(&log), expected);
    // Without a consumer there is nothing to stand around.
    peer.disconnect(1000).await.done();
    stage.peer("/bare").connect().await.done();
    assert!(taken(&log).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_refuses_ends_it() {
    let log = Log::default();
    let refuses = |kind| Watch {
        refuses: Some(kind),
        ..watch(&log, "guard")
    };
    let inner = || echo().middleware(watch(&log, "inner"));
    let router = Router::new()
        .route("/door", inner().middleware(refuses(PlaceKind::Connect)))
        .route("/desk", inner().middleware(refuses(PlaceKind::Receive)));
    let stage = Stage::new(router).await;
    let turn = stage.peer("/door").connect().await.done();
    assert_eq!(turn.denied(), Some((403, "guard says no".to_owned())));
    let mut peer = stage.peer("/desk");
    peer.connect().await.done();
    taken(&log);
    let turn = peer.text("hi").await.done();
    assert_eq!(turn.closed(), Some((1008, "guard says no".to_owned())));
    assert_eq!(taken(&log), ["guard receive"]);
}

#[tokio::test(start_paused = true)]
async fn a_layer_stands_around_channels_methods_and_streams() {
    struct Jobs;
    impl towpath_worker::Consumer for Jobs {
        fn methods(&self, methods: Methods<Self>) -> Methods<Self> {
            methods.on("jobs.run", Self::run)
        }
    }
    impl Jobs {
        async fn run(_this: This<Self>, Payload(()): Payload<()>, ran: State<Notify>) {
            ran.notify_one();
        }
    }
    let log = Log::default();
    let streams: Demultiplexer = demultiplexer()
        .stream(
            "a",
            websocket().receive(count).middleware(watch(&log, "stream")),
        )
        .stream("b", websocket().receive(count));
    let router = Router::new()
        .route("/x", streams)
        .consumer(Jobs)
        .middleware(watch(&log, "router"));
    let states = States::new().with(Notify::new());
    let ran = states.get::<Notify>().unwrap();
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    stage.send("jobs.run", &()).await;
    ran.notified().await;
    assert_eq!(taken(&log), ["router channel", "router done"]);
    let mut peer = stage.peer("/x");
    peer.text(&frame("a", "1")).await.done();
    let expected = [
        "router receive",
        "stream receive",
        "stream done",
        "router done",
    ];
    assert_eq!(taken(&log), expected);
    // That a stream's consumer failed is not the route's failure.
    let turn = peer.text(&frame("a", "{}")).await.done();
    assert!(turn.text().contains("bad_payload"));
    let expected = [
        "router receive",
        "stream receive",
        "stream failed",
        "router done",
    ];
    assert_eq!(taken(&log), expected);
    peer.text(&frame("b", "1")).await.done();
    assert_eq!(taken(&log), ["router receive", "router done"]);
}

#[tokio::test(start_paused = true)]
async fn towers_own_layers_stand_around_consumers() {
    async fn wait(Text(text): Text, socket: Socket) -> Result {
        match &*text {
            "long" => std::future::pending().await,
            "reject" => Err(Error::rejected("not you")),
            "retry" => Err(Error::retry()),
            _ => socket.text("done").await,
        }
    }
    let stack = ServiceBuilder::new()
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .concurrency_limit(3);
    let router = Router::new().route("/x", websocket().receive(wait).middleware(stack));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    let began = tokio::time::Instant::now();
    peer.text("long").await.failed();
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(peer.text("short").await.done().text(), "done");
    // What kind of error it was is not lost on the way.
    let turn = peer.text("reject").await.done();
    assert_eq!(turn.closed(), Some((1008, "not you".to_owned())));
    let turn = peer.text("retry").await;
    assert_eq!(turn.completion.outcome, Outcome::Retry);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_is_not_ready_makes_events_wait() {
    async fn wait(Text(text): Text, door: State<Notify>, socket: Socket) -> Result {
        if text == "wait" {
            door.notified().await;
        }
        socket.text(text).await
    }
    let one_at_once = ConcurrencyLimitLayer::new(1);
    let states = States::new().with(Notify::new());
    let door = states.get::<Notify>().unwrap();
    let router = Router::new().route("/x", websocket().receive(wait).middleware(one_at_once));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let (mut first, mut second) = (stage.peer("/x"), stage.peer("/x"));
    first.emit(receive("wait")).await;
    // It says that it is held, so it holds the only place.
    assert!(first.reply().await.taken.is_some());
    second.emit(receive("go")).await;
    assert!(second.reply().await.taken.is_some());
    door.notify_one();
    assert_eq!(first.turn().await.done().text(), "wait");
    assert_eq!(second.turn().await.done().text(), "go");
}

#[derive(Default, Serialize, Deserialize)]
struct Seen(u32);

#[tokio::test(start_paused = true)]
async fn middleware_and_consumer_share_the_session() {
    async fn tell(mut seen: Session<Seen>, socket: Socket) -> Result {
        seen.0 += 1;
        socket.json(&seen.0).await
    }
    let adds_ten = || {
        tower::layer::layer_fn(|inner: ConsumerService| {
            tower::service_fn(move |context: Context| {
                let mut inner = inner.clone();
                async move {
                    let mut seen: Session<Seen> = context.extract().await?;
                    seen.0 += 10;
                    drop(seen);
                    inner.call(context).await
                }
            })
        })
    };
    let streams = demultiplexer().stream("s", websocket().receive(tell).middleware(adds_ten()));
    let router = Router::new()
        .route("/x", websocket().receive(tell).middleware(adds_ten()))
        .route("/streams", streams);
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    let mut streams = stage.peer("/streams");
    for expected in ["11", "22"] {
        assert_eq!(peer.text("").await.done().text(), expected);
        let turn = streams.text(&frame("s", "0")).await.done();
        assert_eq!(turn.texts(), [frame("s", expected)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_beside_the_session_travels_and_counts_to_its_size() {
    use tower::util::MapRequestLayer;

    async fn keep(
        Text(text): Text,
        context: Context,
        mut last: Session<String>,
        socket: Socket,
    ) -> Result {
        last.clone_from(&text.to_string());
        if let Ok(size) = text.parse::<usize>() {
            context.keep_slot("large", vec![0; size].into());
        }
        let seen = context.slot("seen").len();
        socket.json(&(seen, context.slot("large").len())).await
    }
    let counted = MapRequestLayer::new(|context: Context| {
        let mut seen = context.slot("seen").to_vec();
        seen.push(0);
        context.keep_slot("seen", seen.into());
        context
    });
    let router = Router::new().route("/x", websocket().receive(keep).middleware(counted));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    assert!(peer.connect().await.done().accepted());
    assert_eq!(peer.text("a").await.done().text(), "[2,0]");
    assert_eq!(peer.text("16000").await.done().text(), "[3,16000]");
    let before = peer.session.clone();
    let turn = peer.text("16384").await.failed();
    // It was said before it was known that it could not be kept.
    assert_eq!(turn.text(), "[4,16384]");
    assert_eq!(peer.session, before);
    // An empty state takes no room.
    peer.text("0").await.done();
    assert!(peer.session.len() < 100);
    assert_eq!(peer.text("b").await.done().text(), "[5,0]");
}
