//! What a consumer wrote last, on its way out with the completion.
//!
//! While a consumer is polled, the small reply that it has just written to its
//! own connection is held: if it returns without waiting for anything, reply
//! and completion are one message. As soon as it waits, or asks anything else
//! of the layer, its job sends what is held first.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use smallvec::SmallVec;
use towpath_layer_core::{Limits, Message, Reply, SendError, Unavailable};

use crate::effects::Answer;
use crate::{Context, Result};

/// A larger reply, in bytes with its headers, is sent by itself: completions
/// pass outside the limits of an inbox, and what they carry is small.
const HELD_SIZE_MAX: usize = 2 << 10;

/// What is held for one event.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Whether its consumer is being polled.
    open: bool,
    reply: Option<Reply>,
    /// Whether its job has what was held, and will have sent it.
    sending: bool,
    /// Whether that failed.
    failed: bool,
    /// Who waits until it is sent.
    waiters: SmallVec<[Waker; 1]>,
}

/// What can be done with a reply now.
enum Next {
    Held,
    Send(Reply),
    Wait(Reply),
    /// An earlier one was not sent.
    Refuse,
}

impl Held {
    fn waits(&self) -> bool {
        self.reply.is_some() || self.sending
    }

    fn hold(&mut self, reply: Reply, limits: &Limits) -> Next {
        let fits = fits(&reply, limits);
        let Some(reply) = self.join(reply, limits) else {
            return Next::Held;
        };
        if self.waits() {
            Next::Wait(reply)
        } else if self.failed {
            Next::Refuse
        } else if self.open && fits {
            self.reply = Some(reply);
            Next::Held
        } else {
            Next::Send(reply)
        }
    }
}

impl Held {
    /// Messages of a topic that were written one after the other leave as one.
    /// What cannot be joined comes back.
    fn join(&mut self, mut reply: Reply, limits: &Limits) -> Option<Reply> {
        let Some(held) = self
            .reply
            .take_if(|held| is_topic(held) && is_topic(&mut reply))
        else {
            return Some(reply);
        };
        let payload = held.payload_size() + reply.payload_size();
        let envelope = held.envelope_size() + reply.envelope_size();
        if !sizes_fit(payload, envelope, limits) {
            self.reply = Some(held);
            return Some(reply);
        }
        self.reply = Some(fuse(Some(held), reply));
        None
    }
}

/// Whether it has messages of a topic, and nothing else.
fn is_topic(reply: &mut Reply) -> bool {
    let topic = std::mem::take(&mut reply.topic);
    let alone = !topic.is_empty() && *reply == Reply::default();
    reply.topic = topic;
    alone
}

