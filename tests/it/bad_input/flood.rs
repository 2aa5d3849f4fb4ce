//! Peers that do not read.

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::Scene;
use crate::chat::Socket;
use crate::process::PATIENCE;
use crate::wire::{Wire, frame};

const PAYLOAD: usize = 8 << 10;

/// The most messages in the flood: a multiple of what all buffers hold.
const MESSAGES_MAX: usize = 4096;

const SMALL: [(&str, &str); 3] = [
    ("TOWPATH__SERVER__OUTBOX_BYTES_MAX", "65536"),
    ("TOWPATH__SERVER__SEND_BUFFER_BYTES", "16384"),
    ("TOWPATH__SERVER__CLOSE_TIMEOUT", "500ms"),
];

#[tokio::test]
async fn a_slow_reader_is_closed_with_1013_and_its_neighbours_miss_nothing() -> Result<()> {
    let mut scene = Scene::start(&SMALL).await?;
    let mut slow = Wire::open(&scene.address, "/room/flood").await?;
    let mut talker = Socket::connect(&scene.address, "/room/flood").await?;
    let mut messages = 0;
    while scene.closes("1013").await? == 0 {
        ensure!(messages < MESSAGES_MAX, "the slow reader stays for ever");
        for _ in 0..8 {
            messages += 1;
            let message = Message::text(format!("{messages:>PAYLOAD$}"));
            talker.send(message.clone()).await?;
            ensure!(talker.next().await? == message);
        }
        scene.untouched().await?;
    }
    // What it got is whole and in order; then it is told, or reset.
    let mut got = 0;
    while let Ok(frame) = slow.frame().await {
        if frame.first == 0x88 {
            ensure!(frame.payload.starts_with(&1013_u16.to_be_bytes()));
            break;
        }
        got += 1;
        ensure!(frame.payload == format!("{got:>PAYLOAD$}").as_bytes());
    }
    ensure!(0 < got && got < messages, "{got} of {messages}");
    slow.ended().await?;
    talker.send(Message::text("on we go")).await?;
    ensure!(talker.next().await? == Message::text("on we go"));
    ensure!(scene.closes("1013").await? == 1);
    scene.untouched().await
}

#[tokio::test]
async fn a_flood_of_pings_is_bounded() -> Result<()> {
    let mut scene = Scene::start(&SMALL).await?;
    let mut wire = Wire::open(&scene.address, "/echo").await?;
    let pings = frame(0x89, &[1; 125]).repeat(100);
    let flood = async { while wire.0.write_all(&pings).await.is_ok() {} };
    let others = async {
        for _ in 0..20 {
            scene.untouched().await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let (flooded, others) = tokio::join!(timeout(PATIENCE, flood), others);
    others?;
    flooded.context("it may ping for ever")?;
    scene.alone().await?;
    ensure!(scene.closes("1013").await? == 1);
    scene.untouched().await
}

#[tokio::test]
async fn a_peer_that_only_writes_is_held_back() -> Result<()> {
    let mut scene = Scene::start(&SMALL).await?;
    let mut wire = Wire::open(&scene.address, "/echo").await?;
    // Echoes that nobody reads: at last the writer is closed as a slow reader.
    let message = frame(0x82, &[1; PAYLOAD]);
    let flood = async { while wire.0.write_all(&message).await.is_ok() {} };
    timeout(PATIENCE, flood)
        .await
        .context("it may write for ever")?;
    scene.alone().await?;
    ensure!(scene.closes("1013").await? == 1);
    scene.untouched().await
}
