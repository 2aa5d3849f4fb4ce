//! Drains the shard's queue: everything that concerns its connections, in order.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use futures_util::poll;
use smallvec::SmallVec;
use towpath_layer_core::{
    ChannelName, Counter, GroupName, InboxEntry, LocalId, Membership, Reply, TopicReply,
};

use super::cleanup::Job;
use super::connection::Connection;
use super::flusher::Urgency;
use super::seated::Seated;
use super::shard::Shard;
use crate::config::OnEvent;
use crate::protocol::close;
use crate::protocol::frame::OutFrame;
use crate::transport::outbox::NotTaken;

/// Up to this many members a group's message is as urgent as a reply.
const SMALL_GROUP: usize = 64;

/// How soon a message reaches each of so many members.
pub(super) fn urgency(members: usize) -> Urgency {
    if members <= SMALL_GROUP {
        Urgency::Now
    } else {
        Urgency::Bulk
    }
}

/// Applies entries for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    let mut batch = Vec::new();
    let Some(port) = shard.port() else {
        return;
    };
    loop {
        let mut filled = pin!(port.inbox.filled());
        if poll!(filled.as_mut()).is_ready() {
            // The end of a turn: what the last batch has started comes first.
            tokio::task::yield_now().await;
        } else {
            filled.await;
        }
        let gap = port.inbox.take(&mut batch);
        let now = shard.now();
        for entry in batch.drain(..) {
            shard.apply(entry, now);
        }
        if gap {
            shard.gap();
        }
        if batch.capacity() > 4096 {
            batch = Vec::new();
        }
    }
}

impl Shard {
    fn apply(self: &Rc<Self>, entry: InboxEntry, now: Duration) {
        match entry {
            InboxEntry::Reply { to, mut reply } => match (self.connection(to), reply.poll.take()) {
                (Some(connection), Some(poll)) => self.polled(&connection, *poll),
                (None, Some(poll)) => self.heard(to, *poll),
                (Some(connection), None) => {
                    self.turn_at(now, &connection, |conversation, turn| {
                        conversation.reply(reply, turn)
                    });
                }
                (None, None) => self.count(Counter::Dropped),
            },
            InboxEntry::Group { group, reply } => match reply.position.as_deref().copied() {
                Some(position) => self.published(&group, position, reply),
                None => self.tell_group(&group, &reply, 0),
            },
            InboxEntry::Join { group, to, meta } => self.join(group, to, meta),
            InboxEntry::Leave { group, to } => {
                if let Some(connection) = self.connection(to) {
                    connection.touch(&group);
                    if connection.id == to {
                        self.left_group(&group, &connection);
                    }
                }
                if self.groups.borrow_mut().leave(&group, to) {
                    self.drop_course(&group);
                    self.hub.index.lock().emptied(&group, self.number);
                }
            }
            InboxEntry::LeaveAll { to } => {
                if let Some(connection) = self.connection(to).filter(|found| found.id == to) {
                    self.not_here(&connection);
                }
                let left = self.groups.borrow_mut().leave_all(to);
                let groups = self.groups.borrow();
                for group in left {
                    if groups.members(&group).is_empty() {
                        self.drop_course(&group);
                        self.hub.index.lock().emptied(&group, self.number);
                    }
                }
            }
        }
    }

    fn join(self: &Rc<Self>, group: GroupName, to: LocalId, meta: bytes::Bytes) {
        let connection = self.connection(to).filter(|connection| {
            let conversation = connection.conversation.borrow();
            conversation.takes_members()
        });
        let empty = {
            let mut groups = self.groups.borrow_mut();
            if let Some(connection) = connection.clone() {
                let meta = meta.clone();
                let seated = if connection.id == to {
                    Seated::new(connection, &group, meta)
                } else {
                    let highest = connection.listeners.get().max(to.listener_number());
                    connection.listeners.set(highest);
                    Seated::listener(connection, meta)
                };
                groups.join(&group, to, seated);
            }
            groups.members(&group).is_empty()
        };
        self.hub.index.lock().joined(&group, self.number, empty);
        match connection {
            Some(connection) => {
                connection.touch(&group);
                if connection.id == to {
                    self.joined_group(&group, &connection, meta);
                }
            }
            // The membership of a connection that is gone: it must not stay.
            None => {
                self.drop_course(&group);
                self.repair(Job::Discard {
                    channel: ChannelName::reply(self.layer.node(), to),
                    group,
                });
            }
        }
    }

