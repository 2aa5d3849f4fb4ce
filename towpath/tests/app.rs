//! An application in one process, on the layer in memory.
#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use towpath::config::{ApiListener, Config, Layer as LayerConfig, Listener, Secret};
use towpath::prelude::*;
use towpath::{Running, StartError};

/// The longest that anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[derive(Serialize, Deserialize)]
struct Said {
    by: u32,
    text: String,
}

/// Counts what consumers saw.
#[derive(Clone, Default)]
struct Seen(Arc<AtomicU32>);

async fn connect(Path(room): Path<String>, groups: Groups, socket: Socket) -> Result {
    groups.add(format!("room.{room}")).await?;
    socket.accept().await
}

async fn receive(
    Path(room): Path<String>,
    Text(text): Text,
    mut sent: Session<u32>,
    groups: Groups,
    State(seen): State<Seen>,
) -> Result {
    *sent += 1;
    seen.0.fetch_add(1, Ordering::Relaxed);
    let by = *sent;
    let text = text.to_string();
    groups
        .send_json(format!("room.{room}"), &Said { by, text })
        .await?;
    Ok(())
}

async fn disconnect(State(seen): State<Seen>) {
    seen.0.fetch_add(100, Ordering::Relaxed);
}

async fn loud(Payload((room, text)): Payload<(String, String)>, groups: Groups) -> Result {
    groups
        .send_text(format!("room.{room}"), text.to_uppercase())
        .await?;
    Ok(())
}

async fn to_jobs(Text(text): Text, State(layers): State<Layers>, socket: Socket) -> Result {
    let jobs = layers
        .get("jobs")
        .ok_or_else(|| Error::internal("no layer jobs"))?;
    jobs.send(
        &ChannelName::new("jobs.run")?,
        Content::encode(&*text)?.into(),
    )
    .await?;
    socket.text("sent").await
}

fn app() -> App {
    let rooms = websocket()
        .connect(connect)
        .receive(receive)
        .disconnect(disconnect);
    let api = Router::new().route_regex(r"^/v\d+/jobs$", websocket().receive(to_jobs));
    App::new()
        .route("/room/{room}", rooms)
        .nest("/api", api)
        .channel("room.loud", loud)
}

fn config() -> Config {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.shards = 2;
    config.operator.listen = Listener::Off;
    config
}

async fn start(app: App) -> (Running, SocketAddr) {
    let running = app.start(&config()).await.unwrap();
    let address = running.listening().unwrap().address;
    (running, address)
}

async fn client(address: SocketAddr, path: &str) -> Client {
    let connected = timeout(PATIENCE, connect_async(format!("ws://{address}{path}"))).await;
    connected.unwrap().unwrap().0
}