thread_local! {
    /// The event whose consumer is polled on this thread.
    static POLLED: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// What one poll of a consumer left.
#[derive(Default)]
pub(crate) struct Left {
    /// What it wrote last.
    pub(crate) reply: Option<Reply>,
    /// Whether somebody waits until that is sent.
    pub(crate) awaited: bool,
}

/// Polls the consumer of an event. From then on others wait until what it left
/// is sent.
pub(crate) fn polled<R>(context: Context, poll: impl FnOnce() -> R) -> (R, Left) {
    context.with_held(|held| held.open = true);
    let outer = POLLED.replace(Some(context));
    let result = poll();
    let context = POLLED.replace(outer);
    let left = context.map(|context| {
        context.with_held(|held| {
            held.open = false;
            held.sending = held.reply.is_some();
            Left {
                reply: held.reply.take(),
                awaited: !held.waiters.is_empty(),
            }
        })
    });
    (result, left.unwrap_or_default())
}

/// Sends what a poll left.
pub(crate) async fn send(context: Context, reply: Reply) -> Result {
    let channel = context.reply_channel()?;
    Ok(context.layer().send(channel, Message::Reply(reply)).await?)
}

/// What was held is sent, or cannot be.
pub(crate) fn sent(context: &Context, failed: bool) {
    let waiters = context.with_held(|held| {
        held.sending = false;
        held.failed |= failed;
        std::mem::take(&mut held.waiters)
    });
    waiters.into_iter().for_each(Waker::wake);
}

/// Sends a reply to a consumer's own connection: with its completion, if
/// possible.
///
/// # Cancel safety
///
/// A dropped future may have sent the reply or not.
pub(crate) async fn reply(context: &Context, mut reply: Reply) -> Result {
    let limits = context.layer().limits();
    loop {
        match context.with_held(|held| held.hold(reply, limits)) {
            Next::Held => return Ok(()),
            Next::Send(reply) => return send(context.clone(), reply).await,
            Next::Refuse => return Err(SendError::from(earlier_failed(context)).into()),
            Next::Wait(same) => {
                reply = same;
                wait(context).await;
            }
        }
    }
}

fn earlier_failed(context: &Context) -> Unavailable {
    Unavailable {
        backend: context.layer().backend(),
        outcome_unknown: false,
        source: "an earlier reply of this event was not sent".into(),
    }
}

/// Waits until what the consumer that is polled here has written is sent; done
/// before anything else is asked of the layer.
///
/// # Cancel safety
///
/// Dropping the future loses nothing.
pub(crate) async fn flush() {
    let polled = POLLED.with_borrow(Clone::clone);
    if let Some(context) = polled {
        wait(&context).await;
    }
}

/// Waits until all that was written to the connection of an event is sent.
///
/// # Cancel safety
///
/// Dropping the future loses nothing.
pub(crate) async fn flushed(context: &Context) -> Result {
    wait(context).await;
    if context.with_held(|held| held.failed) {
        return Err(SendError::from(earlier_failed(context)).into());
    }
    Ok(())
}

/// Its job sees that somebody waits, and sends.
async fn wait(context: &Context) {
    poll_fn(|task| {
        context.with_held(|held| {
            if held.waits() {
                held.waiters.push(task.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
    })
    .await;
}

/// Whether a reply may be part of a completion: it is small, and the layer
/// carries it with any session.
fn fits(reply: &Reply, limits: &Limits) -> bool {
    sizes_fit(reply.payload_size(), reply.envelope_size(), limits)
}

fn sizes_fit(payload: usize, envelope: usize, limits: &Limits) -> bool {
    payload + envelope <= HELD_SIZE_MAX
        && payload <= limits.message_size_max
        && envelope + limits.session_size_max <= limits.envelope_size_max
}

/// One reply that does what two do, one after the other. If both answer the
/// handshake, or both close, the first has done so.
pub(crate) fn fuse(first: Option<Reply>, then: Reply) -> Reply {
    let Some(mut first) = first else { return then };
    let answered = Answer::of(&first).is_some();
    first.topic.extend(then.topic);
    Reply {
        taken: first.taken.or(then.taken),
        accept: first.accept.or(then.accept.filter(|_| !answered)),
        deny: first.deny.or(then.deny.filter(|_| !answered)),
        frame: first.frame.or(then.frame),
        topic: first.topic,
        event: first.event.or(then.event),
        tick: first.tick.or(then.tick),
        close: first.close.or(then.close),
        completion: then.completion,
        ..Reply::default()
    }
}

#[cfg(test)]
mod tests {
    use towpath_layer_core::{Accept, Close, Completion, Deny, Frame, Outcome};

    use super::*;

    fn done() -> Reply {
        Reply::completion(Completion {
            attempt: 7,
            outcome: Outcome::Done { session: None },
            groups: Vec::new(),
        })
    }

    fn close(code: u16) -> Option<Close> {
        let reason = "".into();
        Some(Close { code, reason })
    }

    #[test]
    fn a_frame_and_a_completion_are_one_reply() {
        let frame = Some(Frame::Text("hello".into()));
        let written = Reply {
            frame: frame.clone(),
            ..Reply::default()
        };
        let fused = fuse(Some(written), done());
        assert_eq!(fused, Reply { frame, ..done() });
        assert_eq!(fuse(None, done()), done());
    }

    #[test]
    fn the_first_answer_counts() {
        let denied = Reply {
            deny: Some(Box::new(Deny {
                status: 403,
                headers: Vec::new(),
                body: "no".into(),
            })),
            ..Reply::default()
        };
        let accepts = Reply {
            accept: Some(Box::new(Accept::default())),
            close: close(4000),
            ..done()
        };
        let fused = fuse(Some(denied.clone()), accepts.clone());
        assert_eq!((fused.accept, fused.deny), (None, denied.deny));
        let closed = Reply {
            close: close(1000),
            ..Reply::default()
        };
        let fused = fuse(Some(closed), accepts);
        assert_eq!((fused.accept, fused.close), (None, close(1000)));
        assert_eq!(fused.completion, done().completion);
    }

    #[test]
    fn what_is_large_is_not_held() {
        let of = |len: usize| Reply {
            frame: Some(Frame::Text("x".repeat(len).into())),
            ..Reply::default()
        };
        let limits = Limits::default();
        assert!(fits(&of(HELD_SIZE_MAX), &limits));
        assert!(!fits(&of(HELD_SIZE_MAX + 1), &limits));
        let narrow = Limits {
            message_size_max: 10,
            ..Limits::default()
        };
        assert!(fits(&of(10), &narrow));
        assert!(!fits(&of(11), &narrow));
    }
}
