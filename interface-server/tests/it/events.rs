//! Events: order, one in flight, failures, retries, losses.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio_util::task::TaskTracker;
use towpath_interface_server::{OnEvent, ServerConfig};
use towpath_layer_core::{
    Application, ChannelLayer, Content, EventKind, Frame, GlobTable, GroupChange, GroupName,
    Limits, Outcome, Reply, channels,
};

use crate::client::{Client, Raw, frame, read_frame};
use crate::rig::{Rig, Worker, config, until, within};

pub(crate) async fn open(rig: &Rig, worker: &mut Worker) -> Client {
    let (client, _) = tokio::join!(rig.connect("/chat"), worker.welcome());
    client
}

#[tokio::test]
async fn messages_come_back_in_order_whatever_they_are() {
    let rig = Rig::start(config()).await;
    let _echo = rig.echo();
    let raw = Raw::open(rig.address).await;
    let (mut read, mut write) = raw.stream.into_split();
    let writer = TaskTracker::new().spawn(async move {
        for number in 0..500_u32 {
            let text = format!("text {number}");
            write
                .write_all(&frame(0x81, text.as_bytes()))
                .await
                .unwrap();
            write
                .write_all(&frame(0x82, &number.to_be_bytes()))
                .await
                .unwrap();
            write.write_all(&frame(0x81, b"")).await.unwrap();
        }
        write.write_all(&frame(0x82, &[9; 100_000])).await.unwrap();
        write
    });
    for number in 0..500_u32 {
        let text = format!("text {number}").into_bytes();
        assert_eq!(within(read_frame(&mut read)).await, (0x81, text));
        let bytes = number.to_be_bytes().to_vec();
        assert_eq!(within(read_frame(&mut read)).await, (0x82, bytes));
        assert_eq!(within(read_frame(&mut read)).await, (0x81, Vec::new()));
    }
    assert_eq!(
        within(read_frame(&mut read)).await,
        (0x82, vec![9; 100_000])
    );
    writer.await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn one_event_is_in_flight_and_carries_the_session_on() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    client.send("one").await;
    client.send("two").await;
    let one = worker.next().await;
    assert_eq!(
        (one.order, &one.kind),
        (1, &EventKind::Receive(Frame::Text("one".into())))
    );
    assert!(one.session.is_empty());
    assert!(worker.is_idle(Duration::from_millis(100)).await);
    worker.done_with_session(&one, "s1").await;
    let two = worker.next().await;
    assert_eq!(
        (two.order, &two.kind),
        (2, &EventKind::Receive(Frame::Text("two".into())))
    );
    assert_eq!(two.session, "s1".as_bytes());
    assert!(two.attempt > one.attempt);
    worker.done(&two).await;
    client.send("three").await;
    assert_eq!(worker.next().await.session, "s1".as_bytes());
    rig.end().await;
}

#[tokio::test]
async fn a_stale_completion_is_counted_and_changes_nothing() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    client.send("one").await;
    client.send("two").await;
    let mut event = worker.next().await;
    let attempt = event.attempt;
    event.attempt += 7;
    worker.done_with_session(&event, "stale").await;
    until(async || rig.layer.statistics().await.unwrap().stale == 1).await;
    assert!(worker.is_idle(Duration::from_millis(50)).await);
    event.attempt = attempt;
    worker.done(&event).await;
    assert!(worker.next().await.session.is_empty());
    rig.end().await;
}

#[tokio::test]
async fn a_failed_consumer_closes_with_1011_and_is_told_of_the_end() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    let mut bystander = open(&rig, &mut worker).await;
    client.send("one").await;
    let event = worker.next().await;
    worker
        .complete(
            &event,
            Outcome::Failed {
                error_id: "e42".into(),
            },
        )
        .await;
    assert_eq!(client.closed().await, 1011);
    assert_eq!(worker.farewell().await, 1011);
    bystander.send("still here").await;
    worker.next().await;
    rig.end().await;
}

