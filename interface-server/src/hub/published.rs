//! Messages of groups that keep their history.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use towpath_layer_core::{Counter, GroupName, Position, Reply};

use super::course::Course;
use super::shard::Shard;

/// What is missing may be on its way: it is fetched after this.
const PATIENCE: Duration = Duration::from_millis(10);

/// How often it is fetched in vain before it is left out, with a wait between.
const TRIES_MAX: u32 = 10;
const RETRY: Duration = Duration::from_millis(100);

/// Messages that are fetched at one time.
const FETCHED_MAX: usize = 256;

impl Shard {
    /// A published message has come.
    pub(super) fn published(self: &Rc<Self>, group: &GroupName, position: Position, reply: Reply) {
        let due = match self.courses.borrow_mut().get_mut(group) {
            None => vec![reply],
            Some(course) => course.take(position, reply),
        };
        self.tell_in_order(group, &due);
        self.fill_soon(group);
    }

    /// Tells several messages, which may be more than what a socket may leave
    /// unread: nobody could read any of them before.
    fn tell_in_order(self: &Rc<Self>, group: &GroupName, due: &[Reply]) {
        let mut told = 0;
        for reply in due {
            if due.len() > 1 {
                told += reply.payload_size();
            }
            self.tell_group(group, reply, told);
        }
    }

    /// The history of a group is about to be read for somebody here.
    pub(super) fn begin_course(&self, group: &GroupName) {
        let mut courses = self.courses.borrow_mut();
        courses.entry(group.clone()).or_default().begin_reading();
    }

    /// It was read up to a position, or could not be read: then there is no order
    /// unless there was one before.
    pub(super) fn set_course(self: &Rc<Self>, group: &GroupName, position: Option<Position>) {
        let mut courses = self.courses.borrow_mut();
        if let Some(course) = courses.get_mut(group) {
            course.end_reading(position);
            if !course.is_known() {
                courses.remove(group);
            }
        }
        drop(courses);
        self.fill_soon(group);
    }

    /// A group may have no members here any more: then there is no order, unless
    /// somebody who is about to be one reads.
    pub(super) fn drop_course(&self, group: &GroupName) {
        let mut courses = self.courses.borrow_mut();
        let is_read = courses.get(group).is_some_and(Course::is_read);
        if !is_read && self.groups.borrow().members(group).is_empty() {
            courses.remove(group);
        }
    }

    /// Has what is missing of a group fetched, if something is.
    fn fill_soon(self: &Rc<Self>, group: &GroupName) {
        if self.hole(group).is_some() && self.fetching.borrow_mut().insert(group.clone()) {
            let (shard, group) = (Rc::clone(self), group.clone());
            self.sockets.spawn_local(async move {
                tokio::select! {
                    biased;
                    () = shard.draining.cancelled() => {}
                    () = shard.fill(&group) => {}
                }
                shard.fetching.borrow_mut().remove(&group);
            });
        }
    }

    /// Fetches what is missing until nothing is.
    async fn fill(self: &Rc<Self>, group: &GroupName) {
        sleep(PATIENCE).await;
        let mut tries = 0;
        while let Some(hole) = self.hole(group) {
            let fetched = self
                .layer
                .group_history(group, Some(hole), FETCHED_MAX)
                .await;
            let due = match fetched {
                Ok(recalled) => self.on_course(group, |course| course.fill(recalled)),
                Err(error) => {
                    tracing::debug!(%group, %error, "what is missing cannot be fetched");
                    Vec::new()
                }
            };
            self.tell_in_order(group, &due);
            if !due.is_empty() {
                continue;
            }
            tries += 1;
            if tries < TRIES_MAX {
                sleep(RETRY).await;
                continue;
            }
            tracing::warn!(%group, "published messages are left out: they cannot be fetched");
            self.count(Counter::Dropped);
            let due = self.on_course(group, Course::skip);
            self.tell_in_order(group, &due);
        }
    }

    fn hole(&self, group: &GroupName) -> Option<Position> {
        let courses = self.courses.borrow();
        courses.get(group).and_then(Course::hole)
    }

    fn on_course(
        &self,
        group: &GroupName,
        change: impl FnOnce(&mut Course) -> Vec<Reply>,
    ) -> Vec<Reply> {
        let mut courses = self.courses.borrow_mut();
        courses.get_mut(group).map(change).unwrap_or_default()
    }
}
