//! Delayed messages on a Redis that is shared, lost, and out of step.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use support::Place;
use tokio::time::{Instant, sleep, timeout};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, DelayKey, Limits, Message, Receiver, Reply,
};
use towpath_layer_redis::RedisLayer;
use towpath_testkit::{CollectingSink, Faults as _};

const STEP_MAX: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(10);
const REGISTRY: &str = "towpath:{delays}";

fn work() -> ChannelName {
    ChannelName::new("work").unwrap()
}

fn message(number: u64) -> Message {
    Content::encode(&number).unwrap().into()
}

fn number(message: &Message) -> u64 {
    match message {
        Message::Custom(content) => content.decode().unwrap(),
        other => panic!("not a number: {other:?}"),
    }
}

async fn later(layer: &RedisLayer, delay: Duration, number: u64) -> DelayKey {
    let channel = work();
    let waits = layer.send_after(delay, &channel, message(number));
    waits.await.unwrap()
}

async fn next(receiver: &mut dyn Receiver) -> u64 {
    let mut buffer = Vec::new();
    let receive = receiver.receive_many(&mut buffer, 1);
    timeout(STEP_MAX, receive).await.unwrap().unwrap();
    number(&buffer[0].message)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        let late = begin.elapsed() >= STEP_MAX;
        assert!(!late, "{what}: not within {STEP_MAX:?}");
        sleep(AGAIN).await;
    }
}

async fn keys(admin: &mut MultiplexedConnection, pattern: &str) -> Vec<String> {
    let mut question = redis::cmd("KEYS");
    question.arg(pattern);
    question.query_async(admin).await.unwrap()
}

async fn waiting_keys(admin: &mut MultiplexedConnection) -> Vec<String> {
    let mut left = keys(admin, "*:delayed*").await;
    left.extend(keys(admin, "*:waiting").await);
    left.extend(keys(admin, "*{delays}*").await);
    left
}

