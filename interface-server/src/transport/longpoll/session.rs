//! A session: a connection that its client reads and writes in requests.
//!
//! What is put into the connection's outbox waits there for the next read; what
//! requests bring waits for the conversations. One task looks after both, and
//! after the deadlines.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use subtle::ConstantTimeEq;
use tokio::time::sleep;
use towpath_layer_core::{ChannelName, Entropy, Frame, Poll, PollAnswer, PollFrom, SystemEntropy};

use super::LINES_MAX;
use super::token::Token;
use super::waiter::Waiter;
use crate::conversation::Reading;
use crate::hub::connection::Connection;
use crate::hub::shard::Shard;
use crate::protocol::close;
use crate::protocol::phoenix::Leaving;
use crate::protocol::refusal::Refusal;
use crate::transport::socket::Guard;

/// Bytes of messages in one answer, if the layer carries so many; one of any
/// size goes alone.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// What a session has beside its connection.
#[derive(Debug)]
pub(crate) struct Session {
    secret: Bytes,
    window: Duration,
    reader: RefCell<Option<Waiter>>,
    writer: RefCell<Option<Waiter>>,
    brought: RefCell<VecDeque<Frame>>,
    /// When it was last read.
    read: Cell<Duration>,
    /// Whether nobody looks after it any more.
    over: Cell<bool>,
}

impl Session {
    pub(crate) fn new(window: Duration, now: Duration) -> Self {
        let words = [SystemEntropy.next_u64(), SystemEntropy.next_u64()];
        let secret: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Self {
            secret: secret.into(),
            window,
            reader: RefCell::default(),
            writer: RefCell::default(),
            brought: RefCell::default(),
            read: Cell::new(now),
            over: Cell::default(),
        }
    }

    /// After this long without a read its client is taken for gone.
    fn patience(&self) -> Duration {
        self.window * 3 / 2
    }

    /// When something happens if nothing else does.
    fn deadline(&self) -> Duration {
        let of = |waiter: &RefCell<Option<Waiter>>| waiter.borrow().as_ref().map(|one| one.until);
        let read = of(&self.reader).unwrap_or(self.read.get() + self.patience());
        of(&self.writer).map_or(read, |write| write.min(read))
    }

    /// A request; how its sender is answered at once.
    fn polled(&self, poll: Poll, now: Duration) -> Vec<(ChannelName, Poll)> {
        let wait = |from: &PollFrom| Waiter::new(from.channel.clone(), now, self.window);
        let gone = |from: PollFrom| vec![(from.channel, answer(410))];
        match poll {
            Poll::Read(from) | Poll::Write { from, .. }
                if self.over.get() || !self.is_mine(&from) =>
            {
                gone(from)
            }
            Poll::Read(from) => {
                self.read.set(now);
                let earlier = self.reader.replace(Some(wait(&from)));
                // The client has given up the earlier request.
                let replaced = earlier.map(|earlier| (earlier.channel, answer(204)));
                let waits = (from.channel, Poll::Waits);
                replaced.into_iter().chain([waits]).collect()
            }
            Poll::Write { from, frames } => {
                let mut brought = self.brought.borrow_mut();
                if self.writer.borrow().is_some() || brought.len() + frames.len() > LINES_MAX {
                    return vec![(from.channel, answer(408))];
                }
                brought.extend(frames);
                self.writer.replace(Some(wait(&from)));
                vec![(from.channel, Poll::Waits)]
            }
            Poll::Waits | Poll::Answer(_) => Vec::new(),
        }
    }

    /// Some of what was brought is taken: what is next has a window of its own.
    /// Where to say so, if it has to be said.
    fn goes_on(&self, now: Duration) -> Option<ChannelName> {
        let mut writer = self.writer.borrow_mut();
        let writer = writer.as_mut()?;
        // Whoever waits for this is there, even if it does not read.
        self.read.set(now);
        let tell = writer.renew(now, self.window);
        tell.then(|| writer.channel.clone())
    }

    fn is_mine(&self, from: &PollFrom) -> bool {
        self.secret.ct_eq(&from.secret).into()
    }
}

fn answer(status: u16) -> Poll {
    Poll::Answer(PollAnswer::status(status))
}

