//! Broadcasts of topics, heard by code that is no consumer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use towpath_layer_core::{ChannelLayer, Limits, Mailbox, SeededEntropy, SystemClock};
use towpath_layer_memory::MemoryLayer;
use towpath_worker::{Heard, Subscription, TopicPayload, Topics};

const PATIENCE: Duration = Duration::from_mins(2);

/// The topics of two nodes.
fn nodes() -> (Topics, Topics, Arc<MemoryLayer>) {
    let (clock, entropy) = (
        Arc::new(SystemClock::new()),
        Arc::new(SeededEntropy::new(3)),
    );
    let one = MemoryLayer::new(Limits::default(), clock, entropy);
    let other = one.another_node();
    (Topics::new(one.clone()), Topics::new(other), one)
}

async fn next(news: &mut Subscription) -> Option<Heard> {
    timeout(PATIENCE, news.next()).await.unwrap()
}

fn heard(topic: &str, event: &str, payload: TopicPayload) -> Option<Heard> {
    Some(Heard::Broadcast {
        topic: topic.into(),
        event: event.into(),
        payload,
    })
}

fn count(number: usize) -> TopicPayload {
    TopicPayload::encode(&json!({"n": number})).unwrap()
}

#[tokio::test]
async fn a_task_hears_the_topics_it_subscribes_to_from_every_node() {
    let (here, there, _layer) = nodes();
    let mut news = here.subscribe("room:1").await.unwrap();
    news.subscribe("room:é 2").await.unwrap();
    for (number, topics) in [&here, &there, &there].into_iter().enumerate() {
        let payload = json!({"n": number});
        topics.broadcast("room:1", "said", &payload).await.unwrap();
        topics.broadcast("room:3", "said", &payload).await.unwrap();
    }
    there
        .broadcast_bytes("room:é 2", "raw", &b"\x00\xff"[..])
        .await
        .unwrap();
    for number in 0..3 {
        let expected = heard("room:1", "said", count(number));
        assert_eq!(next(&mut news).await, expected);
    }
    let raw = TopicPayload::binary(&b"\x00\xff"[..]);
    assert_eq!(next(&mut news).await, heard("room:é 2", "raw", raw));

    news.unsubscribe("room:1").await.unwrap();
    let local = |n: usize| json!({"n": n});
    here.broadcast("room:1", "said", &local(3)).await.unwrap();
    here.local_broadcast("room:é 2", "said", &local(4))
        .await
        .unwrap();
    there
        .local_broadcast("room:é 2", "said", &local(5))
        .await
        .unwrap();
    here.broadcast("room:é 2", "said", &local(6)).await.unwrap();
    assert_eq!(next(&mut news).await, heard("room:é 2", "said", count(4)));
    assert_eq!(next(&mut news).await, heard("room:é 2", "said", count(6)));
}

#[tokio::test]
async fn one_that_is_not_read_is_told_of_what_it_lost() {
    let (here, there, _layer) = nodes();
    let mut news = here.subscribe("room:1").await.unwrap();
    for number in 0..Mailbox::ENTRIES_MAX + 7 {
        let payload = json!({"n": number});
        there.broadcast("room:1", "said", &payload).await.unwrap();
    }
    for number in 0..Mailbox::ENTRIES_MAX {
        let expected = heard("room:1", "said", count(number));
        assert_eq!(next(&mut news).await, expected);
    }
    assert_eq!(next(&mut news).await, Some(Heard::Gap));
    there
        .broadcast("room:1", "said", &json!({"n": 1}))
        .await
        .unwrap();
    assert_eq!(next(&mut news).await, heard("room:1", "said", count(1)));
}

#[tokio::test]
async fn it_ends_with_its_process_and_never_hears_the_protocols_own_topic() {
    let (here, _there, layer) = nodes();
    let refused = here.subscribe("phoenix").await.unwrap_err();
    assert!(refused.to_string().contains("the protocol's own"));
    let mut news = here.subscribe("room:1").await.unwrap();
    news.subscribe("phoenix").await.unwrap_err();
    layer.close().await;
    assert_eq!(next(&mut news).await, None);
}
