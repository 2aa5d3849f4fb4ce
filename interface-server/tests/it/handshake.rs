//! Handshakes: held, answered, refused.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::service_fn;
use tower::util::BoxCloneSyncService;
use towpath_interface_server::{BoxError, HttpService, Origins, ServerConfig};
use towpath_layer_core::{
    Accept, ChannelLayer, Deny, EventKind, GlobTable, Limits, Outcome, Reply,
};

use crate::client::{Client, Raw, request, status};
use crate::rig::{Rig, config, until, within};

#[tokio::test]
async fn a_handshake_waits_for_the_consumer_and_says_what_it_says() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let address = rig.address;
    let (client, event) = tokio::join!(
        async {
            let headers = [("sec-websocket-protocol", "v1, v2"), ("x-token", "t")];
            Client::connect_with(address, "/room/caf%C3%A9?a=1", &headers)
                .await
                .unwrap()
        },
        async {
            let event = worker.next().await;
            let accept = Accept {
                subprotocol: Some("v2".into()),
                headers: vec![
                    ("x-served-by".into(), Bytes::from_static(b"towpath")),
                    ("upgrade".into(), Bytes::from_static(b"h2c")),
                ],
            };
            let accept = Reply {
                accept: Some(Box::new(accept)),
                ..Reply::default()
            };
            worker.reply(&event, accept).await;
            worker.done(&event).await;
            event
        }
    );
    assert_eq!((event.order, &*event.path), (0, "/room/café"));
    let EventKind::Connect(handshake) = &event.kind else {
        panic!("{event:?}");
    };
    assert_eq!(handshake.query_string, "a=1".as_bytes());
    assert_eq!(handshake.subprotocols, ["v1", "v2"]);
    assert_eq!(handshake.scheme, "ws");
    assert_eq!(handshake.server.as_ref().unwrap().1, address.port());
    assert_eq!(handshake.client.as_ref().unwrap().0, "127.0.0.1");
    let token = handshake
        .headers
        .iter()
        .find(|(name, _)| *name == "x-token");
    assert_eq!(token.unwrap().1, "t".as_bytes());
    let headers = client.response.headers();
    assert_eq!(headers["sec-websocket-protocol"], "v2");
    assert_eq!(headers["x-served-by"], "towpath");
    assert_eq!(headers["upgrade"], "websocket");
    rig.end().await;
}

#[tokio::test]
async fn a_frame_opens_the_socket_and_a_subprotocol_that_was_not_offered_is_left_out() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let (client, ()) = tokio::join!(rig.connect("/chat"), async {
        let event = worker.next().await;
        let wrong = Accept {
            subprotocol: Some("other".into()),
            headers: Vec::new(),
        };
        let reply = Reply {
            accept: Some(Box::new(wrong)),
            ..Reply::text("first")
        };
        worker.reply(&event, reply).await;
        worker.reply(&event, Reply::text("second")).await;
        worker.done(&event).await;
    });
    let mut client = client;
    assert!(
        !client
            .response
            .headers()
            .contains_key("sec-websocket-protocol")
    );
    assert_eq!(client.text().await, "first");
    assert_eq!(client.text().await, "second");
    rig.end().await;
}

#[tokio::test]
async fn a_consumer_refuses_by_deny_by_close_or_by_saying_nothing() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let deny = Reply {
        deny: Some(Box::new(Deny {
            status: 401,
            headers: vec![("www-authenticate".into(), Bytes::from_static(b"Bearer"))],
            body: Bytes::from_static(b"who are you"),
        })),
        ..Reply::default()
    };
    for (reply, expected) in [
        (deny, 401),
        (Reply::close(4000, ""), 403),
        (Reply::default(), 403),
    ] {
        let (refused, ()) = tokio::join!(Client::connect(rig.address, "/chat"), async {
            let event = worker.next().await;
            worker.reply(&event, reply).await;
            worker.done(&event).await;
        });
        assert_eq!(status(&refused), expected);
        if let Err(tokio_tungstenite::tungstenite::Error::Http(response)) = refused
            && expected == 401
        {
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
        }
    }
    // Who was refused hears of no end.
    until(async || rig.handle.conversations() == 0).await;
    assert!(worker.is_idle(Duration::from_millis(50)).await);
    rig.end().await;
}

