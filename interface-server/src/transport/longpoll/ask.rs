//! Asks a session something, wherever it lives.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use towpath_layer_core::{LocalId, Poll, PollAnswer, PollFrom};

use super::LINES_MAX;
use super::token::Token;
use super::waiter::patience;
use crate::hub::shard::Shard;

/// How long a session may take to say that it is there, and a word of it to come.
const PRESENT: Duration = Duration::from_secs(2);

/// What a request's session says: that it waits, again after each line but the
/// last at most, and then its answer.
const WORDS_MAX: usize = LINES_MAX + 1;

/// A request that waits for its session, known to the shard until it is
/// dropped.
#[derive(Debug)]
struct Asking<'a> {
    shard: &'a Shard,
    id: LocalId,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.shard.stop_asking(self.id);
    }
}

/// Asks a session; nothing if it does not say that it is there, or not again
/// in time.
pub(super) async fn ask(
    shard: &Rc<Shard>,
    token: &Token,
    window: Duration,
    poll: impl FnOnce(PollFrom) -> Poll,
) -> Option<PollAnswer> {
    let (words, mut heard) = mpsc::channel(WORDS_MAX);
    let (id, channel) = shard.start_asking(words);
    let _asking = Asking { shard, id };
    let from = PollFrom {
        channel,
        secret: token.secret.clone(),
    };
    shard.tell(&token.channel, poll(from));
    let mut limit = PRESENT;
    for _ in 0..WORDS_MAX {
        match timeout(limit, heard.recv()).await.ok()?? {
            Poll::Waits => limit = patience(window) + PRESENT,
            Poll::Answer(answer) => return Some(answer),
            Poll::Read(_) | Poll::Write { .. } => return None,
        }
    }
    None
}
