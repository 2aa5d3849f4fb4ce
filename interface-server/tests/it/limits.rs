//! What a peer must not do, and who else notices: nobody.

use std::cell::Cell;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use towpath_interface_server::ServerConfig;

use crate::client::{Raw, frame};
use crate::rig::{Rig, config, until};

fn small() -> ServerConfig {
    ServerConfig {
        message_size_max: 1000,
        frame_size_max: 800,
        fragments_max: 10,
        close_timeout: Duration::from_millis(500),
        ..config()
    }
}

#[tokio::test]
async fn bad_frames_are_answered_with_their_code_and_nobody_else_notices() {
    let rig = Rig::start(small()).await;
    let echo = rig.echo();
    let mut bystander = rig.connect("/chat").await;
    let unmasked = vec![0x81, 0x02, b'h', b'i'];
    let huge = [&[0x82, 0xff][..], &(1_u64 << 62).to_be_bytes(), &[0; 4]].concat();
    let top_bit = [&[0x82, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    let split = [frame(0x01, &[b'a'; 700]), frame(0x80, &[b'b'; 700])].concat();
    let many = [frame(0x01, b""), frame(0x00, b"").repeat(10)].concat();
    let utf8_over_frames = [frame(0x01, b"\xe2"), frame(0x80, b"\x28\xa1")].concat();
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("a frame too large", frame(0x82, &[0; 801]), 1009),
        ("a message too large", split, 1009),
        ("too many fragments", many, 1009),
        ("a length of 2^62", huge, 1009),
        ("a length of 2^64 - 1", top_bit, 1009),
        ("text that is not UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        (
            "text that is not UTF-8, over frames",
            utf8_over_frames,
            1007,
        ),
        (
            "a close reason that is not UTF-8",
            frame(0x88, b"\x03\xe8\xff"),
            1007,
        ),
        ("a frame without a mask", unmasked, 1002),
        ("reserved bits", frame(0xc1, b"x"), 1002),
        ("a reserved opcode", frame(0x83, b"x"), 1002),
        ("a reserved control opcode", frame(0x8b, b"x"), 1002),
        ("a control frame in pieces", frame(0x09, b"x"), 1002),
        ("a control frame too large", frame(0x89, &[0; 126]), 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        (
            "a message within a message",
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            1002,
        ),
        ("a close of one byte", frame(0x88, b"\x03"), 1002),
        (
            "a close code that may not be sent",
            frame(0x88, &1005_u16.to_be_bytes()),
            1002,
        ),
    ];
    for (number, (what, bytes, code)) in cases.into_iter().enumerate() {
        let mut raw = Raw::open(rig.address).await;
        raw.write(&frame(0x81, b"good")).await;
        assert_eq!(raw.frame().await, (0x81, b"good".to_vec()));
        raw.write(&bytes).await;
        assert_eq!(raw.closed().await, code, "{what}");
        raw.ended().await;
        bystander.echo("still here").await;
        until(async || echo.disconnects.lock().len() == number + 1).await;
        assert_eq!(echo.disconnects.lock()[number].0, code, "{what}");
    }
    rig.end().await;
}

#[tokio::test]
async fn what_is_just_within_the_limits_passes() {
    let rig = Rig::start(small()).await;
    let _echo = rig.echo();
    let mut raw = Raw::open(rig.address).await;
    raw.write(&frame(0x82, &[7; 800])).await;
    assert_eq!(raw.frame().await, (0x82, vec![7; 800]));
    raw.write(&frame(0x01, b"")).await;
    raw.write(&frame(0x00, &[b'x'; 100]).repeat(8)).await;
    raw.write(&frame(0x89, b"ping")).await;
    raw.write(&frame(0x80, &[b'x'; 200])).await;
    assert_eq!(raw.frame().await, (0x8a, b"ping".to_vec()));
    assert_eq!(raw.frame().await, (0x81, vec![b'x'; 1000]));
    rig.end().await;
}

#[tokio::test]
async fn a_silent_peer_is_pinged_and_cut_without_a_pong() {
    let rig = Rig::start(ServerConfig {
        ping_interval: Duration::from_millis(200),
        pong_timeout: Duration::from_secs(2),
        close_timeout: Duration::from_millis(300),
        ..config()
    })
    .await;
    let echo = rig.echo();
    let mut polite = Raw::open(rig.address).await;
    let mut silent = Raw::open(rig.address).await;
    let is_cut = Cell::new(false);
    let answers = async {
        let mut pings = 0;
        while pings < 5 || !is_cut.get() {
            assert_eq!(polite.frame().await, (0x89, Vec::new()));
            polite.write(&frame(0x8a, b"")).await;
            pings += 1;
        }
    };
    let silence = async {
        assert_eq!(silent.frame().await, (0x89, Vec::new()));
        assert_eq!(silent.closed().await, 1001);
        silent.ended().await;
        until(async || echo.disconnects.lock().len() == 1).await;
        is_cut.set(true);
    };
    tokio::join!(answers, silence);
    assert_eq!(echo.disconnects.lock()[0].0, 1006);
    polite.write(&frame(0x81, b"still here")).await;
    while polite.frame().await != (0x81, b"still here".to_vec()) {}
    rig.end().await;
}

#[tokio::test]
async fn any_byte_of_the_peer_is_a_sign_of_life() {
    let rig = Rig::start(ServerConfig {
        ping_interval: Duration::from_millis(200),
        pong_timeout: Duration::from_secs(1),
        ..config()
    })
    .await;
    let echo = rig.echo();
    let mut talker = Raw::open(rig.address).await;
    let quiet = tokio::time::Instant::now();
    let mut messages = 0;
    while quiet.elapsed() < Duration::from_secs(3) {
        talker.write(&frame(0x82, b"x")).await;
        while talker.frame().await.0 != 0x82 {}
        messages += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(messages > 10 && echo.disconnects.lock().is_empty());
    rig.end().await;
}

#[tokio::test]
async fn a_peer_that_goes_without_a_word_is_told_as_1006() {
    let rig = Rig::start(config()).await;
    let echo = rig.echo();
    let mut bystander = rig.connect("/chat").await;
    let mut raw = Raw::open(rig.address).await;
    raw.stream.shutdown().await.unwrap();
    raw.ended().await;
    let raw = Raw::open(rig.address).await;
    raw.stream.set_zero_linger().unwrap();
    drop(raw);
    until(async || echo.disconnects.lock().len() == 2).await;
    assert!(
        echo.disconnects
            .lock()
            .iter()
            .all(|(code, _)| *code == 1006)
    );
    bystander.echo("still here").await;
    rig.end().await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer_a_close_is_reset() {
    let rig = Rig::start(ServerConfig {
        close_timeout: Duration::from_millis(300),
        ..config()
    })
    .await;
    let mut worker = rig.worker();
    let mut raw = Raw::connect(rig.address).await;
    raw.write(crate::client::request("/chat", "").as_bytes())
        .await;
    let event = worker.next().await;
    worker.accept(&event).await;
    worker
        .reply(&event, towpath_layer_core::Reply::close(4000, ""))
        .await;
    worker.done(&event).await;
    assert!(raw.head().await.contains("101"));
    assert_eq!(raw.closed().await, 4000);
    raw.ended().await;
    assert_eq!(worker.farewell().await, 4000);
    rig.end().await;
}
