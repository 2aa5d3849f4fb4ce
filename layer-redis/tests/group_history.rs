//! What groups keep, where Redis loses a part of it or does not answer.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use support::Place;
use towpath_layer_core::{
    ChannelLayer, GroupName, History, Limits, Position, Recalled, Reply, SendError, SystemClock,
    SystemEntropy,
};
use towpath_layer_redis::{RedisLayer, RedisOptions};

const STATE: &str = "towpath:g:{room}:history";
const KEPT: &str = "towpath:g:{room}:kept";

const HISTORY: History = History {
    size: 10,
    ttl: Duration::from_mins(5),
};

fn room() -> GroupName {
    GroupName::new("room").unwrap()
}

async fn publish(layer: &RedisLayer, text: &'static str) -> Position {
    let room = room();
    let published = layer.group_publish(&room, Reply::text(text), &HISTORY);
    published.await.unwrap().1
}

async fn recall(layer: &RedisLayer, since: Option<Position>) -> Recalled {
    layer.group_history(&room(), since, 100).await.unwrap()
}

fn offsets(recalled: &Recalled) -> Vec<u64> {
    let messages = recalled.messages.iter();
    messages
        .map(|reply| reply.position.as_ref().unwrap().offset)
        .collect()
}

async fn ask<T: redis::FromRedisValue>(admin: &mut MultiplexedConnection, words: &[&[u8]]) -> T {
    let (name, arguments) = words.split_first().unwrap();
    let mut command = redis::cmd(std::str::from_utf8(name).unwrap());
    command.arg(arguments);
    command.query_async(admin).await.unwrap()
}

/// A server that has come back with its data may have lost the end of it, and
/// would give the same offsets to other messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_life_of_the_server_is_another_epoch() {
    let place = Place::new(Limits::default()).await;
    let layer = place.connect().await;
    let mut admin = place.admin().await;
    publish(&layer, "a").await;
    let before = publish(&layer, "b").await;
    let life = [b"HSET", STATE.as_bytes(), b"run_id", b"another"];
    ask::<i64>(&mut admin, &life).await;
    let recalled = recall(&layer, Some(before)).await;
    assert_ne!(recalled.position.epoch, before.epoch);
    assert_eq!((recalled.position.offset, recalled.complete), (0, false));
    assert!(recalled.messages.is_empty());
    let first = publish(&layer, "c").await;
    assert_eq!((first.epoch, first.offset), (recalled.position.epoch, 1));
    ask::<i64>(&mut admin, &life).await;
    let again = publish(&layer, "d").await;
    assert_ne!(again.epoch, first.epoch);
    assert_eq!(again.offset, 1);
    assert_eq!(offsets(&recall(&layer, None).await), [1]);
}

/// Redis may throw away a key when its memory is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_redis_has_thrown_away_are_a_gap() {
    let place = Place::new(Limits::default()).await;
    let layer = place.connect().await;
    let mut admin = place.admin().await;
    publish(&layer, "a").await;
    let second = publish(&layer, "b").await;
    let first = Position {
        offset: 1,
        ..second
    };
    ask::<i64>(&mut admin, &[b"DEL", KEPT.as_bytes()]).await;
    let recalled = recall(&layer, Some(first)).await;
    assert!(!recalled.complete && recalled.messages.is_empty());
    assert_eq!(recalled.position, second);
    assert_eq!(publish(&layer, "c").await.offset, 3);
    let recalled = recall(&layer, Some(first)).await;
    assert_eq!((offsets(&recalled), recalled.complete), (vec![3], false));
    assert!(recall(&layer, Some(second)).await.complete);
}

