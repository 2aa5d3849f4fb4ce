//! Words between requests and the sessions that they are for, on this node or
//! another.

use std::fmt::Display;
use std::rc::Rc;

use tokio::sync::mpsc;
use towpath_layer_core::{
    ChannelName, Counter, InboxEntry, InboxSink, LocalId, Poll, PollAnswer, Reply,
};

use super::connection::Connection;
use super::shard::Shard;

impl Shard {
    /// A reply channel for the words of one request's session.
    pub(crate) fn start_asking(&self, words: mpsc::Sender<Poll>) -> (LocalId, ChannelName) {
        let (id, channel) = self.next_channel();
        if let Some(port) = self.port() {
            port.live.lock().insert(id);
        }
        self.asking.borrow_mut().insert(id, words);
        (id, channel)
    }

    /// The request waits no more.
    pub(crate) fn stop_asking(&self, id: LocalId) {
        if let Some(port) = self.port() {
            port.live.lock().remove(&id);
        }
        self.asking.borrow_mut().remove(&id);
    }

    /// Says something to a session, or to a request that asks one.
    pub(crate) fn tell(self: &Rc<Self>, channel: &ChannelName, poll: Poll) {
        self.tell_or_cut(channel, poll, None);
    }

    /// The same; if it cannot be said, that session is cut.
    pub(crate) fn tell_or_cut(
        self: &Rc<Self>,
        channel: &ChannelName,
        poll: Poll,
        session: Option<Rc<Connection>>,
    ) {
        let reply = Reply {
            poll: Some(Box::new(poll)),
            ..Reply::default()
        };
        match channel.as_reply() {
            Some((node, to)) if node == self.layer.node() => {
                if self.hub.deliver(InboxEntry::Reply { to, reply }).is_err() {
                    self.unsaid(channel, session, &"this node's inbox is full");
                }
            }
            _ => {
                let (shard, channel) = (Rc::clone(self), channel.clone());
                self.sockets.spawn_local(async move {
                    if let Err(error) = shard.layer.send(&channel, reply.into()).await {
                        shard.unsaid(&channel, session, &error);
                    }
                });
            }
        }
    }

    fn unsaid(
        self: &Rc<Self>,
        channel: &ChannelName,
        session: Option<Rc<Connection>>,
        error: &dyn Display,
    ) {
        self.count(Counter::Dropped);
        match session {
            Some(session) => {
                let conn_id = session.id;
                tracing::warn!(%conn_id, %error, "a poll cannot be answered: its session is cut");
                session.cut();
                self.tell(channel, Poll::Answer(PollAnswer::status(410)));
            }
            None => tracing::debug!(%error, "a poll, or an answer to it, is left out"),
        }
    }

    /// Something was said to nobody that is a connection.
    pub(super) fn heard(self: &Rc<Self>, to: LocalId, poll: Poll) {
        match poll {
            // The session is gone: its client need not wait to learn it.
            Poll::Read(from) | Poll::Write { from, .. } => {
                self.tell(&from.channel, Poll::Answer(PollAnswer::status(410)));
            }
            Poll::Waits | Poll::Answer(_) => {
                let asking = self.asking.borrow();
                let told = asking
                    .get(&to)
                    .is_some_and(|words| words.try_send(poll).is_ok());
                if !told {
                    drop(asking);
                    self.count(Counter::Dropped);
                }
            }
        }
    }
}
