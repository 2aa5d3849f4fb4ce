//! Who a connection belongs to, by signed tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::advance;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{Deny, Handshake};
use towpath_worker::{
    Algorithm, Auth, AuthLayer, Authenticator, Context, Key, Keys, Result, Router, Socket, State,
    States, Text, TokenError, Websocket, WebsocketConsumer, Worker, WorkerConfig, demultiplexer,
    websocket,
};

use crate::stage::{Peer, Stage, Turn};

const HOUR: Duration = Duration::from_hours(1);
const LEEWAY: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    sub: String,
    #[serde(default)]
    admin: bool,
}

fn user(sub: &str) -> User {
    User {
        sub: sub.to_owned(),
        admin: false,
    }
}

fn keys() -> Keys {
    Keys::hs256([7; 32]).unwrap()
}

fn token(sub: &str) -> String {
    keys().sign(&user(sub), HOUR).unwrap()
}

fn authenticator() -> Authenticator<User> {
    Authenticator::new(keys())
}

/// Says who somebody is; takes a new token from whoever sends one.
fn whoami() -> Websocket {
    async fn connect(_: Auth<User>) {}
    async fn receive(mut user: Auth<User>, Text(text): Text, socket: Socket) -> Result {
        if let Some(token) = text.strip_prefix("refresh ") {
            user.refresh(token)?;
        }
        let left = user.expires_in().as_secs().div_ceil(60);
        socket.text(format!("{}, {left} min", user.sub)).await
    }
    websocket()
        .connect(connect)
        .receive(receive)
        .on("who", async |user: Auth<User>, socket: Socket| {
            socket.text(user.sub.clone()).await
        })
        .disconnect(async |_: Auth<User>| {})
}

async fn stage_of(consumers: impl Into<Websocket>, authenticator: Authenticator<User>) -> Stage {
    let router = Router::new().route("/", consumers);
    let states = States::new().with(authenticator);
    Stage::with(WorkerConfig::default(), router, states).await
}

/// Lets the worker end, and another one go on.
async fn replace_worker(stage: &mut Stage, consumers: Websocket) {
    stage.shutdown.cancel();
    stage.ended().await.unwrap();
    stage.shutdown = CancellationToken::new();
    let states = States::new().with(authenticator());
    let layer = stage.layer.another_node();
    let router = Router::new().route("/", consumers);
    stage.add(Worker::new(WorkerConfig::default(), &router, layer, states).unwrap());
}

fn bearer(token: &str) -> Handshake {
    Handshake {
        headers: vec![("authorization".into(), format!("Bearer {token}").into())],
        ..Handshake::default()
    }
}

async fn connect(stage: &Stage, handshake: Handshake) -> (Peer, Turn) {
    let mut peer = stage.peer("/");
    let turn = peer.connect_with(handshake).await.done();
    (peer, turn)
}

fn deny(turn: &Turn) -> (&Deny, &str) {
    let deny = turn.replies.iter().find_map(|reply| reply.deny.as_ref());
    let deny = deny.unwrap();
    let mut headers = deny.headers.iter();
    let challenge = headers.find(|(name, _)| *name == "www-authenticate");
    let challenge = challenge.unwrap();
    (deny, std::str::from_utf8(&challenge.1).unwrap())
}