#[tokio::test]
async fn a_failed_or_lost_connect_has_its_own_status() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let failed = Outcome::Failed {
        error_id: "e1".into(),
    };
    for (outcome, expected) in [(failed, 500), (Outcome::Lost, 503)] {
        let (refused, ()) = tokio::join!(Client::connect(rig.address, "/chat"), async {
            let event = worker.next().await;
            worker.complete(&event, outcome).await;
        });
        assert_eq!(status(&refused), expected);
    }
    rig.end().await;
}

#[tokio::test]
async fn nobody_answers_in_time() {
    let rig = Rig::start(ServerConfig {
        connect_timeout: Duration::from_millis(200),
        ..config()
    })
    .await;
    let refused = Client::connect(rig.address, "/chat").await;
    assert_eq!(status(&refused), 504);
    rig.end().await;
}

#[tokio::test]
async fn a_full_connect_channel_is_answered_with_503_and_when_to_come_back() {
    let limits = Limits {
        capacity: GlobTable::new(1),
        ..Limits::default()
    };
    let rig = Rig::start_with(config(), limits, None, None).await;
    let mut first = Raw::connect(rig.address).await;
    first.write(request("/chat", "").as_bytes()).await;
    until(async || rig.layer.statistics().await.unwrap().total.pending == 1).await;
    let mut second = Raw::connect(rig.address).await;
    second.write(request("/chat", "").as_bytes()).await;
    let head = second.head().await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(head.contains("retry-after: 1"), "{head}");
    let mut worker = rig.worker();
    worker.welcome().await;
    assert!(first.head().await.starts_with("HTTP/1.1 101"));
    rig.end().await;
}

#[tokio::test]
async fn more_sockets_than_allowed_are_answered_with_503() {
    let rig = Rig::start(ServerConfig {
        connections_max: 1,
        ..config()
    })
    .await;
    let echo = rig.echo();
    let mut first = rig.connect("/chat").await;
    assert_eq!(status(&Client::connect(rig.address, "/chat").await), 503);
    first.echo("still here").await;
    first.close().await;
    until(async || echo.disconnects.lock().len() == 1).await;
    until(async || rig.handle.conversations() == 0).await;
    rig.connect("/chat").await.echo("room again").await;
    rig.end().await;
}

#[tokio::test]
async fn a_peer_that_leaves_while_it_waits_is_disconnected_only_if_it_was_accepted() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    for accepts in [false, true] {
        let mut raw = Raw::connect(rig.address).await;
        raw.write(request("/chat", "").as_bytes()).await;
        let event = worker.next().await;
        drop(raw);
        // The server sees the end before the worker answers.
        assert!(worker.is_idle(Duration::from_millis(100)).await);
        if accepts {
            worker.accept(&event).await;
        }
        worker.done(&event).await;
        if accepts {
            assert_eq!(worker.farewell().await, 1006);
        }
        until(async || rig.handle.conversations() == 0).await;
    }
    assert!(worker.is_idle(Duration::from_millis(50)).await);
    rig.end().await;
}

/// What the server answers to a request, while somebody else goes on.
#[track_caller]
fn begins(answer: &str, status: u16) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{status}: {answer}"
    );
}

