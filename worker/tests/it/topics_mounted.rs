//! Sockets with topics: their handshakes, what is mounted, and who speaks to
//! topics from outside.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower::util::MapRequestLayer;
use towpath_layer_core::{Broadcast, Frame, GroupChange, GroupName, Handshake, TopicReply};
use towpath_worker::{
    Answer, ConnectInfo, Context, Error, Joined, Payload, Rate, RateLimit, Result, Router,
    SocketMount, SocketParams, States, Topic, TopicConsumer, TopicPayload, TopicRoutes,
    TopicSocket, TopicSpec, Topics, Vsn, Worker, WorkerConfig, topics, websocket,
};

use crate::recorder::Counts;
use crate::stage::{Peer, Stage, Turn};
use crate::topics::{UserSocket, answer, joined, refused, said, text};

/// A socket that keeps what it was told.
#[derive(Serialize, Deserialize)]
struct Telling {
    told: String,
}

impl TopicSocket for Telling {
    async fn connect(params: SocketParams, info: &ConnectInfo) -> Result<Self> {
        #[derive(Deserialize)]
        struct Params {
            tenant: String,
            age: u8,
        }
        info.identify("ada");
        let Params { tenant, age } = params.parse()?;
        let (device, token) = (info.header("x-device"), info.auth_token());
        let client = info.client();
        Ok(Self {
            told: format!(
                "{tenant} {age} {device:?} {token:?} {client:?} {}",
                info.path()
            ),
        })
    }
}

/// Tells what its socket was told, and which pattern took it.
#[derive(Serialize, Deserialize)]
struct Mirror<const N: u8>;

impl<const N: u8> TopicConsumer for Mirror<N> {
    type Socket = Telling;

    async fn join(_: TopicPayload, socket: &Telling, topic: &Topic) -> Result<Joined<Self>> {
        let identity = topic.context().identity();
        Ok(Joined::ok(Self).with(&(N, &socket.told, identity)))
    }

    async fn handle_in(&mut self, _: &str, _: TopicPayload, topic: &Topic) -> Result<Answer> {
        Ok(Answer::ok(&topic.context().identity()))
    }
}

/// A topic that anybody may join.
#[derive(Serialize, Deserialize)]
struct Open;

impl TopicConsumer for Open {
    type Socket = UserSocket;
    const INTERCEPT: &'static [&'static str] = &["secret"];

    async fn join(_: TopicPayload, _: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }

    async fn handle_in(&mut self, _: &str, payload: TopicPayload, _: &Topic) -> Result<Answer> {
        Ok(Answer::payload("ok", payload))
    }
}

#[derive(Serialize, Deserialize)]
struct Reserved;

impl TopicConsumer for Reserved {
    type Socket = UserSocket;
    const INTERCEPT: &'static [&'static str] = &["phx_reply"];

    async fn join(_: TopicPayload, _: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }
}

fn open() -> TopicRoutes<UserSocket> {
    topics().topic::<Open>("room:*")
}

fn told() -> Router {
    let mirrors = topics()
        .topic::<Mirror<1>>("a:b*")
        .topic::<Mirror<2>>("a:*");
    Router::new().socket("/{tenant}/socket", mirrors.auth_token(true))
}

fn handshake(query: &'static str) -> Handshake {
    Handshake {
        query_string: query.into(),
        ..Handshake::default()
    }
}

async fn connected(stage: &Stage, path: &str, query: &'static str) -> (Peer, Turn) {
    let mut root = stage.peer(path);
    let turn = root.connect_with(handshake(query)).await;
    (root, turn)
}

