//! Many senders and receivers at once, written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{ChannelLayer, ChannelName, LayerError, Message, Received, Receiver};

use super::{History, Id, MachineClock, Outcome, Record, Recorder};
use crate::Backend;

/// How long a storm waits for the next message before it calls the rest lost.
const QUIET_MAX: Duration = Duration::from_secs(10);

/// How long a sender waits before it tries again what the backend refused.
const AGAIN: Duration = Duration::from_millis(20);

/// How many messages a receive takes, at most.
const RECEIVE_MAX: usize = 16;

/// What happens in a storm.
#[derive(Debug, Clone)]
pub struct Storm {
    /// How many send, each from a node of its own.
    pub senders: u32,
    /// How many receive, each in a node of its own, from all channels.
    pub receivers: u32,
    /// How many messages are acknowledged, in all.
    pub messages: u64,
    /// Where to.
    pub channels: Vec<ChannelName>,
    /// Whether receives are dropped half-way, again and again.
    pub cancel: bool,
}

/// Runs a storm on an empty backend until everything that was acknowledged has
/// been handed out, or nothing more comes.
///
/// # Cancel safety
///
/// A dropped future ends the storm.
pub async fn storm(backend: &dyn Backend, storm: &Storm) -> History {
    let recorder = Arc::new(Recorder::in_memory(Arc::new(MachineClock)));
    let stop = CancellationToken::new();
    let handed_out = Arc::new(AtomicU64::new(0));
    let mut receivers = JoinSet::new();
    for receiver in 0..storm.receivers {
        let receiving = Receiving {
            layer: backend.node().await,
            recorder: Arc::clone(&recorder),
            receiver,
            channels: storm.channels.clone(),
            cancel: storm.cancel,
            handed_out: Arc::clone(&handed_out),
        };
        receivers.spawn(receive_all(receiving, stop.clone()));
    }
    let mut senders = JoinSet::new();
    for sender in 0..storm.senders {
        let count = storm.messages / u64::from(storm.senders);
        let (layer, recorder) = (backend.node().await, Arc::clone(&recorder));
        let channels = storm.channels.clone();
        senders.spawn(async move { send_all(&layer, &recorder, sender, &channels, count).await });
    }
    let acked: u64 = senders.join_all().await.into_iter().sum();
    let (mut seen, mut since) = (0, Instant::now());
    while seen < acked && since.elapsed() < QUIET_MAX {
        sleep(Duration::from_millis(5)).await;
        let now = handed_out.load(Ordering::Relaxed);
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
    }
    stop.cancel();
    receivers.join_all().await;
    History::new(recorder.records())
}

/// Sends by turns to the channels until `count` messages were acknowledged; a
/// full channel is waited for. Returns how many were.
///
/// # Cancel safety
///
/// A dropped future has sent some of them.
pub async fn send_all(
    layer: &Arc<dyn ChannelLayer>,
    recorder: &Recorder,
    sender: u32,
    channels: &[ChannelName],
    count: u64,
) -> u64 {
    let mut acked = 0;
    let mut turn = channels.iter().cycle();
    let mut channel = turn.next().expect("a channel to send to");
    for number in 0.. {
        if acked == count {
            break;
        }
        let id = Id { sender, number };
        let message = recorder.send_begins(id, channel);
        let sent = layer.send(channel, message).await;
        match recorder.send_ended(id, &sent) {
            Outcome::Acked => {
                acked += 1;
                channel = turn.next().expect("a cycle has no end");
            }
            Outcome::Full => {
                if layer.room(channel).await.is_err() {
                    sleep(AGAIN).await;
                }
            }
            Outcome::Failed | Outcome::Unknown => sleep(AGAIN).await,
        }
    }
    acked
}

/// One who receives.
#[derive(Debug)]
pub struct Receiving {
    /// Its node.
    pub layer: Arc<dyn ChannelLayer>,
    /// Where it writes down what it gets.
    pub recorder: Arc<Recorder>,
    /// Its number.
    pub receiver: u32,
    /// Where from.
    pub channels: Vec<ChannelName>,
    /// Whether it drops receives half-way.
    pub cancel: bool,
    /// Counts what is handed out.
    pub handed_out: Arc<AtomicU64>,
}

/// Receives until `stop`, or until the layer is closed.
///
/// # Cancel safety
///
/// A dropped future drops its receiver as it is.
pub async fn receive_all(receiving: Receiving, stop: CancellationToken) {
    let Receiving {
        layer, recorder, ..
    } = &receiving;
    let mut rng = StdRng::seed_from_u64(receiving.receiver.into());
    let mut receiver = layer.receiver(receiving.channels.clone()).unwrap();
    let mut buffer = Vec::new();
    loop {
        let began = recorder.now();
        let patience = receiving.cancel.then(|| rng.random_range(0..12));
        let received = tokio::select! {
            biased;
            received = receive(&mut *receiver, &mut buffer, patience) => received,
            () = stop.cancelled() => break,
        };
        for one in buffer.drain(..) {
            recorder.write(record(one, receiving.receiver, began, recorder.now()));
            receiving.handed_out.fetch_add(1, Ordering::Relaxed);
        }
        if received.is_err() {
            return;
        }
        if patience.is_some() && stop.is_cancelled() {
            break;
        }
    }
    // Unreachable, it cannot be given back; the history shows what that cost.
    let _given_back = receiver.close().await;
}

/// One receive, given up after the runtime has had `patience` turns.
async fn receive(
    receiver: &mut dyn Receiver,
    buffer: &mut Vec<Received>,
    patience: Option<u32>,
) -> Result<usize, LayerError> {
    let receive = receiver.receive_many(buffer, RECEIVE_MAX);
    let Some(turns) = patience else {
        return receive.await;
    };
    let give_up = async {
        // A wait that is as long as a message may need, now and then.
        if turns == 0 {
            sleep(Duration::from_millis(2)).await;
        }
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        received = receive => received,
        () = give_up => Ok(0),
    }
}

fn record(received: Received, receiver: u32, began: u64, at: u64) -> Record {
    let id = match &received.message {
        Message::Custom(content) => content.decode().expect("the id that was sent"),
        other => panic!("a message of nobody's: {other:?}"),
    };
    Record::Received {
        id,
        channel: received.channel,
        receiver,
        began,
        at,
    }
}