#[tokio::test]
async fn a_request_that_is_not_a_good_one_is_answered_and_nobody_else_notices() {
    let rig = Rig::start(config()).await;
    let _echo = rig.echo();
    let mut bystander = rig.connect("/chat").await;
    let plain = |line: &str| format!("{line}\r\nHost: localhost\r\n\r\n");
    let good = request("/chat", "");
    let big = format!("X-Big: {}\r\n", "x".repeat(20_000));
    let many: String = (0..200)
        .map(|number| format!("X-{number}: 1\r\n"))
        .collect();
    for (request, expected) in [
        (plain("GET /nothing HTTP/1.1"), 404),
        (request("/nothing", ""), 404),
        (plain("GET /chat HTTP/1.1"), 426),
        (plain("POST /chat HTTP/1.1"), 426),
        (good.replace("Version: 13", "Version: 8"), 426),
        (good.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (
            good.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
            400,
        ),
        (
            good.replace("Connection: Upgrade", "Connection: close"),
            400,
        ),
        (good.replace("GET", "POST"), 400),
        (good.replace("localhost", "local\u{b}host"), 400),
        (good.replace("GET /chat", "GET /ch\u{1}at"), 400),
        (request("/chat", "X: a\u{0}b\r\n"), 400),
        (request("/chat", "Bad Name: x\r\n"), 400),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n".to_owned(), 400),
        (request("/chat", &big), 431),
        (request("/chat", &many), 431),
        (request("/chat", "Content-Length: 3\r\n"), 400),
        (request("/chat", "Origin: https://evil.example\r\n"), 403),
        (request("/chat", "Origin: null\r\n"), 403),
        (
            request(
                "/chat",
                "Origin: http://localhost\r\nOrigin: http://localhost\r\n",
            ),
            403,
        ),
        (request("/chat", "Origin: http://localhost\r\n"), 101),
    ] {
        let mut raw = Raw::connect(rig.address).await;
        raw.write(request.as_bytes()).await;
        let head = raw.head().await;
        begins(&head, expected);
        let wants = head.to_ascii_lowercase();
        assert_eq!(
            expected == 426,
            wants.contains("upgrade: websocket") && expected != 101
        );
        if request.contains("Version: 8") {
            assert!(wants.contains("sec-websocket-version: 13"), "{head}");
        }
        bystander.echo("still here").await;
    }
    rig.end().await;
}

#[tokio::test]
async fn a_list_of_origins_is_what_is_allowed() {
    let rig = Rig::start(ServerConfig {
        origins: Origins::List(vec!["https://example.org".to_owned()]),
        ..config()
    })
    .await;
    let _echo = rig.echo();
    for (origin, allowed) in [("https://example.org", true), ("http://127.0.0.1", false)] {
        let client = Client::connect_with(rig.address, "/chat", &[("origin", origin)]).await;
        assert_eq!(client.is_ok(), allowed, "{origin}");
    }
    rig.end().await;
}

#[tokio::test]
async fn half_a_handshake_is_cut_and_nobody_else_notices() {
    let rig = Rig::start(ServerConfig {
        header_timeout: Duration::from_millis(200),
        ..config()
    })
    .await;
    let _echo = rig.echo();
    let mut bystander = rig.connect("/chat").await;
    for begun in [
        "",
        "GET /chat HT",
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nX: ",
    ] {
        let mut raw = Raw::connect(rig.address).await;
        raw.write(begun.as_bytes()).await;
        raw.ended().await;
        bystander.echo("still here").await;
    }
    rig.end().await;
}

#[tokio::test]
async fn a_handshake_in_pieces_of_a_byte_is_as_good_as_any() {
    let rig = Rig::start(config()).await;
    let _echo = rig.echo();
    let mut raw = Raw::connect(rig.address).await;
    for byte in request("/chat", "").bytes() {
        raw.write(&[byte]).await;
    }
    begins(&raw.head().await, 101);
    rig.end().await;
}

async fn page(
    request: Request<Incoming>,
) -> Result<Response<towpath_interface_server::BoxBody>, BoxError> {
    let text = format!("page {}", request.uri().path());
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    Ok(Response::new(body.boxed_unsync()))
}

#[tokio::test]
async fn pages_are_served_beside_the_sockets() {
    let pages: HttpService = BoxCloneSyncService::new(service_fn(page));
    let rig = Rig::start_with(config(), Limits::default(), Some(pages), None).await;
    let _echo = rig.echo();
    let mut raw = Raw::connect(rig.address).await;
    raw.write(b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    begins(&raw.head().await, 200);
    let mut body = [0; 16];
    within(tokio::io::AsyncReadExt::read_exact(
        &mut raw.stream,
        &mut body,
    ))
    .await
    .unwrap();
    assert_eq!(&body, b"page /index.html");
    // The same connection may go on, and become a socket.
    raw.write(b"GET /chat HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    begins(&raw.head().await, 426);
    rig.connect("/chat").await.echo("and sockets").await;
    rig.end().await;
}
