//! What a consumer wrote last, on its way out with the completion.
//!
//! While a consumer is polled, the small reply that it has just written to its
//! own connection is held: if it returns without waiting for anything, reply
//! and completion are one message. Whatever else it asks of the layer goes out
//! after what is held, and as soon as it waits what is held goes out too.

use std::cell::RefCell;

use towpath_layer_core::{Limits, Message, Reply};

use crate::{Context, Result};

/// A larger reply, in bytes with its headers, is sent by itself: completions
/// pass outside the limits of an inbox, and what they carry is small.
const HELD_SIZE_MAX: usize = 16 << 10;

/// One poll of a consumer of an event.
struct Window {
    context: Context,
    held: Option<Reply>,
}

thread_local! {
    static WINDOW: RefCell<Option<Window>> = const { RefCell::new(None) };
}

/// Polls the consumer of an event, and returns what it has written last and
/// not waited for.
pub(crate) fn polled<R>(context: Context, poll: impl FnOnce() -> R) -> (R, Option<Reply>) {
    let window = Window {
        context,
        held: None,
    };
    let outer = WINDOW.replace(Some(window));
    let result = poll();
    let window = WINDOW.replace(outer);
    (result, window.and_then(|window| window.held))
}

/// Sends a reply to a consumer's own connection: with its completion, if
/// possible.
///
/// # Cancel safety
///
/// A dropped future may have sent the reply or not.
pub(crate) async fn reply(context: &Context, reply: Reply) -> Result {
    let Some(reply) = hold(context, reply)? else {
        return Ok(());
    };
    flush().await?;
    if let Some(reply) = hold(context, reply)? {
        let channel = context.reply_channel()?;
        context.layer().send(channel, Message::Reply(reply)).await?;
    }
    Ok(())
}

/// Sends what is held; done before anything else is asked of the layer.
///
/// # Cancel safety
///
/// A dropped future may have sent it or not.
pub(crate) async fn flush() -> Result {
    let held = WINDOW.with_borrow_mut(|window| {
        let window = window.as_mut()?;
        Some((window.context.clone(), window.held.take()?))
    });
    if let Some((context, reply)) = held {
        send(&context, reply).await?;
    }
    Ok(())
}

/// Sends what was held.
pub(crate) async fn send(context: &Context, reply: Reply) -> Result {
    let channel = context.reply_channel()?;
    Ok(context.layer().send(channel, Message::Reply(reply)).await?)
}

/// Holds a reply; gives it back if it cannot be held now.
fn hold(context: &Context, reply: Reply) -> Result<Option<Reply>> {
    if !fits(&reply, context.layer().limits()) {
        return Ok(Some(reply));
    }
    let own = context.reply_channel()?;
    Ok(WINDOW.with_borrow_mut(|window| match window {
        Some(Window {
            context,
            held: held @ None,
        }) if context.reply_channel().is_ok_and(|channel| channel == own) => {
            *held = Some(reply);
            None
        }
        _ => Some(reply),
    }))
}

/// Whether a reply may be part of a completion: it is small, and the layer
/// carries it with any session.
fn fits(reply: &Reply, limits: &Limits) -> bool {
    let (payload, envelope) = (reply.payload_size(), reply.envelope_size());
    payload + envelope <= HELD_SIZE_MAX
        && payload <= limits.message_size_max
        && envelope + limits.session_size_max <= limits.envelope_size_max
}

/// One reply that does what two do, one after the other. If both answer the
/// handshake, or both close, the first has done so.
pub(crate) fn fuse(first: Option<Reply>, then: Reply) -> Reply {
    let Some(first) = first else { return then };
    let answered = first.accept.is_some() || first.deny.is_some() || first.close.is_some();
    Reply {
        taken: first.taken.or(then.taken),
        accept: first.accept.or(then.accept.filter(|_| !answered)),
        deny: first.deny.or(then.deny.filter(|_| !answered)),
        frame: first.frame.or(then.frame),
        event: first.event.or(then.event),
        tick: first.tick.or(then.tick),
        close: first.close.or(then.close),
        completion: then.completion,
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
