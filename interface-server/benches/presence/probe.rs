//! Reads and broadcasts from a thread of its own, and says what they took.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use tokio::runtime::Builder;
use tokio::time::sleep;
use towpath_layer_core::presence::Stored;
use towpath_layer_core::{Broadcast, ChannelLayer, Frame, GroupName, Member, Reply, TopicReply};
use towpath_layer_memory::MemoryLayer;

use crate::socket::Written;

/// Between two measurements.
const PAUSE: Duration = Duration::from_millis(20);

/// Who reads, and the one who hears.
pub(crate) struct Probe {
    layer: Arc<MemoryLayer>,
    written: Arc<Written>,
}

/// A probe at work.
pub(crate) struct Probing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Probe, Figures)>,
}

/// What was measured, in milliseconds.
#[derive(Default)]
pub(crate) struct Figures {
    lists: Vec<f64>,
    broadcasts: Vec<f64>,
}

impl Probe {
    pub(crate) fn new(layer: Arc<MemoryLayer>, written: Arc<Written>) -> Self {
        Self { layer, written }
    }

    /// Reads who is in a topic, and broadcasts to another, until it is ended.
    pub(crate) fn start(self, crowded: &'static str, quiet: &'static str) -> Probing {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let mut figures = Figures::default();
            runtime.block_on(async {
                while !stopped.load(Ordering::Relaxed) {
                    figures.lists.push(timed(self.list(crowded)).await);
                    figures.broadcasts.push(timed(self.broadcast(quiet)).await);
                    sleep(PAUSE).await;
                }
            });
            (self, figures)
        });
        Probing { stop, thread }
    }

    /// As `Topics::presences` does.
    async fn list(&self, topic: &str) {
        let group = GroupName::presences(topic);
        let members: Vec<Member> = self
            .layer
            .group_members(&group)
            .try_collect()
            .await
            .unwrap();
        let all = members.iter().map(|member| Stored::decode(&member.meta));
        let entries: usize = all.map(|stored| stored.unwrap().entries.len()).sum();
        assert_eq!(entries, members.len());
    }

    /// Until the one who is in the topic is written to.
    async fn broadcast(&self, topic: &str) {
        let broadcast = Broadcast {
            topic: topic.into(),
            event: "said".into(),
            payload: Frame::Text("{}".into()),
            except: None,
        };
        let reply = Reply {
            topic: vec![TopicReply::Broadcast(broadcast)],
            ..Reply::default()
        };
        let before = self.written.bytes();
        let group = GroupName::topic(topic);
        self.layer.group_send(&group, reply).await.unwrap();
        self.written.reach(before + 1).await;
    }
}

impl Probing {
    /// Ends it; the server has to run meanwhile.
    pub(crate) async fn end(self) -> (Probe, Figures) {
        self.stop.store(true, Ordering::Relaxed);
        while !self.thread.is_finished() {
            sleep(PAUSE).await;
        }
        self.thread.join().unwrap()
    }
}

async fn timed(what: impl Future) -> f64 {
    let begin = Instant::now();
    what.await;
    begin.elapsed().as_secs_f64() * 1e3
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lists, broadcasts) = (shares(&self.lists), shares(&self.broadcasts));
        let times = self.lists.len();
        write!(
            f,
            "list {lists} ms, broadcast {broadcasts} ms (median, 99th, most of {times})"
        )
    }
}

fn shares(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let at = values.len().saturating_sub(1) * percent / 100;
        values.get(at).copied().unwrap_or_default()
    };
    format!("{:.2}, {:.2}, {:.2}", at(50), at(99), at(100))
}
