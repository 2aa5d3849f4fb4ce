//! How what a peer writes is read, in whatever pieces it comes.

use std::time::Duration;

use towpath_interface_server::ServerConfig;

use crate::client::{Raw, frame, read_frame, request};
use crate::rig::{Rig, config, within};

#[tokio::test]
async fn messages_that_come_at_once_are_handled_one_after_the_other_and_none_is_lost() {
    const MESSAGES: usize = 5000;
    let rig = Rig::start(config()).await;
    let _echo = rig.echo();
    let mut raw = Raw::open(rig.address).await;
    let (mut read, mut write) = raw.stream.split();
    let all: Vec<u8> = (0..MESSAGES)
        .flat_map(|number| frame(0x82, number.to_string().as_bytes()))
        .collect();
    let written = tokio::io::AsyncWriteExt::write_all(&mut write, &all);
    let read = async {
        for number in 0..MESSAGES {
            let expected = (0x82, number.to_string().into_bytes());
            assert_eq!(read_frame(&mut read).await, expected);
        }
    };
    within(async { tokio::join!(written, read).0.unwrap() }).await;
    rig.end().await;
}

#[tokio::test]
async fn a_message_that_comes_byte_by_byte_is_whole() {
    let rig = Rig::start(config()).await;
    let _echo = rig.echo();
    let mut raw = Raw::open(rig.address).await;
    let text = "a text of ordinary length, with a € in it; ".repeat(4);
    let (first, last) = text.as_bytes().split_at(41);
    let frames = [frame(0x01, first), frame(0x89, b"ping"), frame(0x80, last)].concat();
    for byte in frames {
        raw.write(&[byte]).await;
    }
    assert_eq!(raw.frame().await, (0x8a, b"ping".to_vec()));
    assert_eq!(raw.frame().await, (0x81, text.into_bytes()));
    rig.end().await;
}

#[tokio::test]
async fn what_comes_with_the_handshake_is_read() {
    let rig = Rig::start(config()).await;
    let _echo = rig.echo();
    let mut raw = Raw::connect(rig.address).await;
    let mut bytes = request("/chat", "").into_bytes();
    bytes.extend(frame(0x81, b"early"));
    bytes.extend(frame(0x81, b"bird").split_at(3).0);
    raw.write(&bytes).await;
    assert!(raw.head().await.contains("101"));
    assert_eq!(raw.frame().await, (0x81, b"early".to_vec()));
    raw.write(frame(0x81, b"bird").split_at(3).1).await;
    assert_eq!(raw.frame().await, (0x81, b"bird".to_vec()));
    rig.end().await;
}

#[tokio::test]
async fn bad_text_is_refused_before_its_frame_ends() {
    let rig = Rig::start(config()).await;
    let _echo = rig.echo();
    let mut raw = Raw::open(rig.address).await;
    let mut text = vec![b'x'; 100_000];
    text[10] = 0xff;
    raw.write(frame(0x81, &text).split_at(100).0).await;
    assert_eq!(raw.closed().await, 1007);
    raw.ended().await;
    rig.end().await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_own_code_after_what_was_asked_before() {
    let rig = Rig::start(ServerConfig {
        close_timeout: Duration::from_secs(20),
        ..config()
    })
    .await;
    let echo = rig.echo();
    let mut raw = Raw::open(rig.address).await;
    let close = frame(0x88, b"\x0f\xa0bye");
    raw.write(&[frame(0x89, b"there?"), close].concat()).await;
    assert_eq!(raw.frame().await, (0x8a, b"there?".to_vec()));
    assert_eq!(raw.frame().await, (0x88, b"\x0f\xa0bye".to_vec()));
    raw.ended().await;
    let mut raw = Raw::open(rig.address).await;
    raw.write(&frame(0x88, b"")).await;
    assert_eq!(raw.frame().await, (0x88, Vec::new()));
    raw.ended().await;
    crate::rig::until(async || echo.disconnects.lock().len() == 2).await;
    let codes: Vec<u16> = echo
        .disconnects
        .lock()
        .iter()
        .map(|(code, _)| *code)
        .collect();
    assert_eq!(codes, [4000, 1005]);
    rig.end().await;
}
