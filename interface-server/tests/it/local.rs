//! The server without threads, on a clock that only moves when all is done.

use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{DuplexStream, duplex};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use towpath_interface_server::{
    FirstSession, InterfaceServer, Phase, ReplyChannel, ServerConfig, TowpathService,
};
use towpath_layer_core::{ChannelLayer, Event, EventKind, Limits, Reply};
use towpath_layer_memory::MemoryLayer;

use crate::rig::{Worker, config, layer, routes};

type Client = WebSocketStream<DuplexStream>;
type Handshake = Result<Client, tokio_tungstenite::tungstenite::Error>;

/// A handshake through the service, with a first session.
async fn connect(service: &TowpathService, first: Option<FirstSession>) -> Handshake {
    let (near, far) = duplex(4096);
    let service = service.clone();
    let serve = service_fn(move |mut request: Request<Incoming>| {
        if let Some(first) = &first {
            request.extensions_mut().insert(first.clone());
        }
        let answered = service.clone().call(request);
        async move {
            let response: Response<_> = answered.await?;
            let accepted = response.status() == 101;
            let channel = response.extensions().get::<ReplyChannel>();
            assert_eq!(channel.is_some(), accepted);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    TaskTracker::new().spawn(
        http1::Builder::new()
            .serve_connection(TokioIo::new(far), serve)
            .with_upgrades(),
    );
    let (socket, _) = Box::pin(client_async("ws://localhost/chat", near)).await?;
    Ok(socket)
}

/// Runs a test beside a server, and ends the server after it.
async fn beside(layer: &Arc<MemoryLayer>, test: impl AsyncFnOnce(TowpathService, Worker)) {
    let config = ServerConfig {
        ping_interval: Duration::from_hours(1),
        ..config()
    };
    let (service, server) = InterfaceServer::local(config, routes(), Arc::clone(layer) as _)
        .await
        .unwrap();
    let handle = server.handle();
    let stop = CancellationToken::new();
    let worker = Worker::on(layer.another_node());
    let test = async {
        Box::pin(test(service, worker)).await;
        stop.cancel();
    };
    tokio::join!(Box::pin(server.run(stop.clone())), test);
    assert_eq!(handle.phase(), Phase::Stopped);
}

async fn open(
    service: &TowpathService,
    worker: &mut Worker,
    first: Option<FirstSession>,
) -> (Client, Event) {
    let (client, event) = tokio::join!(connect(service, first), worker.welcome());
    (client.unwrap(), event)
}

#[tokio::test(start_paused = true)]
async fn ticks_come_when_they_are_due_and_end_with_the_connection() {
    let layer = layer(Limits::default());
    beside(&layer, async |service, mut worker| {
        let (mut client, connect) = open(&service, &mut worker, None).await;
        let (_other, _) = open(&service, &mut worker, None).await;
        let set = Instant::now();
        let every = Duration::from_millis(250);
        worker
            .reply(&connect, Reply::tick("clock", Some(every)))
            .await;
        for count in 1..=20 {
            let event = worker.next().await;
            let EventKind::Application(application) = &event.kind else {
                panic!("{event:?}");
            };
            assert_eq!(application.name, "clock");
            assert_eq!(event.reply_channel, connect.reply_channel);
            let late = set.elapsed() - every * count;
            assert!(late < Duration::from_millis(5), "{late:?} late");
            worker.done(&event).await;
        }
        client.send(Message::Close(None)).await.unwrap();
        assert_eq!(worker.farewell().await, 1005);
        assert!(worker.is_idle(Duration::from_secs(10)).await);
    })
    .await;
    assert_eq!(layer.statistics().await.unwrap().lost, 0);
}

#[tokio::test(start_paused = true)]
async fn a_middleware_gives_the_first_session() {
    let layer = layer(Limits::default());
    beside(&layer, async |service, mut worker| {
        let first = FirstSession::of(&("ada", 7)).unwrap();
        let (_client, connect) = open(&service, &mut worker, Some(first.clone())).await;
        assert_eq!(connect.session, first.0);

        let size_max = Limits::default().session_size_max;
        let large = FirstSession(vec![0; size_max + 1].into());
        let refused = connect_status(&service, large).await;
        assert_eq!(refused, 500);
        assert!(worker.is_idle(Duration::from_secs(1)).await);
    })
    .await;
}

async fn connect_status(service: &TowpathService, first: FirstSession) -> u16 {
    match connect(service, Some(first)).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("an answer, not {other:?}"),
    }
}