#[tokio::test(start_paused = true)]
async fn a_socket_knows_its_parameters_and_its_client_and_its_topics_know_it() {
    let stage = Stage::new(told()).await;
    let mut root = stage.peer("/acme/socket");
    let turn = root.connect_with(Handshake {
        headers: vec![
            ("x-device".into(), "phone".into()),
            ("x-phoenix-authtoken".into(), "secret".into()),
        ],
        client: Some(("10.0.0.7".into(), 4711)),
        // The path comes before the query, and the last of two counts.
        ..handshake("age=1&tenant=other&age=7&vsn=2.0.0&")
    });
    assert!(turn.await.done().accepted());
    let told = r#"acme 7 Some("phone") Some("secret") Some(("10.0.0.7", 4711)) /acme/socket"#;
    for (topic, taken_by) in [("a:bc", 1), ("a:c", 2)] {
        let mut peer = stage.topic("/acme/socket", topic);
        let turn = peer.join(&root, "{}").await.done();
        said(&turn, &[joined(&json!([taken_by, told, "ada"]))]);
        let turn = peer.push("who", "{}").await.done();
        said(&turn, &[answer("ok", &json!("ada"))]);
    }
    let mut other = stage.topic("/acme/socket", "b:1");
    let turn = other.join(&root, "{}").await.done();
    said(&turn, &[refused(&json!({"reason": "unmatched topic"}))]);
    root.disconnect(1000).await.done();
}

#[tokio::test(start_paused = true)]
async fn what_phoenix_names_of_a_handshake_has_a_method_each() {
    #[derive(Serialize, Deserialize)]
    struct Named;
    impl TopicSocket for Named {
        async fn connect(_: SocketParams, info: &ConnectInfo) -> Result<Self> {
            let fields = info.x_headers().chain(info.trace_context_headers());
            let fields = fields.chain(info.sec_websocket_headers());
            let names: Vec<&str> = fields.map(|(name, _)| name).collect();
            let (agent, transport) = (info.user_agent(), info.transport());
            let (uri, token) = (info.uri(), info.auth_token());
            let seen = format!("{uri} {names:?} {agent:?} {transport} {token:?}");
            Err(Error::deny(403, seen))
        }
    }
    #[derive(Serialize, Deserialize)]
    struct Nothing;
    impl TopicConsumer for Nothing {
        type Socket = Named;
        async fn join(_: TopicPayload, _: &Named, _: &Topic) -> Result<Joined<Self>> {
            Ok(Joined::ok(Self))
        }
    }
    let router = Router::new().socket("/socket", topics().topic::<Nothing>("*"));
    let stage = Stage::new(router).await;
    let field = |name: &str, value: &str| (name.into(), Bytes::from(value.to_owned()));
    let mut peer = stage.peer("/socket");
    let turn = peer.connect_with(Handshake {
        scheme: "wss".into(),
        headers: vec![
            field("host", "example.org:4000"),
            field("x-b", "1"),
            field("cookie", "a=b"),
            field("sec-websocket-version", "13"),
            field("tracestate", "c"),
            field("user-agent", "curl"),
            field("x-phoenix-authtoken", "secret"),
        ],
        ..handshake("a=%20b")
    });
    let (_, seen) = turn.await.done().denied().unwrap();
    assert_eq!(
        seen,
        "wss://example.org:4000/socket?a=%20b \
         [\"x-b\", \"x-phoenix-authtoken\", \"tracestate\", \"sec-websocket-version\"] \
         Some(\"curl\") websocket Some(\"secret\")"
    );
}

/// A socket that nobody gets, and what its clients are told.
#[derive(Serialize, Deserialize)]
struct Shut;

impl TopicSocket for Shut {
    async fn connect(_: SocketParams, info: &ConnectInfo) -> Result<Self> {
        Err(Error::deny(403, info.uri()))
    }
}

impl TopicConsumer for ShutRoom {
    type Socket = Shut;
    async fn join(_: TopicPayload, _: &Shut, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }
}

#[derive(Serialize, Deserialize)]
struct ShutRoom;

