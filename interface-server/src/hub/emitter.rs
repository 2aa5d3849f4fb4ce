//! Hands the shard's events to the layer, a batch at a time.
//!
//! What a turn has emitted goes out together, several batches may be on their
//! way, and a full channel, or a layer out of reach, holds up only its own
//! lane. An event stays in its conversation until the layer has it; a lane
//! holds only whose turn it is.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, poll};
use tokio::time::{sleep, timeout};
use towpath_layer_core::{
    ChannelLayer, ChannelName, LayerError, LocalId, Message, SendError, channels,
};

use super::shard::Shard;
use super::signal::Signal;
use crate::conversation::Handed;

/// Events in one batch.
const BATCH_MAX: usize = 128;

/// Batches on their way at one time.
const BATCHES_MAX: usize = 16;

/// Events that are tried after a channel was full.
const WINDOW_MIN: usize = 4;

/// A layer waits for room no longer than a second; this is beyond it.
const ROOM_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits between tries while the layer is out of reach.
const AWAY_MIN: Duration = Duration::from_millis(50);
const AWAY_MAX: Duration = Duration::from_millis(250);

/// Waits between tries if others take the room before this lane does.
const FULL_MIN: Duration = Duration::from_millis(5);
const FULL_MAX: Duration = Duration::from_millis(100);

const LANES: [&str; 4] = [
    channels::DISCONNECT,
    channels::CONNECT,
    channels::RECEIVE,
    channels::EVENT,
];

#[derive(Debug)]
struct Lane {
    name: &'static str,
    channel: Option<ChannelName>,
    queue: VecDeque<(LocalId, u64)>,
    /// Waits for room, or for the layer.
    blocked: bool,
    /// How many are tried at once.
    window: usize,
    /// Tries in a row of which nothing was taken.
    failures: u32,
}

/// One event of a batch.
#[derive(Debug, Clone, Copy)]
struct Sending {
    lane: usize,
    id: LocalId,
    attempt: u64,
}

/// Something that an emitter waits for.
enum Done {
    Batch(Vec<Sending>, Vec<Result<(), SendError>>),
    Unblocked(usize),
}

type Running = FuturesUnordered<LocalBoxFuture<'static, Done>>;

/// The events that wait to be handed to the layer, by channel.
#[derive(Debug)]
pub(crate) struct Emitter {
    lanes: RefCell<Vec<Lane>>,
    signal: Signal,
}

impl Emitter {
    pub(crate) fn new() -> Self {
        let lanes = LANES.map(|name| Lane {
            name,
            channel: ChannelName::new(name).ok(),
            queue: VecDeque::new(),
            blocked: false,
            window: BATCH_MAX,
            failures: 0,
        });
        Self {
            lanes: RefCell::new(lanes.into()),
            signal: Signal::default(),
        }
    }

    fn is_disconnect(&self, one: Sending) -> bool {
        let lanes = self.lanes.borrow();
        let lane = lanes.get(one.lane);
        lane.is_some_and(|lane| lane.name == channels::DISCONNECT)
    }

    /// An event of a conversation is ready.
    pub(crate) fn emit(&self, channel: &'static str, id: LocalId, attempt: u64) {
        let mut lanes = self.lanes.borrow_mut();
        if let Some(lane) = lanes.iter_mut().find(|lane| lane.name == channel) {
            lane.queue.push_back((id, attempt));
        }
        self.signal.notify();
    }
}

/// Emits for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    let mut running = Running::new();
    let mut batches = 0;
    loop {
        while batches < BATCHES_MAX {
            let (sending, batch) = shard.next_batch();
            if batch.is_empty() {
                break;
            }
            let layer = std::sync::Arc::clone(&shard.layer);
            let mut sent =
                async move { Done::Batch(sending, layer.send_many(batch).await) }.boxed_local();
            match poll!(&mut sent) {
                std::task::Poll::Ready(done) => shard.sent(done, &running),
                std::task::Poll::Pending => {
                    batches += 1;
                    running.push(sent);
                }
            }
        }
        tokio::select! {
            biased;
            Some(done) = running.next(), if !running.is_empty() => {
                batches -= usize::from(matches!(done, Done::Batch(..)));
                shard.sent(done, &running);
            }
            () = shard.emitter.signal.notified() => {}
        }
    }
}

