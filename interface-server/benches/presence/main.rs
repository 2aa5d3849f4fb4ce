//! Who is here in one large topic while many join it: what a reading of it, and
//! a broadcast to another topic, take meanwhile.
//!
//! One shard and the memory layer on one thread with the worker of its joins;
//! the readings and broadcasts come from another. Sockets are in memory and only
//! count what is written to them: no kernel takes part. Everybody is present,
//! and is told the state and all differences.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so")]

mod probe;
#[path = "../hub/rig.rs"]
#[allow(dead_code, reason = "this bench sends no plain frames")]
mod rig;
#[path = "../hub/socket.rs"]
mod socket;

use std::io::Write as _;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval, sleep};
use towpath_layer_core::{ChannelLayer, Event, Frame, GroupName, Reply, TopicReply, Tracking};
use towpath_layer_memory::MemoryLayer;

use crate::probe::Probe;
use crate::rig::{PHOENIX, Rig, answer, masked, next};

const USERS: usize = 10_000;
const JOINS_A_SECOND: usize = 500;
/// So many are opened at once: their connects wait on one channel of the layer.
const OPENING: usize = 1_000;
const TICK: Duration = Duration::from_millis(10);
/// How long is measured when all have joined and nothing happens.
const REST: Duration = Duration::from_secs(5);

const TOPIC: &str = "bench:crowd";
const QUIET: &str = "bench:quiet";

fn join(topic: &str) -> Vec<u8> {
    masked(&format!(r#"["1","1","{topic}","phx_join",{{}}]"#))
}

/// Lets somebody join, and says that they are here.
async fn welcome(layer: &MemoryLayer, join: &Event, user: Option<usize>) {
    let topic = join.topic.as_deref().unwrap();
    let group = GroupName::topic(topic);
    let added = layer.group_add(&group, &join.reply_channel, Bytes::new());
    added.await.unwrap();
    let response = Frame::Text("{}".into());
    let mut said = vec![TopicReply::Joined { response }];
    if let Some(user) = user {
        let topic = topic.to_owned();
        said.push(TopicReply::Tracking(Tracking::Watch {
            topic: topic.clone().into(),
            diffs: true,
        }));
        said.push(TopicReply::Tracking(Tracking::Track {
            topic: topic.into(),
            key: format!("user-{user}").into(),
            meta: format!(r#"{{"name":"User {user}","online_at":"1763755200"}}"#).into(),
        }));
    }
    let reply = Reply {
        topic: said,
        ..Reply::default()
    };
    answer(layer, join, reply).await;
}

/// One who joined another topic, with a count of its own of what it is written.
fn listener(rig: &mut Rig) -> Probe {
    rig.open(PHOENIX, 1, |_| iter::empty());
    rig.peers.pop().unwrap().say(&join(QUIET));
    let (layer, receiver) = (&rig.layer, &mut rig.receiver);
    rig.tasks.block_on(&rig.runtime, async {
        let event = next(&mut **receiver).await;
        welcome(layer, &event, None).await;
        rig.written.reach(2).await;
    });
    let written = std::mem::take(&mut rig.written);
    Probe::new(Arc::clone(&rig.layer), written)
}

/// All join, so many a second; how long it took until all are present.
fn crowd(rig: &mut Rig) -> Duration {
    let (layer, receiver, peers) = (&rig.layer, &mut rig.receiver, &rig.peers);
    let join = join(TOPIC);
    let asks = async {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let each = JOINS_A_SECOND * usize::try_from(TICK.as_millis()).unwrap() / 1_000;
        for some in peers.chunks(each) {
            ticks.tick().await;
            some.iter().for_each(|peer| peer.say(&join));
        }
    };
    let lets_in = async {
        for user in 0..USERS {
            let event = next(&mut **receiver).await;
            welcome(layer, &event, Some(user)).await;
        }
        let group = GroupName::presences(TOPIC);
        while layer.group_count(&group).await.unwrap() < USERS as u64 {
            sleep(TICK).await;
        }
    };
    rig.tasks.block_on(&rig.runtime, async {
        let begin = Instant::now();
        tokio::join!(asks, lets_in);
        begin.elapsed()
    })
}

fn main() {
    let mut rig = Rig::start();
    let probe = listener(&mut rig);
    for _ in (0..USERS).step_by(OPENING) {
        rig.open(PHOENIX, OPENING, |_| iter::empty());
    }
    let mut out = std::io::stdout();
    let before = rig.written.bytes();
    let probing = probe.start(TOPIC, QUIET);
    let took = crowd(&mut rig);
    // Behind the last of them everybody is told.
    let (told, (probe, joining)) = rig.tasks.block_on(&rig.runtime, async {
        sleep(Duration::from_secs(1)).await;
        (rig.written.bytes() - before, probing.end().await)
    });
    let probing = probe.start(TOPIC, QUIET);
    let (_, at_rest) = rig.tasks.block_on(&rig.runtime, async {
        sleep(REST).await;
        probing.end().await
    });
    writeln!(
        out,
        "{USERS} present after {:.1} s ({:.0} a second); {:.0} MB written\n\
         while they join: {joining}\nat rest: {at_rest}",
        took.as_secs_f64(),
        USERS as f64 / took.as_secs_f64(),
        told as f64 / 1e6,
    )
    .unwrap();
}