#[tokio::test(start_paused = true)]
async fn an_address_is_the_one_that_was_asked_for_whatever_its_path_holds() {
    let shut = topics().topic::<ShutRoom>("*");
    let stage = Stage::new(Router::new().socket("/{tenant}/socket", shut)).await;
    for (path, asked) in [
        ("/a?b/socket", "/a%3Fb/socket"),
        ("/a#b c/socket", "/a%23b%20c/socket"),
        ("/100%/socket", "/100%25/socket"),
        ("/caf\u{e9}/socket", "/caf%C3%A9/socket"),
        ("/a-._~!$&'()*+,;=:@b/socket", "/a-._~!$&'()*+,;=:@b/socket"),
    ] {
        let mut peer = stage.peer(path);
        let turn = peer.connect_with(Handshake {
            scheme: "ws".into(),
            headers: vec![("host".into(), "host".into())],
            ..handshake("x=%3F1")
        });
        let (_, uri) = turn.await.done().denied().unwrap();
        assert_eq!(uri, format!("ws://host{asked}?x=%3F1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_asks_the_application_for_its_values() {
    struct Door(&'static str);
    #[derive(Serialize, Deserialize)]
    struct Guarded;
    impl TopicSocket for Guarded {
        async fn connect(_: SocketParams, info: &ConnectInfo) -> Result<Self> {
            let door = info.state::<Door>()?;
            Err(Error::deny(403, door.0))
        }
    }
    #[derive(Serialize, Deserialize)]
    struct Nothing;
    impl TopicConsumer for Nothing {
        type Socket = Guarded;
        async fn join(_: TopicPayload, _: &Guarded, _: &Topic) -> Result<Joined<Self>> {
            Ok(Joined::ok(Self))
        }
    }
    let router = || Router::new().socket("/socket", topics().topic::<Nothing>("*"));
    let states = States::new().with(Door("the door is shut"));
    let stage = Stage::with(WorkerConfig::default(), router(), states).await;
    let (_, turn) = connected(&stage, "/socket", "").await;
    let shut = Some((403, "the door is shut".to_owned()));
    assert_eq!(turn.done().denied(), shut);
    let without = Stage::new(router()).await;
    let (_, turn) = connected(&without, "/socket", "").await;
    turn.failed();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_begins_with_a_session_is_that_socket() {
    let stage = Stage::new(Router::new().socket("/socket", open())).await;
    let mut root = stage.peer("/socket");
    let user = UserSocket {
        user: "eve".to_owned(),
    };
    root.session = towpath_layer_core::Content::encode(&user)
        .unwrap()
        .as_encoded()
        .clone();
    // Its consumer would not let it in.
    let turn = root.connect_with(handshake("user=mallory")).await.done();
    assert!(turn.accepted());
    let topics = Topics::new(stage.layer.clone());
    assert_eq!(topics.disconnect("user:eve").await.unwrap().delivered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_denied_as_any_connection() {
    let stage = Stage::new(told().socket("/socket", open())).await;
    let (root, turn) = connected(&stage, "/socket", "user=mallory").await;
    assert_eq!(turn.done().denied(), Some((403, "not you".to_owned())));
    assert!(root.session.is_empty());
    let (_, turn) = connected(&stage, "/acme/socket", "age=old").await;
    let (status, body) = turn.done().denied().unwrap();
    assert_eq!(
        (status, &*body),
        (400, "the parameters: invalid digit found in string")
    );
}

#[tokio::test(start_paused = true)]
async fn a_socket_with_an_id_is_in_its_group_before_it_is_accepted() {
    let stage = Stage::new(Router::new().socket("/socket", open())).await;
    let (root, turn) = connected(&stage, "/socket", "user=ada").await;
    assert_eq!(root.arrivals(), ["join", "reply"]);
    let group = GroupName::topic("user:ada");
    let meta = Bytes::new();
    assert_eq!(
        turn.done().completion.groups,
        [GroupChange::add(group, meta)]
    );
    let topics = Topics::new(stage.layer.clone());
    assert_eq!(topics.disconnect("user:ada").await.unwrap().delivered, 1);
    let disconnect = TopicReply::Broadcast(Broadcast {
        topic: "user:ada".into(),
        event: "disconnect".into(),
        payload: Frame::Text("{}".into()),
        except: None,
    });
    assert_eq!(root.reply().await.topic, [disconnect]);
    let (nobody, turn) = connected(&stage, "/socket", "").await;
    assert!(turn.done().accepted());
    assert_eq!(nobody.arrivals(), ["reply"]);
}

#[tokio::test(start_paused = true)]
async fn a_socket_ignores_events() {
    let stage = Stage::new(Router::new().socket("/socket", open())).await;
    let (mut root, _) = connected(&stage, "/socket", "user=ada").await;
    root.application("what", &()).await.done();
    root.disconnect(1000).await.done();
}

#[tokio::test(start_paused = true)]
async fn topics_are_spoken_to_from_anywhere() {
    async fn announce(Payload(line): Payload<String>, topics: Topics) -> Result {
        topics
            .broadcast("room:1", "news", &json!({ "line": line }))
            .await?;
        Ok(())
    }
    let router = Router::new()
        .socket("/socket", open())
        .channel("announce", announce);
    let stage = Stage::new(router).await;
    let (root, _) = connected(&stage, "/socket", "user=ada").await;
    let mut peer = stage.topic("/socket", "room:1");
    peer.join(&root, "{}").await.done();
    let heard = async |event: &str, payload: Frame, except| {
        let broadcast = TopicReply::Broadcast(Broadcast {
            topic: "room:1".into(),
            event: event.into(),
            payload,
            except,
        });
        assert_eq!(peer.reply().await.topic, [broadcast]);
    };
    stage.send("announce", "rain").await;
    heard("news", text(&json!({"line": "rain"})), None).await;
    let topics = Topics::new(stage.layer.clone());
    topics.broadcast_bytes("room:1", "raw", "r").await.unwrap();
    heard("raw", Frame::Bytes("r".into()), None).await;
    let empty = json!({});
    let from = topics.broadcast_from(&peer.channel, "room:1", "others", &empty);
    assert_eq!(from.await.unwrap().delivered, 1);
    heard("others", text(&json!({})), Some(peer.channel.clone())).await;
    let encoded = TopicPayload::encode(&json!({"n": 1})).unwrap();
    topics
        .broadcast_payload("room:1", "n", encoded.clone())
        .await
        .unwrap();
    heard("n", encoded.frame().clone(), None).await;
    let from = topics.broadcast_payload_from(&peer.channel, "room:1", "n", encoded.clone());
    assert_eq!(from.await.unwrap().delivered, 1);
    let except = || Some(peer.channel.clone());
    heard("n", encoded.frame().clone(), except()).await;
    assert_eq!(
        topics
            .broadcast("room:2", "n", &json!({}))
            .await
            .unwrap()
            .nodes,
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_local_broadcast_goes_to_the_topics_members_on_the_own_node() {
    let stage = Stage::new(Router::new().socket("/socket", open())).await;
    let (root, _) = connected(&stage, "/socket", "user=ada").await;
    let mut peer = stage.topic("/socket", "room:1");
    peer.join(&root, "{}").await.done();
    let topics = Topics::new(stage.layer.clone());
    let (one, encoded) = (
        json!({"n": 1}),
        TopicPayload::encode(&json!({"n": 1})).unwrap(),
    );
    let channel = &peer.channel;
    topics.local_broadcast("room:1", "a", &one).await.unwrap();
    topics
        .local_broadcast_payload("room:1", "b", TopicPayload::binary("r"))
        .await
        .unwrap();
    topics
        .local_broadcast_from(channel, "room:1", "c", &one)
        .await
        .unwrap();
    topics
        .local_broadcast_payload_from(channel, "room:1", "d", encoded)
        .await
        .unwrap();
    for (event, payload, except) in [
        ("a", text(&one), None),
        ("b", Frame::Bytes("r".into()), None),
        ("c", text(&one), Some(channel.clone())),
        ("d", text(&one), Some(channel.clone())),
    ] {
        let broadcast = TopicReply::Broadcast(Broadcast {
            topic: "room:1".into(),
            event: event.into(),
            payload,
            except,
        });
        assert_eq!(peer.reply().await.topic, [broadcast]);
    }
    let elsewhere = Topics::new(stage.layer.another_node());
    let local = elsewhere
        .local_broadcast("room:1", "a", &one)
        .await
        .unwrap();
    assert_eq!(local.delivered, 0, "nobody is connected to that node");
}

#[tokio::test(start_paused = true)]
async fn the_protocols_names_and_what_is_no_object_are_refused() {
    let stage = Stage::empty().await;
    let topics = Topics::new(stage.layer.clone());
    for (topic, event, payload, part) in [
        (
            "room:1",
            "phx_close",
            json!({}),
            "\"phx_close\" is the protocol's own",
        ),
        (
            "phoenix",
            "news",
            json!({}),
            "\"phoenix\" is the protocol's own",
        ),
        ("room:1", "news", json!([1]), "not [1]"),
        ("room:1", "news", json!("text"), "not \"text\""),
        ("room:1", "news", json!(null), "not null"),
    ] {
        let error = topics.broadcast(topic, event, &payload).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    topics
        .broadcast("room:1", "heartbeat", &json!({}))
        .await
        .unwrap();
}

#[test]
fn an_interface_server_gets_plain_data() {
    let inner = Router::new().socket("/ws/{tenant}", open().topic::<Open>("lobby").longpoll(true));
    let router = Router::new()
        .route("/plain", websocket())
        .socket(
            "/socket",
            open()
                .websocket(false)
                .longpoll(true)
                .longpoll_window(Duration::from_secs(1))
                .max_topics(3)
                .versions([Vsn::V2])
                .message_size_max(1000)
                .auth_token(true),
        )
        .nest("/api", inner);
    assert_eq!(router.paths(), ["^/plain$"]);
    let spec = |pattern: &str| TopicSpec {
        pattern: pattern.to_owned(),
        intercepts: vec!["secret".to_owned()],
    };
    let first = SocketMount {
        path: "^/socket$".to_owned(),
        topics: vec![spec("room:*")],
        websocket: false,
        longpoll: true,
        longpoll_window: Duration::from_secs(1),
        max_topics: 3,
        versions: vec![Vsn::V2],
        message_size_max: Some(1000),
        auth_token: true,
        subprotocols: Vec::new(),
        origins: Vec::new(),
        idle_timeout: None,
    };
    let nested = SocketMount {
        path: "^/api/ws/(?<tenant>[^/]+)$".to_owned(),
        topics: vec![spec("room:*"), spec("lobby")],
        websocket: true,
        longpoll: true,
        longpoll_window: Duration::from_secs(10),
        max_topics: 100,
        versions: vec![Vsn::V1, Vsn::V2],
        message_size_max: None,
        auth_token: false,
        subprotocols: Vec::new(),
        origins: Vec::new(),
        idle_timeout: None,
    };
    assert_eq!(router.mounts(), [first, nested]);
    let alone = Router::new().socket("/socket", open());
    let channels = alone.channels();
    let names: Vec<&str> = channels.iter().map(AsRef::as_ref).collect();
    assert_eq!(
        names,
        [
            "websocket.connect",
            "websocket.receive",
            "websocket.event",
            "websocket.disconnect"
        ]
    );
    router.check(&States::new()).unwrap();
}

#[test]
fn what_cannot_work_is_found_at_start() {
    let room = || open();
    for (router, part) in [
        (Router::new().socket("socket", room()), "begins with '/'"),
        (
            Router::new().socket("/s", topics::<UserSocket>()),
            "no topics",
        ),
        (
            Router::new().socket("/s", room().websocket(false)),
            "neither by websocket",
        ),
        (
            Router::new().socket("/s", room().topic::<Open>("a*b")),
            "/s a*b: '*' stands",
        ),
        (
            Router::new().socket("/s", room().topic::<Open>("")),
            "has a name",
        ),
        (
            Router::new().socket("/s", room().topic::<Open>("phoenix")),
            "protocol's own",
        ),
        (
            Router::new().socket("/s", room().topic::<Open>("room:1")),
            "takes all",
        ),
        (
            Router::new().socket("/s", room().topic::<Reserved>("x")),
            "\"phx_reply\"",
        ),
        (
            Router::new()
                .route("/{any}", websocket())
                .socket("/s", room()),
            "/s: the route \"/{any}\" before it takes its path",
        ),
        (
            Router::new().socket("/s", room()).socket("/s", room()),
            "/s: the route \"/s\" before it takes its path",
        ),
    ] {
        let errors = router.check(&States::new()).unwrap_err().to_string();
        assert!(errors.contains(part), "{errors}");
    }
    let router = Router::new()
        .socket("/s", room())
        .route("/{any}", websocket());
    router.check(&States::new()).unwrap();
}

#[test]
fn limits_of_nothing_and_names_that_nobody_sends_are_found_at_start() {
    for (mount, part) in [
        (open().max_topics(0), "max_topics is 0"),
        (open().idle_timeout(Duration::ZERO), "idle_timeout is 0"),
        (
            open().longpoll_window(Duration::ZERO),
            "longpoll_window is 0",
        ),
        (
            open().longpoll_window(Duration::from_secs(20)),
            "longpoll_window is 20s, expected less than 20 s",
        ),
        (open().message_size_max(0), "message_size_max is 0"),
        (open().versions([]), "versions is empty"),
        (open().subprotocols(["a", "b c"]), "the subprotocol \"b c\""),
        (open().origins(["//a.org", "b.org"]), "the origin \"b.org\""),
        (open().origins(["//a.org", "*"]), "the origin \"*\""),
    ] {
        let router = Router::new().socket("/s", mount);
        let errors = router.check(&States::new()).unwrap_err().to_string();
        assert!(errors.contains(part), "{errors}");
    }
    let pages = open().origins(["*"]).subprotocols(["a", "b.c"]);
    let pages = pages.longpoll_window(Duration::from_millis(19_999));
    let router = Router::new().socket("/s", pages.idle_timeout(Duration::from_secs(60)));
    router.check(&States::new()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_route_behind_a_socket_takes_the_other_paths() {
    let router = Router::new()
        .socket("/s", open())
        .route("/{any}", websocket());
    let stage = Stage::new(router).await;
    let (_, turn) = connected(&stage, "/s", "user=mallory").await;
    assert!(turn.done().denied().is_some());
    let (_, turn) = connected(&stage, "/other", "user=mallory").await;
    assert!(turn.done().accepted());
}

#[tokio::test(start_paused = true)]
async fn middleware_stands_around_sockets_and_topics() {
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&kinds);
    let note = MapRequestLayer::new(move |context: Context| {
        let topic = context.event().and_then(|event| event.topic.clone());
        notes.lock().push(format!("{} {topic:?}", context.kind()));
        context
    });
    let router = Router::new().socket("/socket", open().middleware(note));
    let stage = Stage::new(router).await;
    let (root, _) = connected(&stage, "/socket", "user=ada").await;
    let mut peer = stage.topic("/socket", "room:1");
    peer.join(&root, "{}").await.done();
    peer.push("echo", "{}").await.done();
    peer.out("secret", "{}").await.done();
    peer.left("left").await.done();
    let room = "Some(\"room:1\")";
    let of_room = ["join", "receive", "out", "disconnect"].map(|kind| format!("{kind} {room}"));
    assert_eq!(
        *kinds.lock(),
        [&["connect None".to_owned()][..], &of_room].concat()
    );
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_answers_a_topic_in_its_own_way() {
    let rate = Rate::every(Duration::from_hours(1));
    let limits = [
        (
            RateLimit::per_connection(rate, 1),
            vec![refusal(), TopicReply::Stop],
        ),
        (RateLimit::per_connection(rate, 1).answer(), vec![refusal()]),
        (RateLimit::per_connection(rate, 1).discard(), vec![]),
    ];
    for (limit, told) in limits {
        let router = Router::new().socket("/socket", open()).middleware(limit);
        let stage = Stage::new(router).await;
        let (root, _) = connected(&stage, "/socket", "user=ada").await;
        for topic in ["room:1", "room:2"] {
            let mut peer = stage.topic("/socket", topic);
            peer.join(&root, "{}").await.done();
            // What goes to the client is not counted.
            peer.out("secret", "{}").await.done();
            said(
                &peer.push("echo", "{}").await.done(),
                &[answer("ok", &json!({}))],
            );
            said(&peer.push("echo", "{}").await.done(), &told);
        }
    }
}

fn refusal() -> TopicReply {
    answer("error", &json!({"reason": "too many messages"}))
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_is_away_loses_the_event_and_keeps_the_topic() {
    #[derive(Serialize, Deserialize)]
    struct Away;
    impl TopicConsumer for Away {
        type Socket = UserSocket;
        async fn join(_: TopicPayload, _: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
            match topic.subtopic() {
                "retry" => Err(Error::retry()),
                _ => Err(towpath_layer_core::SendError::Unavailable(
                    towpath_layer_core::Unavailable {
                        backend: "redis",
                        outcome_unknown: false,
                        source: "gone".into(),
                    },
                )
                .into()),
            }
        }
    }
    use towpath_layer_core::Outcome;
    let router = Router::new().socket("/socket", topics().topic::<Away>("*"));
    let stage = Stage::with(WorkerConfig::default(), router, States::new()).await;
    let (root, _) = connected(&stage, "/socket", "user=ada").await;
    for (topic, outcome) in [("a:retry", Outcome::Retry), ("a:lost", Outcome::Lost)] {
        let turn = stage.topic("/socket", topic).join(&root, "{}").await;
        said(&turn, &[]);
        assert_eq!(turn.completion.outcome, outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_counted_under_its_socket_and_pattern() {
    let counts = Counts::default();
    let router = Router::new().socket("/socket", open());
    let mut stage = Stage::empty().await;
    let worker = metrics::with_local_recorder(&counts, || {
        let layer = stage.layer.another_node();
        Worker::new(WorkerConfig::default(), &router, layer, States::new()).unwrap()
    });
    stage.add(worker);
    let (root, _) = connected(&stage, "/socket", "user=ada").await;
    let mut peer = stage.topic("/socket", "room:1");
    peer.join(&root, "{}").await.done();
    peer.out("secret", "7").await.failed();
    stage.topic("/socket", "lobby").join(&root, "{}").await;
    assert_eq!(counts.consumed("/socket", "done"), 1);
    assert_eq!(counts.consumed("/socket room:*", "done"), 1);
    assert_eq!(counts.consumed("/socket room:*", "failed"), 1);
    assert_eq!(counts.consumed("unrouted", "unrouted"), 1);
}

#[cfg(feature = "tokens")]
#[tokio::test(start_paused = true)]
async fn who_authenticated_the_socket_is_known_to_its_topics() {
    use towpath_worker::{Auth, AuthLayer, Authenticator, Keys};

    #[derive(Clone, Serialize, Deserialize)]
    struct User {
        sub: String,
    }
    #[derive(Serialize, Deserialize)]
    struct Private;
    impl TopicConsumer for Private {
        type Socket = UserSocket;
        async fn join(_: TopicPayload, _: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
            let user: Auth<User> = topic.extract().await?;
            Ok(Joined::ok(Self).with(&user.sub))
        }
    }
    let keys = || Keys::hs256([7; 32]).unwrap();
    let sub = "ada".to_owned();
    let token = keys().sign(&User { sub }, Duration::from_hours(1)).unwrap();
    let states = States::new().with(Authenticator::<User>::new(keys()));
    let private = || topics::<UserSocket>().topic::<Private>("*");
    let router = Router::new()
        .socket("/open", private())
        .socket("/socket", private().middleware(AuthLayer::<User>::new()));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let (_, turn) = connected(&stage, "/socket", "").await;
    assert_eq!(turn.done().denied().unwrap().0, 401);
    let mut root = stage.peer("/socket");
    let turn = root.connect_with(Handshake {
        query_string: format!("token={token}").into(),
        ..Handshake::default()
    });
    assert!(turn.await.done().accepted());
    let turn = stage.topic("/socket", "room:1").join(&root, "{}").await;
    said(&turn.done(), &[joined(&json!("ada"))]);
    let (stranger, _) = connected(&stage, "/open", "").await;
    let turn = stage.topic("/open", "room:1").join(&stranger, "{}").await;
    said(
        &turn.done(),
        &[refused(&json!({"reason": "a token is required"}))],
    );
}