/// What cannot be read, as it is of another version, is told as missing; what
/// stands around it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_is_a_gap() {
    let place = Place::new(Limits::default()).await;
    let layer = place.connect().await;
    let mut admin = place.admin().await;
    for text in ["a", "b", "c"] {
        publish(&layer, text).await;
    }
    let last = recall(&layer, None).await.position;
    let entry = [0x7f, 0, 0, 0, 0, 0, 0, 0, 0xff];
    let replace = [b"LSET", KEPT.as_bytes(), b"1", &entry];
    ask::<String>(&mut admin, &replace).await;
    let begin = Position { offset: 0, ..last };
    let recalled = recall(&layer, Some(begin)).await;
    assert_eq!((offsets(&recalled), recalled.complete), (vec![1, 3], false));
    let behind = Position { offset: 2, ..last };
    assert!(recall(&layer, Some(behind)).await.complete);
}

/// What nobody uses goes by itself: first the messages, then where they stood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_ends_by_itself() {
    let limits = Limits {
        group_expiry: Duration::from_mins(1),
        ..Limits::default()
    };
    let place = Place::new(limits).await;
    let layer = place.connect().await;
    let mut admin = place.admin().await;
    publish(&layer, "a").await;
    let mut lives = async |key: &str| {
        let ms: u64 = ask(&mut admin, &[b"PTTL", key.as_bytes()]).await;
        Duration::from_millis(ms)
    };
    let (kept, state) = (lives(KEPT).await, lives(STATE).await);
    assert!(kept <= HISTORY.ttl && kept > HISTORY.ttl / 2, "{kept:?}");
    assert!(state <= 2 * HISTORY.ttl && state > HISTORY.ttl, "{state:?}");
    let keys: Vec<String> = ask(&mut admin, &[b"KEYS", b"towpath:g:*"]).await;
    assert_eq!(keys.len(), 2, "{keys:?}");
}

/// A publish that was not answered in time may have been kept, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_without_an_answer_is_not_repeated() {
    let place = Place::new(Limits::default()).await;
    let mut options = RedisOptions::new(place.server.url());
    options.call_timeout = Duration::from_millis(500);
    let hasty = RedisLayer::connect(
        options,
        Limits::default(),
        Arc::new(SystemClock::new()),
        Arc::new(SystemEntropy),
    );
    let (hasty, patient) = (hasty.await.unwrap(), place.connect().await);
    publish(&hasty, "first").await;
    place.server.pause().unwrap();
    let room = room();
    let published = hasty.group_publish(&room, Reply::text("unknown"), &HISTORY);
    let error = published.await.unwrap_err();
    place.server.resume().unwrap();
    let SendError::Unavailable(error) = error else {
        panic!("{error}");
    };
    assert!(error.outcome_unknown, "{error}");
    publish(&patient, "last").await;
    let recalled = recall(&patient, None).await;
    let unknown = Reply::text("unknown").frame;
    let kept = recalled
        .messages
        .iter()
        .filter(|reply| reply.frame == unknown);
    let kept = kept.count();
    assert!(kept <= 1, "it was kept {kept} times");
    // It may have been kept before the last one, or behind it.
    assert_eq!(recalled.position.offset, 2 + kept as u64);
}

/// Whoever joins topics at will makes Redis keep them for minutes only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_to_which_nothing_was_published_is_soon_forgotten() {
    let place = Place::new(Limits::default()).await;
    let layer = place.connect().await;
    let mut admin = place.admin().await;
    let mut left = async || {
        let left: i64 = ask(&mut admin, &[b"PTTL", STATE.as_bytes()]).await;
        Duration::from_millis(left.try_into().unwrap())
    };
    let empty = recall(&layer, None).await;
    assert!(left().await <= History::EMPTY_LIFE);
    assert_eq!(recall(&layer, Some(empty.position)).await, empty);
    assert!(left().await <= History::EMPTY_LIFE);
    let first = publish(&layer, "a").await;
    assert_eq!(first.epoch, empty.position.epoch);
    let expiry = Limits::default().group_expiry;
    assert!(left().await > expiry - Duration::from_mins(1));
    assert_eq!(recall(&layer, Some(empty.position)).await.position, first);
    assert!(left().await > expiry - Duration::from_mins(1));
}