async fn hear(client: &mut Client) -> Message {
    timeout(PATIENCE, client.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

/// Waits for the close frame, answers it, and tells its code.
async fn closed(client: &mut Client) -> u16 {
    let Message::Close(Some(frame)) = hear(client).await else {
        panic!("not closed with a code");
    };
    // The answer goes out as the end of the stream is read.
    let ended = timeout(PATIENCE, client.next()).await.unwrap();
    assert!(!matches!(ended, Some(Ok(_))), "not the end: {ended:?}");
    frame.code.into()
}

#[tokio::test]
async fn two_clients_talk() {
    let seen = Seen::default();
    let (running, address) = start(app().state(seen.clone())).await;
    let mut ada = client(address, "/room/lock").await;
    let mut ben = client(address, "/room/lock").await;
    for number in 1..=3 {
        ada.send(Message::text("hi")).await.unwrap();
        let expected = Message::text(format!(r#"{{"by":{number},"text":"hi"}}"#));
        assert_eq!(hear(&mut ada).await, expected);
        assert_eq!(hear(&mut ben).await, expected);
    }

    let layer = Arc::clone(running.layers().default_layer());
    let loud = Content::encode(&("lock", "quiet")).unwrap();
    layer
        .send(&ChannelName::new("room.loud").unwrap(), loud.into())
        .await
        .unwrap();
    assert_eq!(hear(&mut ben).await, Message::text("QUIET"));

    assert_eq!(hear(&mut ada).await, Message::text("QUIET"));

    // Who leaves in a stop is still seen off by their consumer.
    let ((), ada, ben) = tokio::join!(running.stop(), closed(&mut ada), closed(&mut ben));
    assert_eq!((ada, ben), (1012, 1012));
    assert_eq!(seen.0.load(Ordering::Relaxed), 203);
    layer
        .send(&ChannelName::new("a").unwrap(), Content::default().into())
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_consumer_reaches_a_layer_by_its_name() {
    let mut config = config();
    config
        .layers
        .insert("jobs".to_owned(), LayerConfig::default());
    let running = app().state(Seen::default()).start(&config).await.unwrap();
    let mut client = client(running.listening().unwrap().address, "/api/v1/jobs").await;
    client.send(Message::text("clean")).await.unwrap();
    assert_eq!(hear(&mut client).await, Message::text("sent"));
    let jobs = running.layers().get("jobs").unwrap();
    let statistics = jobs.statistics().await.unwrap();
    assert_eq!(statistics.total.pending, 1);
    tokio::join!(running.stop(), closed(&mut client));
}

#[tokio::test]
async fn pages_are_served_beside_the_sockets() {
    let pages = axum::Router::new().route("/", get(|| async { "hello from axum" }));
    let (running, address) = start(app().state(Seen::default()).http(pages)).await;
    assert_eq!(
        page(address, "/").await,
        (200, "hello from axum".to_owned())
    );
    assert_eq!(page(address, "/nowhere").await.0, 404);
    assert_eq!(page(address, "/room/x").await.0, 426);
    running.stop().await;
}

#[tokio::test]
async fn a_page_broadcasts_and_a_task_hears_it() {
    async fn announce(axum::Extension(topics): axum::Extension<Topics>) -> String {
        let text = serde_json::json!({"text": "we close at ten"});
        let told = topics.broadcast("room:lobby", "news", &text).await;
        told.unwrap().delivered.to_string()
    }
    let pages = axum::Router::new().route("/announce", get(announce));
    let (running, address) = start(app().state(Seen::default()).http(pages)).await;
    let mut news = running.topics().subscribe("room:lobby").await.unwrap();
    assert_eq!(page(address, "/announce").await, (200, "1".to_owned()));
    let Some(Heard::Broadcast { event, payload, .. }) = news.next().await else {
        panic!("no broadcast came");
    };
    let text = payload.text().unwrap();
    assert_eq!(
        (&*event, &**text),
        ("news", r#"{"text":"we close at ten"}"#)
    );
    running.stop().await;
    // The layer is closed: nothing comes any more.
    while let Some(heard) = news.next().await {
        assert!(matches!(heard, Heard::Gap), "{heard:?}");
    }
}

#[tokio::test]
async fn sockets_are_mounted_in_axum() {
    let seen = Seen::default();
    let (sockets, running) = app()
        .state(seen.clone())
        .into_service(&config())
        .await
        .unwrap();
    assert_eq!(running.listening(), None);
    let router = axum::Router::new()
        .route("/", get(|| async { "hello from axum" }))
        .fallback_service(sockets);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = tokio_util::task::TaskTracker::new();
    let server = tasks.spawn(async move { axum::serve(listener, router).await });

    assert_eq!(
        page(address, "/").await,
        (200, "hello from axum".to_owned())
    );
    assert_eq!(page(address, "/nowhere").await.0, 404);
    let mut ada = client(address, "/room/lock").await;
    let mut ben = client(address, "/room/lock").await;
    ada.send(Message::text("hi")).await.unwrap();
    let expected = Message::text(r#"{"by":1,"text":"hi"}"#);
    assert_eq!(hear(&mut ada).await, expected);
    assert_eq!(hear(&mut ben).await, expected);

    let ((), ada, ben) = tokio::join!(running.stop(), closed(&mut ada), closed(&mut ben));
    assert_eq!((ada, ben), (1012, 1012));
    assert_eq!(seen.0.load(Ordering::Relaxed), 201);
    server.abort();
}

#[tokio::test]
async fn a_middleware_gives_the_first_session() {
    let (sockets, running) = app()
        .state(Seen::default())
        .into_service(&config())
        .await
        .unwrap();
    let first = towpath::FirstSession::of(&41_u32).unwrap();
    let router = axum::Router::new()
        .fallback_service(sockets)
        .layer(axum::Extension(first));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = tokio_util::task::TaskTracker::new();
    let server = tasks.spawn(async move { axum::serve(listener, router).await });

    let mut ada = client(address, "/room/lock").await;
    ada.send(Message::text("hi")).await.unwrap();
    let expected = Message::text(r#"{"by":42,"text":"hi"}"#);
    assert_eq!(hear(&mut ada).await, expected);
    tokio::join!(running.stop(), closed(&mut ada));
    server.abort();
}

#[tokio::test]
async fn a_path_without_a_route_is_refused() {
    let (running, address) = start(app().state(Seen::default())).await;
    let error = connect_async(format!("ws://{address}/nowhere"))
        .await
        .unwrap_err();
    match error {
        tungstenite::Error::Http(response) => assert_eq!(response.status(), 404),
        other => panic!("not refused: {other}"),
    }
    running.stop().await;
}

#[tokio::test]
async fn a_mistake_in_the_routes_is_found_at_start() {
    let error = app().start(&config()).await.unwrap_err();
    assert!(matches!(error, StartError::Routes(_)), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("no state of type Seen"), "{source}");
}

#[tokio::test]
async fn a_listener_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config();
    config.server.listen = taken.local_addr().unwrap();
    let error = app()
        .state(Seen::default())
        .start(&config)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} cannot be listened on", config.server.listen)
    );
}

#[tokio::test]
async fn an_operator_listener_is_served_where_it_was_asked_for() {
    let mut config = config();
    config.operator.listen = Listener::Address(SocketAddr::from(([127, 0, 0, 1], 0)));
    let running = app().state(Seen::default()).start(&config).await.unwrap();
    let operator = running.listening().unwrap().operator.unwrap();
    assert_eq!(page(operator, "/livez").await.0, 200);
    let (status, metrics) = page(operator, "/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("# HELP towpath_connections "), "{metrics}");
    running.stop().await;

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    config.operator.listen = Listener::Address(taken.local_addr().unwrap());
    let error = app()
        .state(Seen::default())
        .start(&config)
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("cannot be listened on"),
        "{error}"
    );
}

#[tokio::test]
async fn an_operator_listener_that_nobody_asked_for_gives_way() {
    // If this cannot be bound, another process has it, which is the same.
    let _taken = std::net::TcpListener::bind(Listener::AUTO);
    let mut config = config();
    config.operator.listen = Listener::Auto;
    let running = app().state(Seen::default()).start(&config).await.unwrap();
    assert_eq!(running.listening().unwrap().operator, None);
    running.stop().await;
}

/// Fetches a page: its status and text.
async fn page(address: SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut response))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[tokio::test]
async fn what_is_set_up_is_there_in_its_order() {
    async fn told(State(words): State<Vec<&'static str>>, socket: Socket) -> Result {
        socket.json(&*words).await
    }
    let app = App::new()
        .route("/words", websocket().receive(told))
        .setup(async |app| std::io::Result::Ok(app.state(vec!["first"])))
        .setup(async |app| {
            tokio::task::yield_now().await;
            std::io::Result::Ok(app.state(vec!["second"]))
        });
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.operator.listen = Listener::Off;
    let running = app.start(&config).await.unwrap();
    let address = running.listening().unwrap().address;
    let (mut client, _) = connect_async(format!("ws://{address}/words"))
        .await
        .unwrap();
    client.send(Message::text("?")).await.unwrap();
    let answer = client.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::text(r#"["second"]"#));
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_set_up_does_not_start() {
    let app = App::new().setup(async |_| Err("no database"));
    let error = app.start(&Config::default()).await.unwrap_err();
    let StartError::Setup(cause) = error else {
        panic!("{error}");
    };
    assert_eq!(cause.to_string(), "no database");
}

#[tokio::test]
async fn what_nobody_here_receives_does_not_hold_up_the_stop() {
    let (running, _) = start(app().state(Seen::default())).await;
    let layer = running.layers().default_layer();
    let nobody = ChannelName::new("nobody.receives").unwrap();
    let message = Content::encode(&1).unwrap().into();
    layer.send(&nobody, message).await.unwrap();
    // Less than the time that consumers have for what waits for them.
    timeout(PATIENCE, running.stop()).await.unwrap();
}

#[tokio::test]
async fn no_other_layer_is_exposed_than_the_one_that_was_named() {
    let mut config = config();
    config.api.listen = ApiListener::Address(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.api.tokens = vec![Secret::new("a-token-for-tests-only")];
    config.api.layer = "jobs".to_owned();
    let app = app().state(Seen::default());
    let error = app.start(&config).await.unwrap_err();
    let said = "api.layer is \"jobs\", which is none of the layers";
    assert_eq!(error.to_string(), said);
}
