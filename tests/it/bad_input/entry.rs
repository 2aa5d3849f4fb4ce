//! Entries in the backend that no version of ours wrote.

use anyhow::{Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;
use towpath_testkit::redis::RedisServer;

use super::Scene;
use crate::process::PATIENCE;
use crate::wire::Wire;

/// A command to Redis in its own protocol; the first line of the answer.
async fn command(redis: &RedisServer, words: &[&[u8]]) -> Result<String> {
    let mut wire = Wire::connect(&format!("127.0.0.1:{}", redis.port())).await?;
    let mut question = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        question.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        question.extend_from_slice(word);
        question.extend_from_slice(b"\r\n");
    }
    wire.write(&question).await?;
    let mut answer = String::new();
    let mut reader = BufReader::new(wire.0);
    timeout(PATIENCE, reader.read_line(&mut answer)).await??;
    Ok(answer)
}

#[tokio::test]
async fn an_entry_that_nobody_can_read_is_refused_and_counted() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let mut scene = Scene::start_on(&redis.url(), &[]).await?;
    let far = u64::MAX.to_be_bytes();
    let header = |version: u8| [&far[..], &[version], &[0; 16]].concat();
    let entries = [
        far.to_vec(),
        [&far[..], b"garbage"].concat(),
        header(1),
        [header(1), b"\xc1garbage".to_vec()].concat(),
        [header(250), b"\x80".to_vec()].concat(),
        // A map inside a map inside a map, and no end.
        [header(1), vec![0x81; 100_000]].concat(),
    ];
    let mut refused = 0;
    for channel in ["websocket.receive", "websocket.connect", "demo.shout"] {
        let list = format!("towpath:c:{{{channel}}}");
        for entry in &entries {
            let pushed = command(&redis, &[b"RPUSH", list.as_bytes(), entry]).await?;
            ensure!(pushed.starts_with(':'), "{pushed}");
            scene.untouched().await?;
            refused += 1;
        }
    }
    // Shorter than a deadline: that is no entry, and too old as well.
    for entry in [&b""[..], b"garbage"] {
        let list = b"towpath:c:{websocket.receive}";
        command(&redis, &[b"RPUSH", list, entry]).await?;
        scene.untouched().await?;
    }
    scene.process.logged("an entry was refused").await?;
    let counted = scene.metric("towpath_layer_malformed_total").await?;
    ensure!(counted == refused, "{counted} of {refused}");
    Ok(())
}

#[tokio::test]
async fn a_letter_that_nobody_can_read_is_refused_and_counted() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let mut scene = Scene::start_on(&redis.url(), &[]).await?;
    let script =
        b"local inbox = redis.call('KEYS', 'towpath:n:*:lease')[1]:gsub('lease$', 'inbox')\n\
                   return redis.call('RPUSH', inbox, ARGV[1])";
    let header = |version: u8| [&[version][..], &[0; 16]].concat();
    let letters = [
        Vec::new(),
        b"garbage".to_vec(),
        [header(1), b"\xc1".to_vec()].concat(),
        [header(250), b"\x80".to_vec()].concat(),
        [header(1), vec![0x81; 100_000]].concat(),
    ];
    for letter in &letters {
        let pushed = command(&redis, &[b"EVAL", script, b"0", letter]).await?;
        ensure!(pushed.starts_with(':'), "{pushed}");
        scene.untouched().await?;
    }
    scene.process.logged("a letter was refused").await?;
    let counted = scene.metric("towpath_layer_malformed_total").await?;
    ensure!(counted == letters.len() as u64, "{counted}");
    Ok(())
}