impl Shard {
    /// The next events, as far as their lanes allow, and their messages.
    fn next_batch(&self) -> (Vec<Sending>, Vec<(ChannelName, Message)>) {
        let mut sending = Vec::new();
        let mut batch = Vec::new();
        let mut lanes = self.emitter.lanes.borrow_mut();
        let connections = self.connections.borrow();
        for (number, lane) in lanes.iter_mut().enumerate() {
            let Some(channel) = lane.channel.as_ref().filter(|_| !lane.blocked) else {
                continue;
            };
            let mut room = lane.window.min(BATCH_MAX - batch.len());
            while room > 0 {
                let Some((id, attempt)) = lane.queue.pop_front() else {
                    break;
                };
                // It may have been given up while it waited here.
                let event = connections
                    .get(&id)
                    .and_then(|connection| connection.conversation.borrow().message(attempt));
                if let Some(event) = event {
                    batch.push((channel.clone(), Message::Event(event)));
                    sending.push(Sending {
                        lane: number,
                        id,
                        attempt,
                    });
                    room -= 1;
                }
            }
        }
        (sending, batch)
    }

    fn sent(self: &Rc<Self>, done: Done, running: &Running) {
        match done {
            Done::Unblocked(lane) => {
                if let Some(lane) = self.emitter.lanes.borrow_mut().get_mut(lane) {
                    lane.blocked = false;
                }
            }
            Done::Batch(sending, results) => {
                if results.iter().any(Result::is_ok) {
                    self.hub.woken.note();
                }
                let mut again = Vec::new();
                for (one, result) in sending.into_iter().zip(results) {
                    let handed = handed(&result);
                    self.settle(one, handed);
                    let Some(connection) = self.connection(one.id) else {
                        continue;
                    };
                    if handed.is_out() && self.emitter.is_disconnect(one) {
                        self.parted(&connection);
                    }
                    if handed == Handed::Doubtful {
                        self.watch.doubt(one.id);
                    }
                    let wait = self.turn(&connection, |conversation, turn| {
                        conversation.handed(one.attempt, handed, turn)
                    });
                    if wait {
                        again.push((one, handed));
                    }
                }
                // Back to the head, in the old order.
                for (one, handed) in again.into_iter().rev() {
                    self.put_back(one, handed, running);
                }
            }
        }
    }

    fn settle(&self, one: Sending, handed: Handed) {
        if handed != Handed::Sent {
            return;
        }
        if let Some(lane) = self.emitter.lanes.borrow_mut().get_mut(one.lane) {
            self.metrics.events(lane.name).increment(1);
            lane.window = (lane.window + 1).min(BATCH_MAX);
            lane.failures = 0;
        }
    }

    fn put_back(&self, one: Sending, handed: Handed, running: &Running) {
        let mut lanes = self.emitter.lanes.borrow_mut();
        let Some(lane) = lanes.get_mut(one.lane) else {
            return;
        };
        lane.queue.push_front((one.id, one.attempt));
        if lane.blocked {
            return;
        }
        lane.blocked = true;
        lane.window = WINDOW_MIN;
        let layer = std::sync::Arc::clone(&self.layer);
        let (number, channel) = (one.lane, lane.channel.clone());
        let failures = lane.failures;
        lane.failures += 1;
        let wait = async move {
            let channel = channel.filter(|_| handed == Handed::Full);
            let waited = match &channel {
                Some(channel) => room(&*layer, channel).await.is_ok(),
                None => false,
            };
            let pause = pause(waited, failures);
            if !pause.is_zero() {
                sleep(pause).await;
            }
            Done::Unblocked(number)
        };
        running.push(wait.boxed_local());
    }
}

/// How long to wait besides for room, after so many failures.
fn pause(waited: bool, failures: u32) -> Duration {
    let doubled = |shortest: Duration, times: u32| shortest * (1 << times.min(10));
    match failures {
        0 if waited => Duration::ZERO,
        _ if waited => doubled(FULL_MIN, failures - 1).min(FULL_MAX),
        _ => doubled(AWAY_MIN, failures).min(AWAY_MAX),
    }
}

async fn room(layer: &dyn ChannelLayer, channel: &ChannelName) -> Result<(), LayerError> {
    // Past the timeout the next send says again whether there is room.
    timeout(ROOM_TIMEOUT, layer.room(channel))
        .await
        .unwrap_or(Ok(()))
}

fn handed(result: &Result<(), SendError>) -> Handed {
    match result {
        Ok(()) => Handed::Sent,
        Err(SendError::Unavailable(error)) if error.outcome_unknown => Handed::Doubtful,
        Err(SendError::Unavailable(_)) => Handed::Unavailable,
        Err(SendError::ChannelFull { .. }) => Handed::Full,
        Err(SendError::MessageTooLarge { .. }) => Handed::TooLarge,
        Err(_) => Handed::Closed,
    }
}
