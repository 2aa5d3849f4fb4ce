//! What waits for a connection until its joins are answered: what its consumers
//! say, and what everybody in the topics is told meanwhile.
//!
//! A connection that is one topic has one join. A plain WebSocket has one for
//! each history that is read for it, of its own topic or of its streams': each
//! holds what its topic is told, and the frames of the socket's consumers wait
//! until the last of them is answered.

use std::rc::Rc;

use towpath_layer_core::{Counter, Frame, GroupName, Position, TopicReply};

use super::broadcast::Delivery;
use super::connection::Connection;
use super::flusher::Urgency;
use super::shard::Shard;
use crate::protocol::frame::OutFrame;
use crate::transport::outbox::{Bounds, NotTaken};

/// What topics are told may wait, in messages for each join. What comes beyond
/// it is left out, and a client that resumes is told to begin anew.
const HELD_MAX: usize = 256;

#[derive(Debug)]
pub(super) enum Held {
    Said(TopicReply),
    Told(Delivery, Option<Position>),
}

/// One join that is not answered.
#[derive(Debug, Default)]
pub(super) struct Joining {
    /// What is told to this group waits; everything, for a topic's connection.
    group: Option<GroupName>,
    /// Whether its history is being read.
    resumes: bool,
    told: usize,
    /// The answer, which goes before all that was held.
    pub(super) answer: Option<Frame>,
    pub(super) held: Vec<Held>,
    pub(super) overflowed: bool,
}

/// What becomes of what a consumer says.
enum Saying {
    Held,
    /// Too much is held.
    Full,
    Now(TopicReply),
}

/// What waits for one connection.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    joins: Vec<Joining>,
    /// What a plain WebSocket's consumers have written.
    frames: Vec<OutFrame>,
    bytes: usize,
}

impl Hold {
    /// For a connection that is one topic: it begins with its join.
    pub(crate) fn of_topic() -> Self {
        Self {
            joins: vec![Joining::default()],
            ..Self::default()
        }
    }

    fn join_of(&mut self, group: &GroupName) -> Option<&mut Joining> {
        self.joins.iter_mut().find(|join| join.is_of(group))
    }

    /// The history of a topic is being read.
    fn resume(&mut self, group: &GroupName) {
        match self.join_of(group) {
            Some(join) => join.resumes = true,
            None => self.joins.push(Joining {
                group: Some(group.clone()),
                resumes: true,
                ..Joining::default()
            }),
        }
    }

    /// Keeps what a consumer says, if there is anything that it waits for: an
    /// answer waits for the history that it was announced with, the rest for a
    /// topic's own join.
    fn say(&mut self, said: TopicReply, max: usize) -> Saying {
        if let TopicReply::Joined { response } = said {
            let mut joins = self.joins.iter_mut().rev();
            let Some(join) = joins.find(|join| join.resumes && join.answer.is_none()) else {
                return Saying::Now(TopicReply::Joined { response });
            };
            join.answer = Some(response);
            return Saying::Held;
        }
        match self.joins.first_mut() {
            Some(join) if join.group.is_none() => {
                if join.held.len() >= max {
                    return Saying::Full;
                }
                join.held.push(Held::Said(said));
                Saying::Held
            }
            _ => Saying::Now(said),
        }
    }

    /// Keeps a frame of a plain WebSocket's consumers.
    fn frame(&mut self, frame: OutFrame, bounds: Bounds) -> Result<(), NotTaken> {
        let bytes = self.bytes + frame.len();
        if self.frames.len() >= bounds.frames_max || bytes > bounds.bytes_max {
            return Err(NotTaken::Full);
        }
        self.bytes = bytes;
        self.frames.push(frame);
        Ok(())
    }

    fn take_join(&mut self, is_it: impl Fn(&Joining) -> bool) -> Option<Joining> {
        let at = self.joins.iter().position(is_it)?;
        Some(self.joins.remove(at))
    }
}

impl Joining {
    fn is_of(&self, group: &GroupName) -> bool {
        self.group.as_ref().is_none_or(|own| own == group)
    }

    fn tell(&mut self, delivery: Delivery, position: Option<Position>) -> bool {
        if self.told >= HELD_MAX {
            self.overflowed = true;
            return false;
        }
        self.told += 1;
        self.held.push(Held::Told(delivery, position));
        true
    }
}

