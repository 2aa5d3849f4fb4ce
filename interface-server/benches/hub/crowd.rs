//! A broadcast to joined topics beside the plain fan-out: the same hub, payloads
//! of the same size, as many members.

use std::cell::{OnceCell, RefCell};
use std::io::Write as _;
use std::iter;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use towpath_layer_core::{
    Broadcast, ChannelLayer as _, EventKind, Frame, GroupName, Reply, TopicReply,
};

use crate::rig::{PAYLOAD, PHOENIX, PLAIN, Rig, answer, frame, frame_bytes, masked, next};

/// Sockets of either kind, and members of the larger group and topic.
const SOCKETS: usize = 10_000;
const MEMBERS: [usize; 2] = [1_000, SOCKETS];
const FRAMES: [u64; 2] = [1, 32];
/// So many are opened at once: their connects wait on one channel of the layer.
const OPENING: usize = 1_000;
const EVENT: &str = "shout";

/// As many plain sockets in groups as sockets of Phoenix in topics.
struct Crowd {
    rig: Rig,
}

/// What is sent, to whom, and how many bytes each member is written.
struct Speech {
    group: GroupName,
    reply: Reply,
    bytes: u64,
}

impl Crowd {
    fn gather() -> Self {
        let mut rig = Rig::start();
        for begin in (0..SOCKETS).step_by(OPENING) {
            rig.open(PLAIN, OPENING, |number| groups_of(begin + number));
        }
        for _ in (0..SOCKETS).step_by(OPENING) {
            rig.open(PHOENIX, OPENING, |_| iter::empty());
        }
        let mut crowd = Self { rig };
        for members in MEMBERS {
            for begin in (0..members).step_by(OPENING) {
                crowd.join(&topic(members), SOCKETS + begin);
            }
        }
        crowd
    }

    /// Lets some sockets of Phoenix join a topic.
    fn join(&mut self, topic: &str, first: usize) {
        let (rig, group) = (&mut self.rig, GroupName::topic(topic));
        let join = masked(&format!(r#"["1","1","{topic}","phx_join",{{}}]"#));
        let joined =
            format!(r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{{}}}}]"#);
        let bytes = OPENING as u64 * frame_bytes(joined.len());
        let expected = rig.written.bytes() + bytes;
        for peer in rig.peers.iter().skip(first).take(OPENING) {
            peer.say(&join);
        }
        let (layer, receiver, written) = (&rig.layer, &mut rig.receiver, &rig.written);
        rig.tasks.block_on(&rig.runtime, async {
            for _ in 0..OPENING {
                let event = next(&mut **receiver).await;
                assert!(matches!(event.kind, EventKind::Join(_)), "{event:?}");
                let added = layer.group_add(&group, &event.reply_channel, Bytes::new());
                added.await.unwrap();
                let response = Frame::Text("{}".into());
                let reply = Reply {
                    topic: vec![TopicReply::Joined { response }],
                    ..Reply::default()
                };
                answer(layer, &event, reply).await;
            }
            written.reach(expected).await;
        });
    }

    /// Speaks so many times at once, until all is written.
    fn say(&self, speech: &Speech, members: usize, frames: u64) -> Duration {
        let sends = (0..frames).map(|_| (&speech.group, &speech.reply));
        let bytes = members as u64 * frames * speech.bytes;
        self.rig.group_sends(sends, bytes)
    }
}

fn plain(members: usize) -> Speech {
    Speech {
        group: group(members),
        reply: Reply::frame(frame()),
        bytes: frame_bytes(PAYLOAD),
    }
}

fn to_topic(members: usize) -> Speech {
    let topic = topic(members);
    let empty = r#"{"p":""}"#.len();
    let payload = format!(r#"{{"p":"{}"}}"#, "x".repeat(PAYLOAD - empty));
    let written = format!(r#"[null,null,"{topic}","{EVENT}",{payload}]"#);
    let broadcast = Broadcast {
        topic: topic.as_str().into(),
        event: EVENT.into(),
        payload: Frame::Text(payload.into()),
        except: None,
    };
    Speech {
        group: GroupName::topic(&topic),
        reply: Reply {
            topic: vec![TopicReply::Broadcast(broadcast)],
            ..Reply::default()
        },
        bytes: frame_bytes(written.len()),
    }
}

fn group(members: usize) -> GroupName {
    GroupName::new(format!("members.{members}")).unwrap()
}

fn topic(members: usize) -> String {
    format!("bench:{members}")
}

fn groups_of(socket: usize) -> impl Iterator<Item = GroupName> {
    let groups = MEMBERS.into_iter();
    groups.filter(move |members| socket < *members).map(group)
}

/// Nanoseconds a delivery of one kind right after the other, as this machine's
/// speed drifts in seconds.
#[derive(Default)]
struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Runs both, in an order that changes.
    fn run(&mut self, crowd: &Crowd, members: usize, frames: u64) -> (Duration, Duration) {
        let once = |speech: Speech| crowd.say(&speech, members, frames);
        let (plain, topic) = if self.0.len().is_multiple_of(2) {
            let first = once(plain(members));
            (first, once(to_topic(members)))
        } else {
            let first = once(to_topic(members));
            (once(plain(members)), first)
        };
        let each = |time: Duration| time.as_secs_f64() * 1e9 / (members as f64 * frames as f64);
        self.0.push((each(plain), each(topic)));
        (plain, topic)
    }

    /// Shows the median of the ratios, and their quartiles.
    fn show(&self, members: usize, frames: u64) {
        let ratios = sorted(self.0.iter().map(|(plain, topic)| topic / plain));
        let plain = sorted(self.0.iter().map(|(plain, _)| *plain));
        let topic = sorted(self.0.iter().map(|(_, topic)| *topic));
        let _unheard = writeln!(
            std::io::stderr(),
            "{frames} frames at once to {members}: plain {:.1} ns a delivery, topic {:.1} ns; \
             topic / plain {:.2} ({:.2} to {:.2}, {} pairs)",
            share(&plain, 2),
            share(&topic, 2),
            share(&ratios, 2),
            share(&ratios, 1),
            share(&ratios, 3),
            ratios.len(),
        );
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// What so many quarters of the values are at most.
fn share(sorted: &[f64], quarters: usize) -> f64 {
    let at = sorted.len().saturating_sub(1) * quarters / 4;
    sorted.get(at).copied().unwrap_or_default()
}

/// Both kinds in turn; the figure of each is its own time.
pub(crate) fn topics(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("topics");
    let crowd = OnceCell::new();
    for (members, frames) in MEMBERS
        .into_iter()
        .flat_map(|it| FRAMES.map(|frames| (it, frames)))
    {
        bench.throughput(Throughput::Elements(members as u64 * frames));
        let pairs = RefCell::new(Pairs::default());
        let run = || {
            let crowd = crowd.get_or_init(Crowd::gather);
            pairs.borrow_mut().run(crowd, members, frames)
        };
        let name =
            |kind: &str| BenchmarkId::new(format!("{kind}, {frames} frames at once"), members);
        bench.bench_function(name("plain"), |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| run().0).sum());
        });
        bench.bench_function(name("topic"), |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| run().1).sum());
        });
        if !pairs.borrow().0.is_empty() {
            pairs.borrow().show(members, frames);
        }
    }
    bench.finish();
}