/// Starts a session that was accepted; what its client knows it by.
pub(super) fn start(
    shard: &Rc<Shard>,
    guard: Guard,
    connection: &Rc<Connection>,
) -> Result<Token, Refusal> {
    let session = connection.session().ok_or_else(Refusal::internal)?;
    session.read.set(shard.now());
    let token = Token {
        channel: connection.channel.clone(),
        secret: session.secret.clone(),
    };
    shard.metrics.connections.increment(1.0);
    let task = run(Rc::clone(shard), Rc::clone(connection), guard);
    shard.sockets.spawn_local(task);
    Ok(token)
}

/// Looks after a session to its end.
async fn run(shard: Rc<Shard>, connection: Rc<Connection>, guard: Guard) {
    if let Some(session) = connection.session() {
        while !connection.cut.get() && shard.step(&connection, session) {
            let wait = session.deadline().saturating_sub(shard.now());
            tokio::select! {
                biased;
                () = connection.task.notified() => {}
                () = sleep(wait) => {}
            }
        }
        session.over.set(true);
        let waiters = [session.reader.take(), session.writer.take()];
        for waiter in waiters.into_iter().flatten() {
            shard.tell(&waiter.channel, answer(410));
        }
    }
    {
        let mut line = connection.line.borrow_mut();
        line.outbox.seal();
        line.outbox.discard();
        line.close_by = None;
    }
    shard.metrics.connections.decrement(1.0);
    drop(guard);
}

impl Shard {
    /// A request for a session.
    pub(crate) fn polled(self: &Rc<Self>, connection: &Connection, poll: Poll) {
        let Some(session) = connection.session() else {
            return;
        };
        for (channel, word) in session.polled(poll, self.now()) {
            self.tell(&channel, word);
        }
        connection.task.notify();
    }

    /// Does for a session what can be done now; whether it goes on.
    fn step(self: &Rc<Self>, connection: &Rc<Connection>, session: &Session) -> bool {
        self.take_brought(connection, session);
        let now = self.now();
        let (waits, sealed) = {
            let outbox = &connection.line.borrow().outbox;
            (outbox.has_texts(), outbox.is_sealed())
        };
        let Some(reader) = session.reader.take() else {
            if now < session.read.get() + session.patience() {
                return waits || !sealed;
            }
            self.end_topics(connection, Leaving::Inactive);
            self.transport_ended(
                connection,
                close::ABNORMAL,
                ByteString::from_static("inactive"),
            );
            return false;
        };
        let status = match () {
            () if waits => 200,
            () if sealed => 410,
            () if now >= reader.until => 204,
            () => {
                session.reader.replace(Some(reader));
                return true;
            }
        };
        session.read.set(now);
        let bytes_max = ANSWER_BYTES_MAX.min(self.layer.limits().message_size_max);
        let taken = connection.line.borrow_mut().outbox.take_texts(bytes_max);
        let messages = taken.iter().filter_map(|frame| frame.text()).collect();
        let answer = PollAnswer { status, messages };
        // What does not arrive is lost: nothing may seem to follow it.
        let cut = waits.then(|| Rc::clone(connection));
        self.tell_or_cut(&reader.channel, Poll::Answer(answer), cut);
        status != 410
    }

    /// Gives what was brought to the conversations, as far as they take it.
    fn take_brought(self: &Rc<Self>, connection: &Rc<Connection>, session: &Session) {
        let mut taken = false;
        loop {
            let reading = self.reading(connection);
            if session.brought.borrow().is_empty() || reading == Reading::Pause {
                break;
            }
            taken = true;
            let frame = session.brought.borrow_mut().pop_front();
            if let Some(frame) = frame.filter(|_| reading == Reading::Deliver) {
                connection.heard.set(self.now());
                self.receive(connection, frame);
            }
        }
        let done = session.brought.borrow().is_empty();
        connection.paused.set(!done);
        let now = self.now();
        if taken
            && !done
            && let Some(channel) = session.goes_on(now)
        {
            self.tell(&channel, Poll::Waits);
        }
        let answered = session
            .writer
            .borrow_mut()
            .take_if(|writer| done || now >= writer.until);
        if let Some(writer) = answered {
            session.brought.borrow_mut().clear();
            self.tell(&writer.channel, answer(if done { 200 } else { 408 }));
        }
    }
}