    /// A message for every member here: encoded once, shared by all outboxes.
    /// So many bytes of a topic's message may wait beyond what those hold.
    pub(super) fn tell_group(self: &Rc<Self>, group: &GroupName, reply: &Reply, beyond: usize) {
        for said in &reply.topic {
            match said {
                TopicReply::Broadcast(broadcast) => {
                    let position = reply.position.as_deref().copied();
                    self.fan_out(group, broadcast, position, beyond);
                }
                TopicReply::Presence(change) => self.presence_changed(group, change),
                // Only a conversation's own consumer says these.
                _ => self.count(Counter::Dropped),
            }
        }
        if reply.frame.is_none() && reply.event.is_none() && reply.close.is_none() {
            return;
        }
        let mut later: SmallVec<[(Rc<Connection>, Option<NotTaken>); 8]> = SmallVec::new();
        let frame = reply.frame.as_ref().map(OutFrame::data);
        let more = reply.event.is_some() || reply.close.is_some();
        let (mut sent, mut left_out) = (0, 0_u64);
        {
            let groups = self.groups.borrow();
            let members = groups.members(group);
            let urgency = urgency(members.len());
            for (_, seated) in members {
                if seated.listens() {
                    continue;
                }
                let connection = &seated.connection;
                match frame.clone() {
                    Some(frame) if seated.takes_frames() => {
                        match self.put_on_line(&seated.socket, frame, urgency, self.bounds) {
                            Ok(()) => sent += 1,
                            Err(not_taken) => later.push((Rc::clone(connection), Some(not_taken))),
                        }
                    }
                    Some(_) => left_out += 1,
                    None => {}
                }
                if more {
                    later.push((Rc::clone(connection), None));
                }
            }
        }
        self.metrics.frames_out.increment(sent);
        if left_out > 0 {
            tracing::warn!(%group, left_out, "a frame is no message of a topic; left out");
            self.layer.count(Counter::Dropped, left_out);
        }
        for (connection, not_taken) in later {
            match not_taken {
                Some(NotTaken::Full) => self.overflow(&connection),
                Some(NotTaken::Sealed) => self.count(Counter::Dropped),
                None => self.turn(&connection, |conversation, turn| {
                    conversation.group_reply(reply, turn);
                }),
            }
        }
    }

    /// Members of any group may have missed a message.
    fn gap(self: &Rc<Self>) {
        self.presences_missed();
        if self.config.on_gap == OnEvent::Ignore {
            return;
        }
        let affected: Vec<Rc<Connection>> = {
            let groups = self.groups.borrow();
            let connections = self.connections.borrow();
            let is_in_any = |id| !groups.groups_of(id).is_empty();
            let is_member = |connection: &&Rc<Connection>| connection.members().any(is_in_any);
            connections.values().filter(is_member).cloned().collect()
        };
        for connection in affected {
            let reason = ByteString::from_static("messages were missed");
            self.turn(&connection, |conversation, turn| {
                conversation.close(close::RESTART, reason, turn);
            });
        }
    }

    /// Every membership here.
    pub(crate) fn memberships(&self) -> Vec<Membership> {
        let groups = self.groups.borrow();
        let all = groups.iter().map(|(group, member, seated)| Membership {
            group: group.clone(),
            member,
            meta: seated.meta.clone(),
        });
        let mut all = all.collect();
        self.with_presences(&mut all);
        all
    }
}