#[tokio::test]
async fn a_retry_is_the_same_event_with_the_old_session_and_a_new_attempt() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    client.send("one").await;
    let first = worker.next().await;
    worker.complete(&first, Outcome::Retry).await;
    let mut last = worker.next().await;
    assert_eq!(
        (last.order, &last.kind, &last.session),
        (first.order, &first.kind, &first.session)
    );
    assert!(last.attempt > first.attempt);
    for _ in 1..10 {
        worker.complete(&last, Outcome::Retry).await;
        last = worker.next().await;
    }
    worker.complete(&last, Outcome::Retry).await;
    assert_eq!(client.closed().await, 1011);
    rig.end().await;
}

#[tokio::test]
async fn a_lost_event_is_ignored_or_closes_as_configured() {
    for (on_lost, closes) in [(OnEvent::Ignore, false), (OnEvent::Close, true)] {
        let rig = Rig::start(ServerConfig {
            on_lost,
            ..config()
        })
        .await;
        let mut worker = rig.worker();
        let mut client = open(&rig, &mut worker).await;
        client.send("one").await;
        let event = worker.next().await;
        worker.complete(&event, Outcome::Lost).await;
        until(async || rig.layer.statistics().await.unwrap().lost == 1).await;
        if closes {
            assert_eq!(client.closed().await, 1012);
        } else {
            client.send("two").await;
            assert_eq!(worker.next().await.order, 2);
        }
        rig.end().await;
    }
}

#[tokio::test]
async fn an_event_whose_worker_died_unheard_is_found_within_seconds() {
    let rig = Rig::start(ServerConfig {
        close_timeout: Duration::from_millis(500),
        ..config()
    })
    .await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    let mut doomed = Worker::on(rig.layer.another_node());
    client.send("one").await;
    client.send("two").await;
    // Either worker may get it; the one that does dies with it.
    let taken = tokio::select! {
        event = doomed.next() => event,
        event = worker.next() => event,
    };
    let mut next = rig.worker();
    drop((worker, doomed));
    let second = next.next().await;
    assert_eq!((taken.order, second.order), (1, 2));
    assert_eq!(rig.layer.statistics().await.unwrap().lost, 1);
    rig.end().await;
}

#[tokio::test]
async fn an_event_whose_worker_said_that_it_holds_it_lives_as_long_as_its_lease() {
    let limits = Limits {
        lease: Duration::from_millis(300),
        ..Limits::default()
    };
    let short = ServerConfig {
        close_timeout: Duration::from_millis(500),
        ..config()
    };
    let rig = Rig::start_with(short, limits, None, None).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    client.send("one").await;
    client.send("two").await;
    let one = worker.next().await;
    worker.holds(&one).await;
    // Longer than an event is believed in that nobody holds.
    assert!(worker.is_idle(Duration::from_secs(3)).await);
    assert_eq!(rig.layer.statistics().await.unwrap().lost, 0);
    worker.layer.abandon();
    let mut next = rig.worker();
    assert_eq!(next.next().await.order, 2);
    assert_eq!(rig.layer.statistics().await.unwrap().lost, 1);
    rig.end().await;
}

#[tokio::test]
async fn an_event_that_waits_for_a_worker_is_not_taken_for_lost() {
    let rig = Rig::start(ServerConfig {
        close_timeout: Duration::from_millis(500),
        ..config()
    })
    .await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    drop(worker);
    client.send("one").await;
    until(async || rig.layer.statistics().await.unwrap().total.pending == 1).await;
    let layer = &rig.layer;
    let aged = async || {
        let age = layer.statistics().await.unwrap().total.oldest_age;
        age.is_some_and(|age| age > Duration::from_secs(4))
    };
    until(aged).await;
    let mut worker = rig.worker();
    let one = worker.next().await;
    worker.reply(&one, Reply::text("late")).await;
    worker.done(&one).await;
    assert_eq!(client.text().await, "late");
    assert_eq!(rig.layer.statistics().await.unwrap().lost, 0);
    rig.end().await;
}

#[tokio::test]
async fn a_consumer_that_takes_longer_than_allowed_loses_its_event() {
    let mut limits = Limits::default();
    limits.expiry = limits
        .expiry
        .rule(channels::RECEIVE, Duration::from_secs(1));
    let short = ServerConfig {
        consumer_timeout: Duration::from_millis(300),
        ..config()
    };
    let rig = Rig::start_with(short, limits, None, None).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    client.send("one").await;
    client.send("two").await;
    let one = worker.next().await;
    let two = worker.next().await;
    assert_eq!(two.order, 2);
    worker.done_with_session(&one, "late").await;
    until(async || rig.layer.statistics().await.unwrap().stale == 1).await;
    rig.end().await;
}

