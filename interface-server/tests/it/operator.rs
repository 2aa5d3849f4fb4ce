//! The operator's pages.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use towpath_interface_server::{Operator, Phase, ServerConfig};
use towpath_layer_core::{ChannelLayer, Limits};

use crate::client::Raw;
use crate::events::open;
use crate::rig::{Rig, config, until, within};

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut raw = Raw::connect(address).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    raw.write(request.as_bytes()).await;
    let head = raw.head().await;
    let mut body = String::new();
    within(raw.stream.read_to_string(&mut body)).await.unwrap();
    (head[9..12].parse().unwrap(), body)
}

#[tokio::test]
async fn the_operator_sees_whether_it_lives_whether_it_is_ready_and_what_it_measures() {
    let operator = Operator {
        metrics: Arc::new(|| "towpath_connections 0\n".to_owned()),
    };
    let config = ServerConfig {
        operator_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..config()
    };
    let rig = Rig::start_with(config, Limits::default(), None, Some(operator)).await;
    let address = rig.operator.unwrap();
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    assert_eq!(get(address, "/livez").await, (200, "alive\n".to_owned()));
    assert_eq!(get(address, "/readyz").await.0, 200);
    assert_eq!(
        get(address, "/metrics").await,
        (200, "towpath_connections 0\n".to_owned())
    );
    assert_eq!(get(address, "/").await.0, 404);
    assert_eq!(get(rig.address, "/metrics").await.0, 404);

    client.send("in flight").await;
    let event = worker.next().await;
    rig.stop.cancel();
    until(async || rig.handle.phase() == Phase::Draining).await;
    assert_eq!(get(address, "/readyz").await.0, 503);
    assert_eq!(get(address, "/livez").await.0, 200);
    worker.done(&event).await;
    assert_eq!(client.closed().await, 1012);
    drop(client);
    within(rig.running).await.unwrap();
}

#[tokio::test]
async fn a_server_without_its_layer_is_not_ready() {
    let config = ServerConfig {
        operator_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..config()
    };
    let operator = Operator {
        metrics: Arc::new(String::new),
    };
    let rig = Rig::start_with(config, Limits::default(), None, Some(operator)).await;
    let address = rig.operator.unwrap();
    rig.layer.close().await;
    until(async || get(address, "/readyz").await.0 == 503).await;
    rig.end().await;
}
