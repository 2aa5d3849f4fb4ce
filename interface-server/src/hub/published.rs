//! Messages of groups that keep their history.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use towpath_layer_core::{Counter, GroupName, Position, Reply};

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
    pub(super) fn published(self: &Rc<Self>, group: GroupName, position: Position, reply: Reply) {
        let (due, hole) = {
            let mut courses = self.courses.borrow_mut();
            match courses.get_mut(&group) {
                None => (vec![reply], None),
                Some(course) => (course.take(position, reply), course.hole()),
            }
        };
        for reply in due {
            self.tell_group(&group, &reply);
        }
        if hole.is_some() && self.fetching.borrow_mut().insert(group.clone()) {
            let shard = Rc::clone(self);
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
            let stuck = due.is_empty();
            for reply in due {
                self.tell_group(group, &reply);
            }
            if !stuck {
                continue;
            }
            tries += 1;
            if tries < TRIES_MAX {
                sleep(RETRY).await;
                continue;
            }
            tracing::warn!(%group, "published messages are left out: they cannot be fetched");
            self.count(Counter::Dropped);
            for reply in self.on_course(group, super::course::Course::skip) {
                self.tell_group(group, &reply);
            }
        }
    }

    fn hole(&self, group: &GroupName) -> Option<Position> {
        let courses = self.courses.borrow();
        courses.get(group).and_then(super::course::Course::hole)
    }

    fn on_course(
        &self,
        group: &GroupName,
        change: impl FnOnce(&mut super::course::Course) -> Vec<Reply>,
    ) -> Vec<Reply> {
        let mut courses = self.courses.borrow_mut();
        courses.get_mut(group).map(change).unwrap_or_default()
    }
}
