//! Which rooms there are.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;
use towpath_layer_core::{ChannelLayer, Limits, SystemClock, SystemEntropy, Tracking};
use towpath_layer_memory::MemoryLayer;

use super::TOPICS_MAX;
use crate::config::ServerConfig;
use crate::hub::connection::Connection;
use crate::hub::shard::Shard;
use crate::hub::{Hub, inbox};
use crate::protocol::request::Request;
use crate::routes::Routes;

/// Runs a test beside a shard, on a clock that moves when all is done.
async fn beside(test: impl AsyncFnOnce(Rc<Shard>)) {
    let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
    let layer = MemoryLayer::new(Limits::default(), clock, entropy);
    let config = ServerConfig {
        shards: 1,
        ..ServerConfig::default()
    };
    let routes = Routes::new([]).unwrap();
    let (hub, _arrivals) = Hub::new(Arc::new(config), routes, Arc::clone(&layer) as _);
    layer.attach(Arc::clone(&hub) as _).await.unwrap();
    let tasks = LocalSet::new();
    let beside = async {
        let shard = Shard::new(hub, 0, None);
        spawn_local(inbox::run(Rc::clone(&shard)));
        spawn_local(super::run(Rc::clone(&shard)));
        test(shard).await;
    };
    tasks.run_until(beside).await;
}

fn open(shard: &Rc<Shard>) -> Rc<Connection> {
    let request = Request {
        path: ByteString::from_static("/chat"),
        handshake: Box::default(),
        session: Bytes::new(),
        speech: None,
        accept_key: String::new(),
    };
    shard.open(request).unwrap().connection
}

fn track(topic: &str, meta: &str) -> Tracking {
    Tracking::Track {
        topic: topic.into(),
        key: "ada".into(),
        meta: meta.into(),
    }
}

fn untrack(topic: &str) -> Tracking {
    Tracking::Untrack {
        topic: topic.into(),
        key: "ada".into(),
    }
}

/// All that was begun is done, and beats have come by.
async fn rest(shard: &Shard) {
    sleep(shard.layer.limits().lease).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_that_the_last_member_and_the_last_watcher_left_is_freed() {
    beside(async |shard| {
        let (one, other) = (open(&shard), open(&shard));
        let (topic, diffs) = ("t".into(), true);
        shard.track(&one, track("t", "{}"));
        shard.track(&other, Tracking::Watch { topic, diffs });
        rest(&shard).await;
        let room = shard.presences.all_rooms().pop().unwrap();
        assert!(room.replica.borrow().as_ref().unwrap().count() == 1);
        let kept = Rc::downgrade(&room);
        drop(room);
        shard.not_here(&one);
        rest(&shard).await;
        assert!(kept.upgrade().is_some());
        shard.not_here(&other);
        rest(&shard).await;
        assert!(kept.upgrade().is_none());
        assert!(shard.presences.rooms.borrow().is_empty());
        assert!(shard.presences.of.borrow().is_empty());
        // Whoever comes next is after all that was said.
        assert!(shard.presences.floor.get() > 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_present_in_so_many_topics_and_makes_no_other_rooms() {
    beside(async |shard| {
        let connection = open(&shard);
        let rooms = || shard.presences.rooms.borrow().len();
        shard.track(&connection, untrack("nowhere"));
        shard.track(&connection, track("unfit", "[]"));
        assert_eq!(rooms(), 0);
        for number in 0..=TOPICS_MAX {
            shard.track(&connection, track(&number.to_string(), "{}"));
        }
        assert_eq!(rooms(), TOPICS_MAX);
        shard.track(&connection, untrack("0"));
        shard.track(&connection, track("one more", "{}"));
        rest(&shard).await;
        assert_eq!(rooms(), TOPICS_MAX);
        let keys = shard.presences.rooms_of(connection.id);
        assert!(keys.iter().any(|room| room.topic == "one more"));
        shard.not_here(&connection);
        rest(&shard).await;
        assert_eq!(rooms(), 0);
    })
    .await;
}
