//! Tells a topic's watchers who is here, and who joined and left since.

use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use tokio::time::sleep;
use towpath_layer_core::{Broadcast, Frame};

use super::room::Room;
use crate::hub::inbox::urgency;
use crate::hub::shard::Shard;

/// Up to this many watchers, they are told of each change at once.
const AT_ONCE_MAX: usize = 64;

/// With more, changes gather for this long for each of them, so that they cost
/// about as much of a core as this is of that: 10 000 are told five times a second.
const PERIOD_EACH: Duration = Duration::from_micros(20);
const PERIOD_MAX: Duration = Duration::from_secs(1);

/// What may wait beyond what a socket may leave unread, in bytes: nobody chose to
/// be told of thousands at once. A difference that takes a quarter of that at
/// most counts as any other message.
const fn more(told: bool, size: usize, unread_max: usize) -> usize {
    if told && size <= unread_max / 4 {
        0
    } else {
        size
    }
}

impl Shard {
    /// Has what is new announced, at once or with what else comes.
    pub(super) fn announce_soon(self: &Rc<Self>, room: &Rc<Room>) {
        let count = room.watchers.borrow().len();
        if count <= AT_ONCE_MAX {
            self.announce(room);
        } else if !room.announces.replace(true) {
            let (shard, room) = (Rc::clone(self), Rc::clone(room));
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let period = PERIOD_EACH.saturating_mul(count).min(PERIOD_MAX);
            self.sockets.spawn_local(async move {
                tokio::select! {
                    biased;
                    () = shard.draining.cancelled() => {}
                    () = sleep(period) => {}
                }
                room.announces.set(false);
                shard.announce(&room);
            });
        }
    }

    /// Those who know the state are told what changed, and then those who do not
    /// are told the state.
    fn announce(self: &Rc<Self>, room: &Room) {
        let state = {
            let replica = room.replica.borrow();
            let Some(replica) = replica.as_ref() else {
                return;
            };
            let watchers = room.watchers.borrow();
            let mut all = watchers.values();
            let new = all.any(|watcher| !watcher.told && watcher.listens(&room.group));
            let loaded = !replica.is_loading() || watchers.values().any(|watcher| watcher.told);
            drop(watchers);
            (new && loaded).then(|| replica.state())
        };
        if let Some(diff) = room.pending.borrow_mut().take() {
            self.tell_watchers(room, "presence_diff", diff.to_json(), true);
        }
        if let Some(state) = state {
            self.tell_watchers(room, "presence_state", state, false);
        }
    }

    fn tell_watchers(
        self: &Rc<Self>,
        room: &Room,
        event: &'static str,
        payload: ByteString,
        told: bool,
    ) {
        let broadcast = Broadcast {
            topic: room.topic.clone(),
            event: ByteString::from_static(event),
            payload: Frame::Text(payload),
            except: None,
        };
        let mut deliveries = Vec::new();
        let mut watchers = room.watchers.borrow_mut();
        let urgency = urgency(watchers.len());
        let mut fanout = self.fanout(&room.group, &broadcast, None);
        for (member, watcher) in watchers.iter_mut() {
            if !watcher.listens(&room.group) {
                // Once it can be told again, it is told the state.
                watcher.told &= !(told && watcher.diffs);
                continue;
            }
            let wants = if told {
                watcher.told && watcher.diffs
            } else {
                !std::mem::replace(&mut watcher.told, true)
            };
            if wants {
                let delivery = fanout.to(*member, &watcher.seated);
                deliveries.push((Rc::clone(&watcher.seated.connection), delivery));
            }
        }
        drop(fanout);
        drop(watchers);
        let more = more(told, broadcast.payload.len(), self.bounds.bytes_max);
        for (connection, delivery) in deliveries {
            self.deliver(&connection, delivery, urgency, more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::more;

    #[test]
    fn what_is_large_takes_no_room_from_what_follows() {
        let size = 64 << 10;
        assert_eq!(more(true, size, 256 << 10), 0);
        assert_eq!(more(true, size + 1, 256 << 10), size + 1);
        assert_eq!(more(false, 1, 256 << 10), 1);
    }
}
