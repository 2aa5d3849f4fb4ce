//! Storms on the layer over Redis: nothing is lost, doubled, reordered or too
//! much, and what a killed process held is all that is missing.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what it expects by unwrapping; a process that a test starts is told \
              by its environment what it is for"
)]

mod support;

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use support::{Place, Redis};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{ChannelLayer, ChannelName, Limits, SystemClock, SystemEntropy};
use towpath_layer_redis::{RedisLayer, RedisOptions};
use towpath_testkit::Factory;
use towpath_testkit::history::{
    History, Receiving, Recorder, Rules, Storm, receive_all, send_all, storm,
};

/// Where a receiving process finds its Redis, and where it writes what it got.
const CHILD_URL: &str = "TOWPATH_HISTORY_URL";
const CHILD_FILE: &str = "TOWPATH_HISTORY_FILE";

/// Messages that one receiver holds at most: as many as it asks for at once.
const HELD_MAX: u64 = 16;

fn channels() -> Vec<ChannelName> {
    ["a", "b", "c"]
        .map(|name| ChannelName::new(name).unwrap())
        .into()
}

fn rules(receivers: u64) -> Rules {
    Rules {
        expiry: Limits::default().expiry.get("a"),
        capacity: 100,
        held_max: receivers * HELD_MAX,
        tolerance: Duration::from_millis(50),
    }
}

async fn nothing_is_wrong_after(senders: u32, receivers: u32, messages: u64) {
    let backend = Redis.backend(Limits::default()).await;
    let plan = Storm {
        senders,
        receivers,
        messages,
        channels: channels(),
        cancel: true,
    };
    let history = storm(&*backend, &plan).await;
    assert!(history.records().len() as u64 >= 3 * messages);
    let verdict = history.check(&rules(receivers.into()));
    assert!(verdict.is_clean(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_senders_and_four_receivers_that_give_up_lose_and_double_nothing() {
    nothing_is_wrong_after(8, 4, 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_receiver_that_gives_up_keeps_the_order_of_eight_senders() {
    nothing_is_wrong_after(8, 1, 20_000).await;
}

/// Three processes receive, and one after another is killed and replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_receivers_lose_what_they_held_and_double_nothing() {
    const KILLS: usize = 6;
    let place = Place::new(Limits::default()).await;
    let files = tempfile::tempdir().unwrap();
    let recorder = Recorder::to_file(&files.path().join("sender")).unwrap();
    let sender: Arc<dyn ChannelLayer> = place.connect().await;
    let start = |number: usize| Receiver::start(&place.server.url(), files.path(), number);
    let mut receivers: Vec<_> = (0..3).map(start).collect();
    let channels = channels();
    let sending = send_all(&sender, &recorder, 0, &channels, 20_000);
    let killing = async {
        for number in 0..KILLS {
            let next = start(receivers.len());
            let dies = receivers.get_mut(number).unwrap();
            dies.has_received().await;
            dies.kill();
            receivers.push(next);
        }
    };
    let (acked, ()) = futures_util::join!(sending, killing);
    let deadline = Instant::now() + Duration::from_secs(20);
    let waits = async || {
        let statistics = sender.statistics().await.unwrap();
        statistics.total.pending
    };
    while waits().await > 0 {
        assert!(
            Instant::now() < deadline,
            "messages wait and nobody takes them"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Leaving in good order, they hand out or give back what they hold.
    for receiver in receivers.iter_mut().skip(KILLS) {
        receiver.finish().await;
    }
    let left = sender.statistics().await.unwrap().total.pending;
    let history = History::read(
        std::fs::read_dir(files.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_none()),
    );
    let mut verdict = history.unwrap().check(&rules(6));
    let lost = verdict.lost.len() as u64;
    assert!(
        lost <= left + KILLS as u64 * 2 * HELD_MAX,
        "{lost} of {acked} lost"
    );
    verdict.lost.clear();
    assert!(verdict.is_clean(), "{verdict}");
}

/// A process that receives; killed when dropped.
struct Receiver {
    child: Child,
    file: std::path::PathBuf,
}

impl Receiver {
    fn start(url: &str, files: &Path, number: usize) -> Self {
        let file = files.join(format!("receiver-{number}"));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "receiving_process"])
            .env(CHILD_URL, url)
            .env(CHILD_FILE, &file)
            .stdout(std::process::Stdio::null())
            .spawn();
        Self {
            child: child.unwrap(),
            file,
        }
    }

    async fn has_received(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::fs::metadata(&self.file).map_or(0, |file| file.len()) == 0 {
            assert!(Instant::now() < deadline, "a process receives nothing");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end, and waits until it has.
    async fn finish(&mut self) {
        std::fs::write(self.file.with_extension("stop"), "").unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "a process does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Not a test of its own: what a process does that the test above starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiving_process() {
    let (Ok(url), Ok(file)) = (std::env::var(CHILD_URL), std::env::var(CHILD_FILE)) else {
        return;
    };
    let (_, receiver) = file.rsplit_once('-').unwrap();
    let (receiver, file) = (receiver.parse().unwrap(), Path::new(&file));
    let layer = RedisLayer::connect(
        RedisOptions::new(url),
        Limits::default(),
        Arc::new(SystemClock::new()),
        Arc::new(SystemEntropy),
    );
    let layer = layer.await.unwrap();
    let receiving = Receiving {
        layer: layer.clone(),
        recorder: Arc::new(Recorder::to_file(file).unwrap()),
        receiver,
        channels: channels(),
        cancel: true,
        handed_out: Arc::new(AtomicU64::new(0)),
    };
    let stop = CancellationToken::new();
    let watch = async {
        while !file.with_extension("stop").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
    };
    futures_util::join!(receive_all(receiving, stop.clone()), watch);
    layer.close().await;
}