fn closed(code: u16, reason: &str) -> Option<(u16, String)> {
    Some((code, reason.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn claims_travel_to_another_worker() {
    let mut stage = stage_of(whoami(), authenticator()).await;
    let (mut peer, turn) = connect(&stage, bearer(&token("ada"))).await;
    assert!(turn.accepted());
    replace_worker(&mut stage, whoami()).await;
    assert_eq!(peer.text("?").await.done().text(), "ada, 60 min");
    assert_eq!(peer.application("who", &()).await.done().text(), "ada");
    replace_worker(&mut stage, whoami()).await;
    assert_eq!(peer.text("?").await.done().text(), "ada, 60 min");
    assert_eq!(peer.disconnect(1000).await.done().closed(), None);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_there_is_401_and_a_challenge() {
    let stage = stage_of(whoami(), authenticator()).await;
    let (_, turn) = connect(&stage, Handshake::default()).await;
    let (deny, challenge) = deny(&turn);
    assert_eq!((deny.status, challenge), (401, "Bearer"));
    assert_eq!(
        deny.body,
        r#"{"error":"missing_token","reason":"a token is required"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_token_is_401_with_the_reason() {
    let stage = stage_of(whoami(), authenticator()).await;
    let expired = token("ada");
    advance(HOUR + LEEWAY).await;
    let wrong_key = Keys::hs256([8; 32])
        .unwrap()
        .sign(&user("ada"), HOUR)
        .unwrap();
    let named = Key::secret(Algorithm::Hs256, [7; 32]).unwrap().id("new");
    let rotated = Keys::new([named])
        .unwrap()
        .sign(&user("ada"), HOUR)
        .unwrap();
    let no_user = keys().sign(&serde_json::json!({"admin": true}), HOUR);
    for (token, reason) in [
        (expired, "token expired"),
        (wrong_key, "the token's signature does not fit"),
        (no_user.unwrap(), "the token's claims do not fit at ."),
        ("none".to_owned(), "the token is malformed"),
    ] {
        let (_, turn) = connect(&stage, bearer(&token)).await;
        let (deny, challenge) = deny(&turn);
        assert_eq!(
            (deny.status, challenge),
            (401, "Bearer error=\"invalid_token\"")
        );
        let body: serde_json::Value = serde_json::from_slice(&deny.body).unwrap();
        assert_eq!(
            (&body["error"], &body["reason"]),
            (&"invalid_token".into(), &reason.into())
        );
    }
    // The only key has no id, and verifies whatever it has signed.
    assert!(connect(&stage, bearer(&rotated)).await.1.accepted());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_permitted_gets_403() {
    let admins = authenticator().authorize(|user| user.admin);
    let stage = stage_of(whoami(), admins).await;
    let (_, turn) = connect(&stage, bearer(&token("ada"))).await;
    let (deny, challenge) = deny(&turn);
    assert_eq!(
        (deny.status, challenge),
        (403, "Bearer error=\"insufficient_scope\"")
    );
}

#[tokio::test(start_paused = true)]
async fn on_request_a_page_sees_why_by_a_close_code() {
    let admins = authenticator()
        .authorize(|user| user.admin)
        .accept_and_close();
    let stage = stage_of(whoami(), admins).await;
    for (handshake, code, reason) in [
        (Handshake::default(), 4401, "a token is required"),
        (bearer("x"), 4401, "the token is malformed"),
        (bearer(&token("ada")), 4403, "not permitted"),
    ] {
        let (mut peer, turn) = connect(&stage, handshake).await;
        assert!(turn.accepted() && turn.denied().is_none());
        assert_eq!(turn.closed(), closed(code, reason));
        peer.disconnect(code).await.done();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_closes_the_connection_at_its_next_event() {
    let stage = stage_of(whoami(), authenticator()).await;
    let (mut peer, _) = connect(&stage, bearer(&token("ada"))).await;
    advance(HOUR).await;
    assert_eq!(peer.text("?").await.done().text(), "ada, 0 min");
    advance(LEEWAY).await;
    assert_eq!(
        peer.text("?").await.done().closed(),
        closed(4401, "token expired")
    );
    let told = peer.application("who", &()).await.done();
    assert_eq!(told.closed(), closed(4401, "token expired"));
    assert_eq!(peer.disconnect(4401).await.done().closed(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_token_lives_on_in_another_worker() {
    let mut stage = stage_of(whoami(), authenticator()).await;
    let (mut peer, _) = connect(&stage, bearer(&token("ada"))).await;
    advance(HOUR / 2).await;
    let fresh = format!("refresh {}", token("ada"));
    assert_eq!(peer.text(&fresh).await.done().text(), "ada, 60 min");
    replace_worker(&mut stage, whoami()).await;
    advance(HOUR / 2 + LEEWAY).await;
    assert_eq!(peer.text("?").await.done().text(), "ada, 30 min");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_for_the_same_subject_and_leaves_the_token_if_it_fails() {
    async fn connect_(_: Auth<User>) {}
    async fn receive(mut user: Auth<User>, Text(text): Text, socket: Socket) -> Result {
        let error = user.refresh(&text).unwrap_err();
        let cause = error.downcast_ref::<TokenError>().unwrap();
        socket.text(format!("{}: {}", user.sub, cause.code())).await
    }
    let consumers = websocket().connect(connect_).receive(receive);
    let stage = stage_of(consumers, authenticator()).await;
    let (mut peer, _) = connect(&stage, bearer(&token("ada"))).await;
    assert_eq!(
        peer.text(&token("ben")).await.done().text(),
        "ada: other_subject"
    );
    assert_eq!(peer.text("x").await.done().text(), "ada: malformed");
    let stage = stage_of(whoami(), authenticator()).await;
    let (mut peer, _) = connect(&stage, bearer(&token("ada"))).await;
    let refused = peer.text(&format!("refresh {}", token("ben"))).await.done();
    assert_eq!(
        refused.closed(),
        closed(4401, "the token is for another subject")
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_is_optional_where_the_consumer_says_so() {
    async fn connect_(user: Option<Auth<User>>, socket: Socket) -> Result {
        let name = user.map_or_else(|| "nobody".to_owned(), |user| user.sub.clone());
        socket.text(name).await
    }
    async fn receive(user: Option<Auth<User>>, socket: Socket) -> Result {
        let name = user.map_or_else(|| "nobody".to_owned(), |user| user.sub.clone());
        socket.text(format!("still {name}")).await
    }
    let consumers = websocket().connect(connect_).receive(receive);
    let stage = stage_of(consumers, authenticator()).await;
    let (mut peer, turn) = connect(&stage, Handshake::default()).await;
    assert_eq!(turn.text(), "nobody");
    assert_eq!(peer.text("?").await.done().text(), "still nobody");
    let (mut peer, turn) = connect(&stage, bearer(&token("ada"))).await;
    assert_eq!(turn.text(), "ada");
    assert_eq!(peer.text("?").await.done().text(), "still ada");
    let (_, turn) = connect(&stage, bearer("x")).await;
    assert_eq!(turn.denied().unwrap().0, 401);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_token_is_closed_where_one_is_needed_later() {
    async fn connect_(_: Option<Auth<User>>) {}
    let consumers = websocket()
        .connect(connect_)
        .receive(async |_: Auth<User>| {});
    let stage = stage_of(consumers, authenticator()).await;
    let (mut peer, _) = connect(&stage, Handshake::default()).await;
    let turn = peer.text("?").await.done();
    assert_eq!(turn.closed(), closed(4401, "a token is required"));
}

#[tokio::test(start_paused = true)]
async fn a_token_can_come_in_the_first_message() {
    async fn receive(
        user: Option<Auth<User>>,
        Text(text): Text,
        State(authenticator): State<Authenticator<User>>,
        context: Context,
        socket: Socket,
    ) -> Result {
        let user = match user {
            Some(user) => user,
            None => authenticator.admit(&context, &text)?,
        };
        socket.text(user.sub.clone()).await
    }
    let consumers = websocket().receive(receive);
    let stage = stage_of(consumers, authenticator()).await;
    let (mut peer, _) = connect(&stage, Handshake::default()).await;
    assert_eq!(peer.text(&token("ada")).await.done().text(), "ada");
    assert_eq!(peer.text("hello").await.done().text(), "ada");
}

#[tokio::test(start_paused = true)]
async fn permission_is_asked_for_at_every_event() {
    let open = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&open);
    let authenticator = authenticator().authorize(move |_| asked.load(Ordering::Relaxed));
    let stage = stage_of(whoami(), authenticator).await;
    let (mut peer, _) = connect(&stage, bearer(&token("ada"))).await;
    peer.text("?").await.done();
    open.store(false, Ordering::Relaxed);
    assert_eq!(
        peer.text("?").await.done().closed(),
        closed(4403, "not permitted")
    );
}

#[tokio::test(start_paused = true)]
async fn claims_verified_for_one_type_are_not_those_of_another() {
    #[derive(Deserialize)]
    struct Admin {}
    let states = States::new()
        .with(authenticator())
        .with(Authenticator::<Admin>::new(keys()).authorize(|_| false));
    async fn connect_(_: Auth<User>) {}
    let consumers = websocket()
        .connect(connect_)
        .receive(async |_: Auth<Admin>| {});
    let router = Router::new().route("/", consumers);
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let (mut peer, _) = connect(&stage, bearer(&token("ada"))).await;
    assert_eq!(
        peer.text("?").await.done().closed(),
        closed(4401, "a token is required")
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_among_the_subprotocols_chooses_the_subprotocol_bearer() {
    let offer = |token: &str| Handshake {
        subprotocols: vec!["bearer".into(), token.into()],
        ..Handshake::default()
    };
    let chosen = |turn: &Turn| {
        let accept = turn.replies.iter().find_map(|reply| reply.accept.clone());
        accept.unwrap().subprotocol
    };
    let stage = stage_of(whoami(), authenticator()).await;
    let (_, turn) = connect(&stage, offer(&token("ada"))).await;
    assert_eq!(chosen(&turn).as_deref(), Some("bearer"));
    // Whatever accepts: a word to the socket, a type, or a close.
    async fn greet(_: Auth<User>, socket: Socket) -> Result {
        socket.text("hi").await
    }
    let stage = stage_of(websocket().connect(greet), authenticator()).await;
    let (_, turn) = connect(&stage, offer(&token("ada"))).await;
    assert_eq!(
        (chosen(&turn).as_deref(), turn.text()),
        (Some("bearer"), "hi")
    );
    let stage = stage_of(Lobby::websocket(), authenticator()).await;
    let (_, turn) = connect(&stage, offer(&token("ada"))).await;
    assert_eq!(
        (chosen(&turn).as_deref(), turn.text()),
        (Some("bearer"), "hi, ada")
    );
    let stage = stage_of(whoami(), authenticator().accept_and_close()).await;
    let (_, turn) = connect(&stage, offer("x")).await;
    assert_eq!(chosen(&turn).as_deref(), Some("bearer"));
    assert_eq!(turn.closed().unwrap().0, 4401);
}

#[derive(Serialize, Deserialize)]
struct Lobby {
    name: String,
}

impl WebsocketConsumer for Lobby {
    async fn connect(socket: &Socket) -> Result<Self> {
        let user: Auth<User> = socket.extract().await?;
        socket.text(format!("hi, {}", user.sub)).await?;
        let name = user.sub.clone();
        Ok(Self { name })
    }

    async fn receive_text(&mut self, _: &str, socket: &Socket) -> Result {
        let user: Auth<User> = socket.extract().await?;
        socket.text(format!("{} is {}", self.name, user.sub)).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_asks_who_it_is_called_for() {
    let stage = stage_of(Lobby::websocket(), authenticator()).await;
    let (_, turn) = connect(&stage, Handshake::default()).await;
    assert_eq!(turn.denied().unwrap().0, 401);
    let (mut peer, _) = connect(&stage, bearer(&token("ada"))).await;
    assert_eq!(peer.text("?").await.done().text(), "ada is ada");
    advance(HOUR + LEEWAY).await;
    assert_eq!(
        peer.text("?").await.done().closed(),
        closed(4401, "token expired")
    );
}

fn guarded() -> Websocket {
    async fn whose(context: Context, socket: Socket) -> Result {
        socket.text(context.identity().unwrap_or_default()).await
    }
    websocket()
        .receive(whose)
        .disconnect(async |socket: Socket| socket.text("gone").await)
}

#[tokio::test(start_paused = true)]
async fn the_layer_guards_consumers_that_do_not_ask() {
    let consumers = guarded().middleware(AuthLayer::<User>::new());
    let stage = stage_of(consumers, authenticator()).await;
    let (mut peer, turn) = connect(&stage, Handshake::default()).await;
    assert_eq!(turn.denied().unwrap().0, 401);
    // Nobody is told of the end of what never began.
    assert!(peer.disconnect(1006).await.done().texts().is_empty());
    let (mut peer, turn) = connect(&stage, bearer(&token("ada"))).await;
    assert!(turn.accepted());
    assert_eq!(peer.text("?").await.done().text(), "ada");
    advance(HOUR + LEEWAY).await;
    assert_eq!(
        peer.text("?").await.done().closed(),
        closed(4401, "token expired")
    );
    assert_eq!(peer.disconnect(4401).await.done().text(), "gone");
}

#[tokio::test(start_paused = true)]
async fn the_optional_layer_lets_in_who_has_no_token() {
    let consumers = guarded().middleware(AuthLayer::<User>::optional());
    let stage = stage_of(consumers, authenticator()).await;
    let (mut peer, turn) = connect(&stage, Handshake::default()).await;
    assert!(turn.accepted());
    assert_eq!(peer.text("?").await.done().text(), "");
    assert_eq!(
        connect(&stage, bearer("x")).await.1.denied().unwrap().0,
        401
    );
}

#[tokio::test(start_paused = true)]
async fn a_guarded_stream_refuses_the_handshake_and_ends_the_connection() {
    let streams = demultiplexer().stream("mine", guarded().middleware(AuthLayer::<User>::new()));
    let stage = stage_of(streams, authenticator()).await;
    let (_, turn) = connect(&stage, Handshake::default()).await;
    assert_eq!(turn.denied().unwrap().0, 401);
    let (mut peer, _) = connect(&stage, bearer(&token("ada"))).await;
    let frame = r#"{"stream":"mine","payload":1}"#;
    let said = r#"{"stream":"mine","payload":"ada"}"#;
    assert_eq!(peer.text(frame).await.done().text(), said);
    advance(HOUR + LEEWAY).await;
    assert_eq!(
        peer.text(frame).await.done().closed(),
        closed(4401, "token expired")
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_needs_a_token_leaves_the_others_open() {
    async fn connect_(_: Option<Auth<User>>) {}
    let private = websocket()
        .connect(connect_)
        .receive(async |_: Auth<User>| {});
    let streams = demultiplexer()
        .stream("private", private)
        .stream("public", guarded());
    let stage = stage_of(streams, authenticator()).await;
    let (mut peer, turn) = connect(&stage, Handshake::default()).await;
    assert!(turn.accepted());
    let refused = peer
        .text(r#"{"stream":"private","payload":1}"#)
        .await
        .done();
    let error = r#"{"code":"rejected","reason":"a token is required"}"#;
    assert_eq!(
        refused.text(),
        format!(r#"{{"stream":"private","error":{error}}}"#)
    );
    let open = peer.text(r#"{"stream":"public","payload":1}"#).await.done();
    assert_eq!(open.text(), r#"{"stream":"public","payload":""}"#);
}

#[test]
fn an_application_without_an_authenticator_does_not_start() {
    let check = |consumers: Websocket| {
        let router = Router::new().route("/", consumers);
        router.check(&States::new()).unwrap_err().to_string()
    };
    let lacks = "the application has no Authenticator<User>: \
                 add .state(Authenticator::<User>::new(keys))";
    let asked = check(websocket().receive(async |_: Auth<User>| {}));
    assert!(asked.contains(lacks), "{asked}");
    let guarded = check(guarded().middleware(AuthLayer::<User>::new()));
    assert!(guarded.contains(lacks), "{guarded}");
    let channel = Router::new().channel("jobs", async |_: Auth<User>| {});
    let states = States::new().with(authenticator());
    let error = channel.check(&states).unwrap_err().to_string();
    assert!(error.contains("a channel has no connection"), "{error}");
    let passes = Router::new()
        .channel("jobs", async || {})
        .middleware(AuthLayer::<User>::new());
    passes.check(&States::new()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_was_there_by_a_token_is_forgotten_with_it() {
    #[derive(Serialize, Deserialize)]
    struct Account {
        #[serde(skip_serializing_if = "Option::is_none")]
        sub: Option<String>,
    }
    async fn receive(
        Text(token): Text,
        State(authenticator): State<Authenticator<Account>>,
        context: Context,
        socket: Socket,
    ) -> Result {
        match token.strip_prefix("say ") {
            Some(name) => context.identify(name),
            None => drop(authenticator.admit(&context, &token)?),
        }
        socket.text(context.identity().unwrap_or_default()).await
    }
    let of = |sub: Option<&str>| {
        let sub = sub.map(str::to_owned);
        keys().sign(&Account { sub }, HOUR).unwrap()
    };
    let router = Router::new().route("/", websocket().receive(receive));
    let states = States::new().with(Authenticator::<Account>::new(keys()));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let (mut peer, _) = connect(&stage, Handshake::default()).await;
    assert_eq!(peer.text(&of(Some("ada"))).await.done().text(), "ada");
    assert_eq!(peer.text(&of(None)).await.done().text(), "");
    // What the application says for itself stays.
    assert_eq!(peer.text("say ben").await.done().text(), "ben");
    assert_eq!(peer.text(&of(None)).await.done().text(), "ben");
}
