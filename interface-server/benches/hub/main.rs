//! What a frame costs inside the hub: a group's for each member, a topic's beside
//! it, and an event from its frame to the layer with the reply back.
//!
//! One shard and the memory layer on one thread, and sockets in memory, which
//! only count what is written to them: no kernel takes part. A socket that is
//! not TCP is written by a task of its own, woken once a turn, so "1 frame"
//! bears a wake-up for each member that TCP does not; with 32 frames in a turn
//! it is shared.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so")]

mod crowd;
mod rig;
mod socket;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use towpath_layer_core::{EventKind, GroupName, Reply};

use crate::rig::{PAYLOAD, PLAIN, Rig, answer, frame, frame_bytes, masked, next};

const SOCKETS: usize = 1000;
/// Members of a large group, and frames in a turn.
const MEMBERS: [usize; 2] = [100, SOCKETS];
const FRAMES: [u64; 2] = [1, 32];
/// Members of a room; the rooms take turns with the sockets.
const ROOM: usize = 10;
const ROOMS: usize = 10_000;
/// So many rooms at once, and frames to each: a socket gets 100 in both cases.
const SPREADS: [(usize, u64); 2] = [(10, 100), (ROOMS, 1)];

/// Sends frames to groups of so many members at once, until all are written.
fn broadcast(rig: &Rig, groups: &[GroupName], members: usize, frames: u64) -> Duration {
    let reply = Reply::frame(frame());
    let sends = (0..frames)
        .flat_map(|_| groups)
        .map(|group| (group, &reply));
    let bytes = deliveries(groups.len(), members, frames) * frame_bytes(PAYLOAD);
    rig.group_sends(sends, bytes)
}

/// One frame in, its event out of the layer, a reply back, its frame out.
fn echoes(rig: &mut Rig, count: u64) -> Duration {
    let (layer, receiver) = (&rig.layer, &mut rig.receiver);
    let (peer, written) = (rig.peers.first().unwrap(), &rig.written);
    let message = masked(&"x".repeat(PAYLOAD));
    rig.tasks.block_on(&rig.runtime, async {
        let begin = Instant::now();
        for _ in 0..count {
            let before = written.bytes();
            peer.say(&message);
            let event = next(&mut **receiver).await;
            let EventKind::Receive(frame) = &event.kind else {
                panic!("{event:?}");
            };
            answer(layer, &event, Reply::frame(frame.clone())).await;
            written.reach(before + frame_bytes(PAYLOAD)).await;
        }
        begin.elapsed()
    })
}

fn group(members: usize) -> GroupName {
    GroupName::new(format!("members.{members}")).unwrap()
}

fn room(number: usize) -> GroupName {
    GroupName::new(format!("room.{number}")).unwrap()
}

/// The first hundred sockets are in the small group, all in the large. The first ten are
/// in room 0, the next ten in room 1, and so on; after the last ten it begins again.
fn groups_of(socket: usize) -> impl Iterator<Item = GroupName> {
    let large = MEMBERS.into_iter().filter(move |members| socket < *members);
    let rooms = (socket / ROOM..ROOMS).step_by(SOCKETS / ROOM);
    large.map(group).chain(rooms.map(room))
}

fn deliveries(groups: usize, members: usize, frames: u64) -> u64 {
    (groups * members) as u64 * frames
}

fn hub(criterion: &mut Criterion) {
    let mut rig = Rig::start();
    rig.open(PLAIN, SOCKETS, groups_of);
    let mut bench = criterion.benchmark_group("hub");
    for members in MEMBERS {
        for frames in FRAMES {
            let groups = [group(members)];
            bench.throughput(Throughput::Elements(deliveries(1, members, frames)));
            let name = BenchmarkId::new(format!("{frames} frames at once"), members);
            bench.bench_function(name, |bencher| {
                let once = |_| broadcast(&rig, &groups, members, frames);
                bencher.iter_custom(|count| (0..count).map(once).sum());
            });
        }
    }
    for (rooms, frames) in SPREADS {
        let groups: Vec<GroupName> = (0..rooms).map(room).collect();
        bench.throughput(Throughput::Elements(deliveries(rooms, ROOM, frames)));
        let name = BenchmarkId::new("100 frames at once, rooms of 10", rooms);
        bench.bench_function(name, |bencher| {
            let once = |_| broadcast(&rig, &groups, ROOM, frames);
            bencher.iter_custom(|count| (0..count).map(once).sum());
        });
    }
    bench.throughput(Throughput::Elements(1));
    bench.bench_function("frame to event, reply to frame", |bencher| {
        bencher.iter_custom(|count| echoes(&mut rig, count));
    });
    bench.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    hub(&mut criterion);
    crowd::topics(&mut criterion);
    criterion.final_summary();
}