#[tokio::test]
async fn a_full_channel_holds_the_event_until_there_is_room() {
    let limits = Limits {
        capacity: GlobTable::new(100).rule("websocket.receive", 1),
        ..Limits::default()
    };
    let rig = Rig::start_with(config(), limits, None, None).await;
    let mut worker = rig.worker();
    let mut first = open(&rig, &mut worker).await;
    let mut second = open(&rig, &mut worker).await;
    first.send("one").await;
    until(async || rig.layer.statistics().await.unwrap().total.pending == 1).await;
    second.send("two").await;
    until(async || rig.layer.statistics().await.unwrap().total.full > 0).await;
    for expected in ["one", "two"] {
        let event = worker.next().await;
        assert_eq!(event.kind, EventKind::Receive(Frame::Text(expected.into())));
        worker.done(&event).await;
    }
    rig.end().await;
}

#[tokio::test]
async fn an_application_event_comes_to_the_conversations_own_consumer() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let (_client, connect) = tokio::join!(rig.connect("/chat"), worker.welcome());
    let tick = Application::new("tick", Content::encode(&7).unwrap());
    worker.reply(&connect, Reply::event(tick.clone())).await;
    let event = worker.next().await;
    assert_eq!(
        (event.order, event.kind),
        (1, EventKind::Application(Box::new(tick)))
    );
    rig.end().await;
}

#[tokio::test]
async fn a_close_of_the_client_comes_last_and_once() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let mut raw = Raw::connect(rig.address).await;
    raw.write(crate::client::request("/chat", "").as_bytes())
        .await;
    worker.welcome().await;
    assert!(raw.head().await.contains("101"));
    let mut bytes = frame(0x81, b"one");
    bytes.extend(frame(0x81, b"two"));
    raw.write(&bytes).await;
    let one = worker.next().await;
    let (code, mut payload) = (4000_u16, Vec::new());
    payload.extend(code.to_be_bytes());
    payload.extend(b"bye");
    worker.done(&one).await;
    let two = worker.next().await;
    raw.write(&frame(0x88, &payload)).await;
    assert_eq!(raw.closed().await, 4000);
    raw.ended().await;
    assert!(worker.is_idle(Duration::from_millis(50)).await);
    worker.done(&two).await;
    let event = worker.next().await;
    let reason = "bye".into();
    assert_eq!(event.kind, EventKind::Disconnect { code, reason });
    assert_eq!(event.order, 3);
    worker.done(&event).await;
    until(async || rig.handle.conversations() == 0).await;
    assert!(worker.is_idle(Duration::from_millis(50)).await);
    assert_eq!(rig.layer.statistics().await.unwrap().dropped, 0);
    rig.end().await;
}

#[tokio::test]
async fn a_close_of_the_consumer_follows_its_frames() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    client.send("one").await;
    let event = worker.next().await;
    let last = Reply {
        frame: Some(Frame::Text("last words".into())),
        ..Reply::close(4001, "over")
    };
    worker.reply(&event, last).await;
    worker.reply(&event, Reply::text("too late")).await;
    worker.done(&event).await;
    assert_eq!(client.text().await, "last words");
    assert_eq!(client.closed().await, 4001);
    assert_eq!(worker.farewell().await, 4001);
    rig.end().await;
}

#[tokio::test]
async fn group_changes_that_the_layer_has_lost_are_repeated() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let (_client, connect) = tokio::join!(rig.connect("/chat"), async {
        let event = worker.next().await;
        worker.accept(&event).await;
        let group = GroupName::new("room").unwrap();
        let meta = bytes::Bytes::from_static(b"m");
        worker
            .done_with_groups(&event, vec![GroupChange::add(group, meta)])
            .await;
        event
    });
    let room = GroupName::new("room").unwrap();
    let channel = &connect.reply_channel;
    until(async || rig.layer.is_member(&room, channel).await.unwrap()).await;
    rig.end().await;
}
