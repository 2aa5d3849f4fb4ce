//! Does what a conversation has decided.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use bytestring::ByteString;
use towpath_layer_core::{Accept, Counter, Frame, GroupChange, GroupName, TopicReply};

use super::broadcast::Delivery;
use super::cleanup::Job;
use super::connection::{Connection, Decision, Leaving};
use super::flusher::Urgency;
use super::resume::RECALLED_MAX;
use super::shard::Shard;
use crate::config::SlowPolicy;
use crate::conversation::{Action, Reading};
use crate::metrics;
use crate::protocol::close;
use crate::protocol::frame::OutFrame;
use crate::protocol::phoenix::Leaving as Leaves;
use crate::transport::outbox::{Bounds, NotTaken};

impl Shard {
    pub(crate) fn perform(self: &Rc<Self>, connection: &Rc<Connection>, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Emit { channel, attempt } => {
                    connection.touched.borrow_mut().clear();
                    match connection.leaving.get() {
                        Leaving::No => self.emitter.emit(channel, connection.id, attempt),
                        Leaving::Before(_) => {
                            let emission = Some((channel, attempt));
                            connection.leaving.set(Leaving::Before(emission));
                        }
                    }
                }
                Action::Accept(accept) => self.accept(connection, accept),
                Action::Refuse(refusal) => match connection.topic() {
                    Some(topic) => {
                        connection.hold.take();
                        self.join_failed(topic, &refusal);
                    }
                    None => {
                        self.decide(connection, Decision::Refuse(refusal));
                    }
                },
                Action::Send(frame) => self.send(connection, &frame),
                Action::Topic(TopicReply::Tracking(tracking)) => self.track(connection, tracking),
                Action::Topic(said) => self.said(connection, said),
                Action::Close {
                    code,
                    reason,
                    at_once,
                } => {
                    tracing::debug!(conn_id = %connection.id, code, "closing");
                    match connection.topic() {
                        Some(topic) => self.topic_closes(topic, code),
                        None => self.socket_closes(connection, code, &reason, at_once),
                    }
                }
                Action::Groups(changes) => self.repeat_missing(connection, changes),
                Action::Depart => self.depart(connection),
                Action::End => self.end(connection),
                Action::Wake { was, at } => self.ticker.set(connection.id, was, at),
                Action::Count(counter) => self.count(counter),
            }
        }
        self.resume(connection);
    }

    /// Wakes the reader if it waits for a conversation that has room again.
    fn resume(&self, connection: &Rc<Connection>) {
        if let Some(topic) = connection.topic()
            && let Some(phoenix) = &topic.socket.phoenix
        {
            phoenix.note_waiting(topic, connection.conversation.borrow().messages());
        }
        let socket = connection.socket();
        if socket.paused.get() && self.reading(socket) != Reading::Pause {
            socket.task.notify();
        }
    }

    /// What to do with what a peer sends.
    pub(crate) fn reading(&self, socket: &Connection) -> Reading {
        let reading = socket.conversation.borrow().reading(&self.rules);
        // A join takes the session along that the connect leaves.
        let full = socket.phoenix.as_ref().is_some_and(|phoenix| {
            phoenix.is_full() || socket.conversation.borrow().is_connecting()
        });
        match reading {
            Reading::Deliver if full => Reading::Pause,
            reading => reading,
        }
    }

    fn socket_closes(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        code: u16,
        reason: &ByteString,
        at_once: bool,
    ) {
        metrics::closed(code);
        let leaving = match code {
            close::GOING_AWAY => Leaves::Disconnected,
            close::RESTART => Leaves::Draining,
            _ => Leaves::Closed,
        };
        self.end_topics(connection, leaving);
        if !at_once {
            // Behind the close it would come too late.
            self.let_frames_out(connection);
        }
        self.close(connection, code, reason, at_once);
    }

    fn accept(self: &Rc<Self>, connection: &Rc<Connection>, mut accept: Accept) {
        if connection.topic().is_some() {
            let response = Frame::Text(ByteString::from_static("{}"));
            return self.said(connection, TopicReply::Joined { response });
        }
        if connection.phoenix.is_some() && accept.subprotocol.is_none() {
            accept.subprotocol = self.phoenix_subprotocol(connection);
        }
        let offered = connection.asking.borrow().as_ref().is_some_and(|asking| {
            let chosen = accept.subprotocol.as_ref();
            chosen.is_none_or(|chosen| asking.subprotocols.contains(chosen))
        });
        if !offered {
            tracing::warn!("the accepted subprotocol was not offered; none is used");
        }
        let decision = Decision::Accept {
            subprotocol: accept.subprotocol.filter(|_| offered),
            headers: accept.headers,
            channel: connection.channel.clone(),
        };
        if !self.decide(connection, decision) {
            self.transport_ended(connection, close::ABNORMAL, ByteString::new());
        }
    }

    /// The first offered subprotocol that the mount speaks.
    fn phoenix_subprotocol(&self, connection: &Connection) -> Option<ByteString> {
        let mount = &connection.phoenix.as_ref()?.speech.mount;
        let asking = connection.asking.borrow();
        let mut offered = asking.iter().flat_map(|asking| &asking.subprotocols);
        offered.find(|offered| mount.speaks(offered)).cloned()
    }

    /// Answers the handshake; false if nobody waits for the answer.
    fn decide(&self, connection: &Connection, decision: Decision) -> bool {
        if matches!(decision, Decision::Refuse(_)) {
            connection.line.borrow_mut().outbox.seal();
        }
        let asking = connection.asking.borrow_mut().take();
        asking.is_some_and(|asking| asking.answer.send(decision).is_ok())
    }

    fn send(self: &Rc<Self>, connection: &Rc<Connection>, frame: &Frame) {
        if connection.topic().is_some() {
            tracing::warn!("a frame is no message of a topic; left out");
            return self.count(Counter::Dropped);
        }
        let frame = OutFrame::data(frame);
        match connection.keep_frame(&frame, self.bounds) {
            None => self.deliver(connection, Delivery::Frame(frame), Urgency::Now, 0),
            Some(Ok(())) => {}
            Some(Err(_)) => self.overflow(connection),
        }
    }

    /// Puts a frame in the outbox and the connection among those to write to.
    pub(crate) fn put(
        &self,
        connection: &Rc<Connection>,
        frame: OutFrame,
        urgency: Urgency,
    ) -> Result<(), NotTaken> {
        self.put_more(connection, frame, urgency, 0)
    }

    /// The same for what may be much, and more than anybody chose to be told at
    /// once: what was missed, or who is present. So much more may wait, besides
    /// what one history keeps, and takes no room from what follows.
    pub(crate) fn put_more(
        &self,
        connection: &Rc<Connection>,
        frame: OutFrame,
        urgency: Urgency,
        more: usize,
    ) -> Result<(), NotTaken> {
        let (frame, bounds) = if more == 0 {
            (frame, self.bounds)
        } else {
            let bounds = Bounds {
                frames_max: self.bounds.frames_max + RECALLED_MAX,
                bytes_max: self.bounds.bytes_max + self.beyond(more),
            };
            (frame.beyond(), bounds)
        };
        self.put_on_line(connection.socket(), frame, urgency, bounds)
    }

    /// Puts a frame in the outbox of the connection whose line it is.
    #[inline]
    pub(super) fn put_on_line(
        &self,
        socket: &Rc<Connection>,
        frame: OutFrame,
        urgency: Urgency,
        bounds: Bounds,
    ) -> Result<(), NotTaken> {
        socket.line.borrow_mut().outbox.push(frame, bounds)?;
        self.flusher.mark(socket, urgency);
        Ok(())
    }

    /// What may wait beyond a bound where `more` bytes come at once.
    pub(super) fn beyond(&self, more: usize) -> usize {
        self.layer.limits().history_bytes_max + more
    }

    /// The outbox is full: its peer does not read fast enough.
    pub(crate) fn overflow(self: &Rc<Self>, connection: &Rc<Connection>) {
        self.metrics.outbox_dropped.increment(1);
        self.layer.count(Counter::Dropped, 1);
        if self.config.slow_policy == SlowPolicy::Close {
            let reason = ByteString::from_static("the client reads too slowly");
            self.turn(connection.socket(), |conversation, turn| {
                conversation.abort(close::TRY_LATER, reason, turn);
            });
        }
    }

    /// Ends what is written with a close frame, and starts its deadline.
    pub(crate) fn close(
        &self,
        connection: &Rc<Connection>,
        code: u16,
        reason: &ByteString,
        at_once: bool,
    ) {
        {
            let mut line = connection.line.borrow_mut();
            if at_once {
                line.outbox.discard();
            }
            line.outbox.push_last(OutFrame::close(code, reason));
            let by = self.now() + self.config.close_timeout;
            line.close_by.get_or_insert(by);
        }
        self.flusher.mark(connection, Urgency::Now);
        connection.task.notify();
    }

    /// The consumer's own membership changes, if the layer has lost them.
    fn repeat_missing(&self, connection: &Connection, changes: Vec<GroupChange>) {
        for change in changes {
            let (group, listener) = change.of();
            let joins = matches!(change, GroupChange::Add { .. });
            let member = connection.id.listener(listener);
            let is_member = self.groups.borrow().is_member(group, member);
            if is_member == joins || connection.is_touched(group) {
                continue;
            }
            let channel = connection.channel.listener(listener);
            self.repair(match change {
                GroupChange::Add { group, meta, .. } => Job::Add {
                    group,
                    channel,
                    meta,
                },
                GroupChange::Discard { group, .. } => Job::Discard { group, channel },
            });
        }
    }

    /// Ends the memberships of a connection that will make no more.
    fn depart(self: &Rc<Self>, connection: &Rc<Connection>) {
        self.not_here(connection);
        let left: Vec<GroupName> = {
            let mut groups = self.groups.borrow_mut();
            let members = connection.members();
            members
                .flat_map(|member| groups.leave_all(member))
                .collect()
        };
        if !left.is_empty() {
            let groups = self.groups.borrow();
            let mut index = self.hub.index.lock();
            for group in &left {
                if groups.members(group).is_empty() {
                    self.drop_course(group);
                    index.emptied(group, self.number);
                }
            }
            drop(index);
            drop(groups);
            connection.leaving.set(Leaving::Before(None));
            self.repair(Job::DiscardAll {
                channel: connection.channel.clone(),
                listeners: connection.listeners.get(),
            });
        }
        if let Some(topic) = connection.topic() {
            self.topic_departs(topic);
        }
    }

    /// The memberships of a connection have ended, or are left to the layer's
    /// sweep: what waited for that goes out.
    pub(crate) fn has_left(&self, connection: &Connection) {
        let emission = connection.leaving.take();
        if let Leaving::Before(Some((channel, attempt))) = emission {
            self.emitter.emit(channel, connection.id, attempt);
        }
    }

    /// A connection's disconnect was handed over, or none will come.
    pub(crate) fn parted(&self, connection: &Connection) {
        if !connection.parted.replace(true) {
            self.unparted.set(self.unparted.get().saturating_sub(1));
            self.progress.notify();
        }
    }

    fn end(self: &Rc<Self>, connection: &Rc<Connection>) {
        if connection.over.replace(true) {
            return;
        }
        self.parted(connection);
        if let Some(port) = self.port() {
            port.live.lock().remove(&connection.id);
        }
        match connection.topic() {
            Some(topic) => self.forget_topic(topic),
            None => {
                self.hub.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
        // A handshake that nobody answered on the way here ends as refused.
        drop(connection.asking.borrow_mut().take());
        self.forget(connection);
    }

    /// The socket, or the handshake that might have become one, is gone.
    pub(crate) fn let_go(self: &Rc<Self>, connection: &Rc<Connection>) {
        connection.held.set(false);
        self.transport_ended(connection, close::ABNORMAL, ByteString::new());
        self.forget(connection);
    }

    /// Drops a connection that has neither a socket nor a conversation. Until
    /// then its deadlines are looked at.
    fn forget(&self, connection: &Connection) {
        if connection.over.get() && !connection.held.get() {
            self.connections.borrow_mut().remove(&connection.id);
            self.progress.notify();
        }
    }
}
