//! What an entry costs on its way to a wire and back.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use towpath_layer_core::{
    ChannelName, Completion, Event, EventKind, Frame, LocalId, Message, MessageIds, NodeId,
    Outcome, Reply, SystemEntropy, decode, encode,
};

/// Payload of a frame, in bytes.
const PAYLOAD: usize = 128;

fn frame() -> Frame {
    Frame::Text("x".repeat(PAYLOAD).into())
}

fn event() -> Message {
    let node = NodeId::random(&SystemEntropy);
    Message::Event(Event {
        reply_channel: ChannelName::reply(node, LocalId(1 << 40)),
        path: "/room/rust".into(),
        topic: None,
        order: 7,
        attempt: 8,
        session: Bytes::from_static(b"\x81\xa4name\xa3ada"),
        kind: EventKind::Receive(frame()),
    })
}

/// What a consumer that answers sends: a frame and its completion in one.
fn reply() -> Message {
    let completion = Completion {
        attempt: 8,
        outcome: Outcome::Done { session: None },
        groups: Vec::new(),
    };
    Message::Reply(Reply {
        completion: Some(Box::new(completion)),
        ..Reply::frame(frame())
    })
}

fn codec(criterion: &mut Criterion) {
    let ids = MessageIds::new(&SystemEntropy);
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    for (name, message) in [("event", event()), ("reply", reply())] {
        group.bench_function(format!("encode {name}"), |bencher| {
            bencher.iter(|| encode(ids.next(), black_box(&message)).unwrap());
        });
        let entry = encode(ids.next(), &message).unwrap();
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| decode::<Message>(black_box(&entry)).unwrap());
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    codec(&mut criterion);
    criterion.final_summary();
}