/// How often clients called a script since the counts began.
async fn scripts(admin: &mut MultiplexedConnection) -> u64 {
    let mut question = redis::cmd("INFO");
    question.arg("commandstats");
    let statistics: String = question.query_async(admin).await.unwrap();
    let line = statistics
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls = line.and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_receiver_gets_it_at_its_time_and_not_before() {
    const DELAY: Duration = Duration::from_millis(200);
    const ROUNDS: u32 = 15;
    let place = Place::new(Limits::default()).await;
    let (sender, layer) = (place.connect().await, place.connect().await);
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    let mut late = Vec::new();
    for round in 0..ROUNDS {
        let asked = Instant::now();
        let send = later(&sender, DELAY, round.into());
        let (_, received) = tokio::join!(send, next(&mut *receiver));
        assert_eq!(received, u64::from(round));
        let took = asked.elapsed();
        assert!(took >= DELAY, "after {took:?}");
        late.push(took - DELAY);
    }
    late.sort_unstable();
    println!("late by {late:?}");
    // The median, so that a busy machine does not fail the test.
    assert!(late[late.len() / 2] < Duration::from_millis(50), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_message_does_not_wait_for_a_later_one() {
    let place = Place::new(Limits::default()).await;
    let (sender, layer) = (place.connect().await, place.connect().await);
    later(&sender, Duration::from_hours(1), 2).await;
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    let asked = Instant::now();
    let delay = Duration::from_millis(300);
    later(&sender, delay, 1).await;
    assert_eq!(next(&mut *receiver).await, 1);
    // Far less than the longest pause between two looks.
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_survives_that_every_process_is_gone_meanwhile() {
    let place = Place::new(Limits::default()).await;
    let asker = place.connect().await;
    later(&asker, Duration::from_millis(300), 1).await;
    let cancelled = later(&asker, Duration::from_mins(10), 2).await;
    asker.abandon();
    drop(asker);
    sleep(Duration::from_millis(400)).await;
    let heir = place.connect().await;
    let mut receiver = heir.receiver(vec![work()]).unwrap();
    assert_eq!(next(&mut *receiver).await, 1);
    assert!(heir.cancel(&cancelled).await.unwrap());
    assert!(!heir.cancel(&cancelled).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dies_while_sending_what_is_due_only_delays_it() {
    let place = Place::new(Limits::default()).await;
    let layer = place.connect().await;
    let mut admin = place.admin().await;
    let asked = Instant::now();
    later(&layer, Duration::from_millis(500), 1).await;
    // Somebody claims the channel when it is due, and dies on it.
    let mut claim = redis::cmd("HSET");
    claim.arg(format!("{REGISTRY}:claims")).arg("work").arg("x");
    claim.query_async::<()>(&mut admin).await.unwrap();
    let mut put_off = redis::cmd("ZINCRBY");
    put_off.arg(REGISTRY).arg(1_000).arg("work");
    put_off.query_async::<()>(&mut admin).await.unwrap();
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    assert_eq!(next(&mut *receiver).await, 1);
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(1_400), "after {took:?}");
    assert!(took < Duration::from_secs(3), "after {took:?}");
    until("the claim is gone", async || {
        waiting_keys(&mut admin).await.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_wedges_nothing() {
    let place = Place::new(Limits::default()).await;
    let layer = place.connect().await;
    let mut admin = place.admin().await;
    later(&layer, Duration::from_hours(1), 1).await;
    // What is an hour away is due now: as if the clock had jumped an hour on.
    for key in ["towpath:c:{work}:delayed", REGISTRY] {
        let mut question = redis::cmd("ZRANGE");
        question.arg(key).arg(0).arg(0).arg("WITHSCORES");
        let (member, score): (Vec<u8>, i64) = question.query_async(&mut admin).await.unwrap();
        let mut jump = redis::cmd("ZADD");
        jump.arg(key).arg(score - 3_600_000).arg(member);
        jump.query_async::<()>(&mut admin).await.unwrap();
    }
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    assert_eq!(next(&mut *receiver).await, 1);
    later(&layer, Duration::from_millis(50), 2).await;
    assert_eq!(next(&mut *receiver).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_delays_again() {
    let place = Place::new(Limits::default()).await;
    let (sender, layer) = (place.connect().await, place.connect().await);
    let key = later(&sender, Duration::from_millis(300), 1).await;
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    place.restart_empty().await;
    until("redis is back", async || sender.ping().await.is_ok()).await;
    assert!(!sender.cancel(&key).await.unwrap(), "it went with the data");
    for number in 2..5 {
        later(&sender, Duration::from_millis(100), number).await;
        assert_eq!(next(&mut *receiver).await, number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_due_during_an_outage_comes_after_it() {
    let place = Place::new(Limits::default()).await;
    let (sender, layer) = (place.connect().await, place.connect().await);
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    for number in 0..20 {
        later(&sender, Duration::from_millis(100 + 10 * number), number).await;
    }
    place.pause(Duration::from_millis(700)).await;
    for number in 0..20 {
        assert_eq!(next(&mut *receiver).await, number);
    }
}

/// A message is put down while another process looks at its channel and finds
/// nothing more to do there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_down_while_others_are_sent_is_not_forgotten() {
    const ROUNDS: u64 = 200;
    const SENDERS: u64 = 3;
    const EACH: u64 = 4;
    let place = Place::new(Limits::default()).await;
    let nodes = [
        place.connect().await,
        place.connect().await,
        place.connect().await,
    ];
    let mut receiver = nodes[0].receiver(vec![work()]).unwrap();
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let begin = Instant::now();
        let sends = (0..SENDERS).zip(&nodes).map(|(sender, layer)| async move {
            for place in 0..EACH {
                let delay = Duration::from_micros((round * 7 + sender * 311) % 1_500);
                later(layer, delay, (round * SENDERS + sender) * EACH + place).await;
            }
        });
        let receives = async {
            let mut received = Vec::new();
            for _ in 0..SENDERS * EACH {
                received.push(next(&mut *receiver).await);
            }
            received.sort_unstable();
            received
        };
        let sends = futures_util::future::join_all(sends);
        let (_, received) = tokio::join!(sends, receives);
        let first = round * SENDERS * EACH;
        assert_eq!(
            received,
            (first..first + SENDERS * EACH).collect::<Vec<_>>()
        );
        slowest = slowest.max(begin.elapsed());
    }
    println!("the slowest of {ROUNDS} rounds took {slowest:?}");
    // Nothing had to wait for a later look by chance.
    assert!(slowest < Duration::from_millis(1_500), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_behind_once_all_was_sent_or_cancelled() {
    const COUNT: u64 = 100;
    let place = Place::new(Limits::default()).await;
    let (layer, other) = (place.connect().await, place.connect().await);
    let sink = Arc::new(CollectingSink::new(layer.limits()));
    layer.attach(sink.clone()).await.unwrap();
    let local = sink.open();
    let connection = ChannelName::reply(layer.node(), local);
    let mut admin = place.admin().await;
    let mut keys = Vec::new();
    for number in 0..COUNT {
        let delay = Duration::from_millis(100 + number % 50);
        keys.push(later(&layer, delay, number).await);
        let reply = Reply::text(number.to_string());
        let waits = other.send_after(delay, &connection, reply.into());
        keys.push(waits.await.unwrap());
    }
    assert!(!waiting_keys(&mut admin).await.is_empty());
    let mut arrived = 0;
    for key in keys.iter().step_by(3) {
        arrived += usize::from(!other.cancel(key).await.unwrap());
    }
    arrived += keys.len() - keys.len().div_ceil(3);
    let mut receiver = other.receiver(vec![work()]).unwrap();
    let (mut buffer, mut replies) = (Vec::new(), 0);
    until("all of it came", async || {
        let receive = receiver.receive_many(&mut buffer, 100);
        let _nothing_now = timeout(AGAIN, receive).await;
        replies += sink.replies(local).len();
        buffer.len() + replies == arrived
    })
    .await;
    until("nothing is left", async || {
        waiting_keys(&mut admin).await.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_far_time_asks_redis_hardly_anything() {
    let place = Place::new(Limits::default()).await;
    let (layer, _other) = (place.connect().await, place.connect().await);
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    later(&layer, Duration::from_hours(1), 1).await;
    let mut admin = place.admin().await;
    let before = scripts(&mut admin).await;
    let mut buffer = Vec::new();
    let receive = receiver.receive_many(&mut buffer, 1);
    timeout(Duration::from_secs(3), receive).await.unwrap_err();
    let asked = scripts(&mut admin).await - before;
    assert!(asked <= 10, "{asked} scripts in three seconds");
}
