//! Frames that break the protocol or its limits.

use anyhow::{Context, Result, ensure};

use super::Scene;
use crate::wire::{Wire, frame};

const MIB: usize = 1 << 20;

/// What is sent, the code with which the socket is closed, and the reason.
type Case = (&'static str, Vec<u8>, u16, &'static str);

/// The head of a frame that announces a length.
fn announced(length: u64) -> Vec<u8> {
    [&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()
}

/// Each closes the socket that sent it, with its code, and no other.
async fn closed(cases: Vec<Case>) -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    for (what, bytes, code, reason) in cases {
        let closes = scene.closes(&code.to_string()).await?;
        let mut wire = Wire::open(&scene.address, "/echo").await?;
        wire.send(0x81, b"good").await?;
        ensure!(wire.frame().await?.payload == b"good", "{what}");
        wire.write(&bytes).await.context(what)?;
        let said = wire.closed().await.context(what)?;
        ensure!(said == (code, reason.to_owned()), "{what}: {said:?}");
        ensure!(wire.ended().await?.is_empty(), "{what}");
        drop(wire);
        scene.untouched().await.context(what)?;
        scene.alone().await.context(what)?;
        ensure!(
            scene.closes(&code.to_string()).await? == closes + 1,
            "{what}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_broken_protocol_is_closed_with_1002() -> Result<()> {
    let cases = [
        ("garbage", b"\xde\xad\xbe\xef garbage".to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a frame without a mask", b"\x81\x02hi".to_vec()),
        ("the first reserved bit", frame(0xc1, b"x")),
        ("the second reserved bit", frame(0xa1, b"x")),
        ("the third reserved bit", frame(0x91, b"x")),
        ("a reserved opcode", frame(0x83, b"x")),
        ("a reserved control opcode", frame(0x8f, b"x")),
        ("a ping of 126 bytes", frame(0x89, &[0; 126])),
        ("a close of 126 bytes", frame(0x88, &[0; 126])),
        ("a ping in pieces", frame(0x09, b"x")),
        ("a continuation of nothing", frame(0x80, b"x")),
        (
            "a message within a message",
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
        ),
        ("a close of one byte", frame(0x88, b"\x03")),
    ];
    let codes = [
        ("a code that is never sent", frame(0x88, b"\x03\xee")),
        ("a code that is none", frame(0x88, b"\0\0")),
    ];
    let cases = cases.map(|(what, bytes)| (what, bytes, 1002, "protocol error"));
    let codes = codes.map(|(what, bytes)| (what, bytes, 1002, "protocol error"));
    closed([&cases[..], &codes[..]].concat()).await
}

#[tokio::test]
async fn text_that_is_not_utf8_is_closed_with_1007() -> Result<()> {
    let cases = [
        ("in one frame", frame(0x81, b"\xff\xfe")),
        ("a surrogate", frame(0x81, b"\xed\xa0\x80")),
        ("an overlong slash", frame(0x81, b"\xc0\xaf")),
        ("half a character", frame(0x81, b"\xe2\x82")),
        (
            "over two frames",
            [frame(0x01, b"\xe2"), frame(0x80, b"\x28\xa1")].concat(),
        ),
        (
            "half a character over two frames",
            [frame(0x01, b"a"), frame(0x80, b"\xe2\x82")].concat(),
        ),
        ("a close reason", frame(0x88, b"\x03\xe8\xff")),
    ];
    let cases = cases.map(|(what, bytes)| (what, bytes, 1007, "not UTF-8"));
    closed(cases.to_vec()).await
}

#[tokio::test]
async fn what_is_too_large_is_closed_with_1009() -> Result<()> {
    let pieces = [
        frame(0x02, &vec![1; MIB / 2]),
        frame(0x00, &vec![1; MIB / 2]),
        frame(0x80, &[1]),
    ];
    let large = "the message is too large";
    closed(vec![
        ("1 MiB + 1", frame(0x82, &vec![1; MIB + 1]), 1009, large),
        ("1 MiB + 1 in pieces", pieces.concat(), 1009, large),
        ("2^62 announced", announced(1 << 62), 1009, large),
        ("2^63 announced", announced(1 << 63), 1009, large),
        ("2^64 - 1 announced", announced(u64::MAX), 1009, large),
        (
            "1025 fragments",
            [frame(0x01, b""), frame(0x00, b"").repeat(1024)].concat(),
            1009,
            "too many fragments",
        ),
    ])
    .await
}

#[tokio::test]
async fn what_is_just_within_the_limits_comes_back() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    let mut wire = Wire::open(&scene.address, "/echo").await?;
    let largest = vec![7; MIB];
    let (mut read, mut write) = wire.0.split();
    let sent = frame(0x82, &largest);
    let mut back = vec![0; 10 + MIB];
    // Whoever writes without reading fills the kernel's buffers on both sides.
    let (written, read) = tokio::join!(
        tokio::io::AsyncWriteExt::write_all(&mut write, &sent),
        tokio::io::AsyncReadExt::read_exact(&mut read, &mut back),
    );
    written?;
    read?;
    ensure!(back.ends_with(&largest));
    let fragments = [
        frame(0x01, b"\xe2"),
        frame(0x00, b"").repeat(1022),
        frame(0x89, &[1; 125]),
        frame(0x80, b"\x82\xac"),
    ];
    wire.write(&fragments.concat()).await?;
    ensure!(wire.frame().await?.first == 0x8a);
    ensure!(wire.frame().await?.payload == "€".as_bytes());
    scene.untouched().await
}