impl Connection {
    /// Whether what the group is told has to wait for this member.
    pub(super) fn holds(&self, group: &GroupName) -> bool {
        let hold = self.hold.borrow();
        hold.as_ref()
            .is_some_and(|hold| hold.joins.iter().any(|join| join.is_of(group)))
    }

    /// The history of a topic is being read for its client.
    pub(super) fn holds_from_now(&self, group: &GroupName) {
        self.hold.borrow_mut().get_or_insert_default().resume(group);
    }

    /// Keeps a frame that its consumer has written, while it has to wait.
    pub(super) fn keep_frame(
        &self,
        frame: &OutFrame,
        bounds: Bounds,
    ) -> Option<Result<(), NotTaken>> {
        let mut hold = self.hold.borrow_mut();
        let hold = hold.as_mut()?;
        Some(hold.frame(frame.clone(), bounds))
    }

    /// The join whose history was read: nothing waits for it any more.
    pub(super) fn take_join(&self, group: &GroupName) -> Option<Joining> {
        let mut hold = self.hold.borrow_mut();
        hold.as_mut()?.take_join(|join| join.is_of(group))
    }

    /// The join of a topic's connection, if no history was read.
    fn take_own_join(&self) -> Option<Joining> {
        let mut hold = self.hold.borrow_mut();
        hold.as_mut()?.take_join(|join| join.group.is_none())
    }
}

impl Shard {
    /// Keeps what a group is told for a member whose join is not answered.
    pub(super) fn hold(
        &self,
        connection: &Connection,
        group: &GroupName,
        delivery: Delivery,
        position: Option<Position>,
    ) {
        let mut hold = connection.hold.borrow_mut();
        let join = hold.as_mut().and_then(|hold| hold.join_of(group));
        if join.is_some_and(|join| !join.tell(delivery, position)) {
            self.count(Counter::Dropped);
        }
    }

    /// What a consumer says goes out after the answer to its join.
    pub(crate) fn said(self: &Rc<Self>, connection: &Rc<Connection>, said: TopicReply) {
        if let TopicReply::Resume(resume) = said {
            return self.resume_from(connection, *resume);
        }
        if matches!(said, TopicReply::Refused { .. }) {
            connection.hold.take();
        }
        let saying = match connection.hold.borrow_mut().as_mut() {
            Some(hold) => hold.say(said, self.bounds.frames_max),
            None => Saying::Now(said),
        };
        match saying {
            Saying::Held => {}
            Saying::Full => self.overflow(connection),
            Saying::Now(said) => {
                let joins = matches!(said, TopicReply::Joined { .. });
                self.say(connection, said);
                let own = joins.then(|| connection.take_own_join()).flatten();
                if let Some(join) = own {
                    self.let_out(connection, join.held);
                }
            }
        }
    }

    pub(super) fn say(self: &Rc<Self>, connection: &Rc<Connection>, said: TopicReply) {
        match connection.topic() {
            Some(topic) => self.say_to(topic, said),
            None => self.count(Counter::Dropped),
        }
    }

    /// Lets out what was held for a join that has been answered, and for all if
    /// it was the last.
    pub(super) fn let_out(self: &Rc<Self>, connection: &Rc<Connection>, held: Vec<Held>) {
        for held in held {
            match held {
                Held::Said(said) => self.say(connection, said),
                Held::Told(_, at) if connection.has_seen(at) => {}
                Held::Told(delivery, _) => {
                    // No client could take it so far, however fast it reads.
                    let more = delivery.size();
                    self.deliver(connection, delivery, Urgency::Now, more);
                }
            }
        }
        let is_last = |hold: &Hold| hold.joins.is_empty();
        if connection.hold.borrow().as_deref().is_some_and(is_last) {
            self.let_frames_out(connection);
            connection.hold.take();
        }
        self.tell_presences(connection);
    }

    /// Writes the frames that a plain WebSocket's consumers have written.
    pub(super) fn let_frames_out(self: &Rc<Self>, connection: &Rc<Connection>) {
        let frames = match connection.hold.borrow_mut().as_mut() {
            Some(hold) => std::mem::take(&mut hold.frames),
            None => return,
        };
        for frame in frames {
            self.deliver(connection, Delivery::Frame(frame), Urgency::Now, 0);
        }
    }
}
