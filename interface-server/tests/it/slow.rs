//! Peers that do not read, and floods.

use std::time::Duration;

use bytes::Bytes;
use towpath_interface_server::{ServerConfig, SlowPolicy};
use towpath_layer_core::{ChannelLayer, EventKind, GroupName, Reply};

use crate::client::{Raw, frame};
use crate::rig::{Rig, config, until, within};

fn small() -> ServerConfig {
    ServerConfig {
        outbox_bytes_max: 64 << 10,
        send_buffer_bytes: 16 << 10,
        close_timeout: Duration::from_millis(500),
        ..config()
    }
}

#[tokio::test]
async fn a_reader_too_slow_is_closed_with_1013_and_the_others_miss_nothing() {
    let rig = Rig::start(small()).await;
    let mut worker = rig.worker();
    let room = GroupName::new("room").unwrap();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect(rig.address).await;
        raw.write(crate::client::request("/chat", "").as_bytes())
            .await;
        let event = worker.next().await;
        rig.layer
            .group_add(&room, &event.reply_channel, Bytes::new())
            .await
            .unwrap();
        worker.accept(&event).await;
        worker.done(&event).await;
        assert!(raw.head().await.contains("101"));
        peers.push(raw);
    }
    let (mut bystander, mut slow) = (peers.pop().unwrap(), peers.pop().unwrap());
    let payload = Bytes::from(vec![5; 8 << 10]);
    let mut closed = None;
    for _ in 0..10_000 {
        rig.layer
            .group_send(&room, Reply::bytes(payload.clone()))
            .await
            .unwrap();
        assert_eq!(bystander.frame().await.1.len(), payload.len());
        if !worker.is_idle(Duration::from_micros(100)).await {
            closed = Some(());
            break;
        }
    }
    assert!(closed.is_some(), "the slow reader goes on for ever");
    // What it did get is whole frames, then it is cut.
    let mut frames = 0;
    while let Ok((first, payload)) = tokio::time::timeout(Duration::from_secs(5), async {
        let mut head = [0; 1];
        match slow.stream.peek(&mut head).await {
            Ok(1) => slow.frame().await,
            _ => (0, Vec::new()),
        }
    })
    .await
    {
        match first {
            0x82 => assert_eq!(payload.len(), 8 << 10),
            0x88 => assert_eq!(payload[..2], 1013_u16.to_be_bytes()),
            _ => break,
        }
        frames += 1;
    }
    assert!(frames > 0);
    until(async || rig.layer.group_count(&room).await.unwrap() == 1).await;
    rig.end().await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_reset() {
    let rig = Rig::start(small()).await;
    let mut worker = rig.worker();
    let mut raw = Raw::connect(rig.address).await;
    raw.write(crate::client::request("/chat", "").as_bytes())
        .await;
    let event = worker.welcome().await;
    let payload = Bytes::from(vec![5; 32 << 10]);
    let mut code = None;
    for _ in 0..1000 {
        worker.reply(&event, Reply::bytes(payload.clone())).await;
        if !worker.is_idle(Duration::from_millis(1)).await {
            code = Some(());
            break;
        }
    }
    assert!(code.is_some());
    until(async || rig.handle.conversations() <= 1).await;
    // It never read a byte, and now there is only a reset to read.
    until(async || {
        let mut some = [0; 65536];
        loop {
            match raw.stream.try_read(&mut some) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    })
    .await;
    rig.end().await;
}

#[tokio::test]
async fn frames_may_be_dropped_instead_and_are_counted() {
    let rig = Rig::start(ServerConfig {
        slow_policy: SlowPolicy::Drop,
        ..small()
    })
    .await;
    let mut worker = rig.worker();
    let mut raw = Raw::connect(rig.address).await;
    raw.write(crate::client::request("/chat", "").as_bytes())
        .await;
    let event = worker.welcome().await;
    assert!(raw.head().await.contains("101"));
    let payload = Bytes::from(vec![5; 32 << 10]);
    while rig.layer.statistics().await.unwrap().dropped < 3 {
        worker.reply(&event, Reply::bytes(payload.clone())).await;
        tokio::task::yield_now().await;
    }
    // Once there is room, it goes on.
    raw.write(&frame(0x81, b"hello")).await;
    let hello = worker.next().await;
    assert!(matches!(hello.kind, EventKind::Receive(_)));
    let answered = async {
        loop {
            worker.reply(&event, Reply::text("hello")).await;
            let (first, payload) = raw.frame().await;
            if first == 0x81 {
                assert_eq!(payload, b"hello");
                return;
            }
        }
    };
    within(answered).await;
    rig.end().await;
}

#[tokio::test]
async fn a_message_larger_than_the_outbox_passes_an_empty_one() {
    let rig = Rig::start(small()).await;
    let _echo = rig.echo();
    let mut raw = Raw::open(rig.address).await;
    let large = vec![3; 1 << 20];
    let (mut read, mut write) = raw.stream.split();
    let sent = frame(0x82, &large);
    let written = tokio::io::AsyncWriteExt::write_all(&mut write, &sent);
    let (written, read) =
        within(async { tokio::join!(written, crate::client::read_frame(&mut read)) }).await;
    written.unwrap();
    assert!(read == (0x82, large));
    rig.end().await;
}

#[tokio::test]
async fn a_flood_of_pings_that_nobody_reads_the_pongs_of_is_cut() {
    let rig = Rig::start(small()).await;
    let echo = rig.echo();
    let mut bystander = rig.connect("/chat").await;
    let mut raw = Raw::open(rig.address).await;
    let pings = frame(0x89, &[1; 125]).repeat(100);
    let flood = async {
        while tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &pings)
            .await
            .is_ok()
        {}
    };
    let others = async {
        for _ in 0..20 {
            bystander.echo("still here").await;
        }
    };
    within(async { tokio::join!(flood, others) }).await;
    until(async || {
        echo.disconnects
            .lock()
            .iter()
            .any(|(code, _)| *code == 1013)
    })
    .await;
    bystander.echo("still here").await;
    rig.end().await;
}
