//! Cookies, on their way in and out.

use towpath_layer_core::Handshake;
use towpath_worker::{Cookie, Cookies, Result, Router, Socket, websocket};

use crate::stage::{Peer, Stage, Turn};

fn with_cookies(fields: &[&'static str]) -> Handshake {
    let fields = fields
        .iter()
        .map(|field| ("cookie".into(), (*field).into()));
    Handshake {
        headers: fields.collect(),
        ..Handshake::default()
    }
}

async fn peer_of(router: Router) -> (Stage, Peer) {
    let stage = Stage::new(router).await;
    let peer = stage.peer("/");
    (stage, peer)
}

fn set(turn: &Turn) -> Vec<String> {
    let accept = turn.replies.iter().find_map(|reply| reply.accept.as_ref());
    let headers = accept.unwrap().headers.iter();
    let headers = headers.filter(|(name, _)| *name == "set-cookie");
    let texts = headers.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap());
    texts.collect()
}

#[tokio::test(start_paused = true)]
async fn cookies_are_read_decoded_and_garbage_is_passed_over() {
    async fn connect(cookies: Cookies, socket: Socket) -> Result {
        let mut all: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.sort();
        assert_eq!(cookies.get("none"), None);
        assert!(!format!("{cookies:?}").contains("é"));
        socket.text(all.join("|")).await
    }
    let router = Router::new().route("/", websocket().connect(connect));
    let (_stage, mut peer) = peer_of(router).await;
    let handshake = with_cookies(&["a=%C3%A9; ; =; nonsense; b=\"x\"", "c="]);
    let turn = peer.connect_with(handshake).await.done();
    assert_eq!(turn.text(), "a=é|b=\"x\"|c=");
}

#[tokio::test(start_paused = true)]
async fn cookies_are_set_by_whatever_accepts() {
    fn add(cookies: &Cookies) -> Result {
        cookies.add(("seen", "a b"))?;
        cookies.add(Cookie::build(("theme", "dark")).path("/").http_only(true))
    }
    let by_returning = async |cookies: Cookies| add(&cookies);
    let by_accepting = async |cookies: Cookies, socket: Socket| {
        add(&cookies)?;
        socket.accept().await
    };
    let by_a_frame = async |cookies: Cookies, socket: Socket| {
        add(&cookies)?;
        socket.text("hi").await?;
        socket.text("there").await
    };
    let router = Router::new()
        .route("/returning", websocket().connect(by_returning))
        .route("/accepting", websocket().connect(by_accepting))
        .route("/frame", websocket().connect(by_a_frame));
    let stage = Stage::new(router).await;
    for path in ["/returning", "/accepting", "/frame"] {
        let turn = stage.peer(path).connect().await.done();
        let expected = ["seen=a%20b", "theme=dark; HttpOnly; Path=/"];
        assert_eq!(set(&turn), expected, "{path}");
        let accepts = turn.replies.iter().filter(|reply| reply.accept.is_some());
        assert_eq!(accepts.count(), 1, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_after_the_answer_is_the_applications_mistake() {
    let late = async |cookies: Cookies, socket: Socket| {
        socket.accept().await?;
        cookies.add(("seen", "1"))
    };
    let (_stage, mut peer) = peer_of(Router::new().route("/", websocket().connect(late))).await;
    peer.connect().await.failed();
}

#[cfg(feature = "tokens")]
#[tokio::test(start_paused = true)]
async fn a_token_comes_in_the_cookie_that_is_named() {
    use towpath_worker::{Auth, Authenticator, Keys, States, WorkerConfig};

    #[derive(serde::Deserialize)]
    struct User {
        sub: String,
    }
    let keys = Keys::hs256([7; 32]).unwrap();
    let claims = serde_json::json!({"sub": "ada"});
    let token = keys
        .sign(&claims, std::time::Duration::from_mins(1))
        .unwrap();
    let connect = async |user: Auth<User>, socket: Socket| socket.text(user.sub.clone()).await;
    let router = Router::new().route("/", websocket().connect(connect));
    let states = States::new().with(Authenticator::<User>::new(keys).cookie("session"));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let handshake = Handshake {
        headers: vec![("cookie".into(), format!("a=1; session={token}").into())],
        ..Handshake::default()
    };
    let turn = stage.peer("/").connect_with(handshake).await.done();
    assert_eq!(turn.text(), "ada");
}

#[cfg(feature = "signed-cookies")]
#[tokio::test(start_paused = true)]
async fn cookies_that_a_web_framework_signed_are_read_and_forged_ones_are_not() {
    use towpath_worker::CookieKey;

    const KEY: [u8; 64] = [7; 64];
    async fn connect(cookies: Cookies, socket: Socket) -> Result {
        let key = CookieKey::from(&KEY);
        let read = (cookies.signed(&key, "id"), cookies.private(&key, "who"));
        socket.text(format!("{read:?}")).await
    }
    let router = Router::new().route("/", websocket().connect(connect));
    let stage = Stage::new(router).await;
    for (byte, expected) in [(7, r#"(Some("7"), Some("ada"))"#), (8, "(None, None)")] {
        let key = CookieKey::from(&[byte; 64]);
        let mut jar = cookie::CookieJar::new();
        jar.signed_mut(&key).add(("id", "7"));
        jar.private_mut(&key).add(("who", "ada"));
        let field: Vec<String> = jar.iter().map(|one| one.encoded().to_string()).collect();
        let handshake = Handshake {
            headers: vec![("cookie".into(), field.join("; ").into())],
            ..Handshake::default()
        };
        let turn = stage.peer("/").connect_with(handshake).await.done();
        assert_eq!(turn.text(), expected);
    }
}
