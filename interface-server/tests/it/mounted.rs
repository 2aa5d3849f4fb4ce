//! Inside an axum server.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use towpath_interface_server::{FirstSession, InterfaceServer, Phase, ServerConfig};
use towpath_layer_core::{ChannelLayer, EventKind, Limits, Reply};

use crate::client::{Client, Raw, status};
use crate::phoenix::longpoll::request;
use crate::rig::{Worker, config, layer, routes, within};

#[tokio::test]
async fn sockets_come_through_another_server() {
    let layer = layer(Limits::default());
    let (service, handle) = InterfaceServer::service(config(), routes(), Arc::clone(&layer) as _)
        .await
        .unwrap();
    let app = Router::new()
        .route("/page", get(async || "a page"))
        .fallback_service(service);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = TaskTracker::new().spawn(async move { axum::serve(listener, app).await });

    let mut worker = Worker::on(layer.another_node());
    let (client, connect) = tokio::join!(Client::connect(address, "/chat"), worker.welcome());
    let mut client = client.unwrap();
    let EventKind::Connect(handshake) = &connect.kind else {
        panic!("{connect:?}");
    };
    assert_eq!(handshake.scheme, "ws");
    client.send("hello").await;
    let event = worker.next().await;
    worker.reply(&event, Reply::text("world")).await;
    worker.done(&event).await;
    assert_eq!(client.text().await, "world");

    let (refused, ()) = tokio::join!(Client::connect(address, "/chat"), async {
        let event = worker.next().await;
        worker.reply(&event, Reply::close(4000, "")).await;
        worker.done(&event).await;
    });
    assert_eq!(status(&refused), 403);
    assert_eq!(status(&Client::connect(address, "/nothing").await), 404);
    for (path, expected) in [("/page", "HTTP/1.1 200"), ("/chat", "HTTP/1.1 426")] {
        let mut raw = Raw::connect(address).await;
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
            .await;
        let head = raw.head().await;
        assert!(head.starts_with(expected), "{head}");
    }

    // Who leaves while it waits is gone.
    let mut raw = Raw::connect(address).await;
    raw.write(crate::client::request("/chat", "").as_bytes())
        .await;
    let event = worker.next().await;
    drop(raw);
    worker.done(&event).await;
    assert!(worker.is_idle(Duration::from_millis(50)).await);

    let outlives = handle.handle();
    let (code, ()) = tokio::join!(client.closed(), within(handle.drain()));
    assert_eq!((code, outlives.phase()), (1012, Phase::Stopped));
    assert_eq!(worker.farewell().await, 1012);
    assert_eq!(layer.statistics().await.unwrap().lost, 0);
    serving.abort();
}

#[tokio::test]
async fn polls_come_through_another_server() {
    let layer = layer(Limits::default());
    let config = ServerConfig {
        header_timeout: Duration::from_millis(500),
        ..config()
    };
    let (service, handle) = InterfaceServer::service(config, routes(), Arc::clone(&layer) as _)
        .await
        .unwrap();
    let first = FirstSession::of(&("ada", 7)).unwrap();
    let app = Router::new()
        .fallback_service(service)
        .layer(Extension(first.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
    let mut worker = Worker::on(layer.another_node());
    let open = "GET /socket/longpoll?vsn=2.0.0 HTTP/1.1";
    let ((_, opened), connect) = tokio::join!(request(address, open, ""), worker.welcome());
    assert_eq!((&opened["status"], connect.session), (&410.into(), first.0));
    let token = opened["token"].as_str().unwrap();
    let head = format!("POST /socket/longpoll?vsn=2.0.0&token={token} HTTP/1.1");
    let beat = r#"[null,"1","phoenix","heartbeat",{}]"#;
    let (_, taken) = request(address, &head, beat).await;
    assert_eq!(taken["status"], 200);
    let head = format!("GET /socket/longpoll?vsn=2.0.0&token={token} HTTP/1.1");
    let (_, polled) = request(address, &head, "").await;
    let alive = r#"[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(polled["messages"][0], alive);
    // What never comes whole is waited for no longer than that.
    let head = format!("POST /socket/longpoll?token={token} HTTP/1.1\r\nhost: localhost\r\n");
    let mut raw = Raw::connect(address).await;
    raw.write(format!("{head}content-length: 10\r\n\r\n[").as_bytes())
        .await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    within(handle.drain()).await;
    serving.abort();
}
