//! What a run shows, by the plainest means: lists, a set and a clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{
    BRIEF, CAPACITY, CAPACITY_SMALL, CHANNELS, CONNECTIONS, DELAY, GROUPS, HISTORY, NODES,
    Observed, PASS, Shown, Step,
};

#[derive(Default)]
struct Plain {
    now: Duration,
    channels: [VecDeque<(Duration, u64)>; CHANNELS.len()],
    /// What waits for its time: key, due time, number.
    delayed: [VecDeque<(usize, Duration, u64)>; CHANNELS.len()],
    /// The channels of all keys ever given out that were not cancelled.
    keys: Vec<(usize, usize)>,
    next_key: usize,
    members: BTreeMap<(usize, usize), u8>,
    histories: [Past; GROUPS],
    replies: [Vec<u64>; CONNECTIONS],
}

/// All that was published to a group since the last flush.
#[derive(Default)]
struct Past {
    messages: Vec<(Duration, u64)>,
    /// Whether anybody has seen this epoch, and any.
    is_seen: bool,
    is_any_seen: bool,
}

pub(super) fn run(steps: &[Step]) -> Observed {
    let mut plain = Plain::default();
    let shown = (0..).zip(steps).map(|(at, step)| plain.apply(at, step));
    Observed {
        steps: shown.collect(),
        replies: plain.replies.to_vec(),
    }
}

fn capacity(channel: usize) -> usize {
    if CHANNELS[channel].starts_with("small.") {
        CAPACITY_SMALL
    } else {
        CAPACITY
    }
}

impl Plain {
    fn apply(&mut self, at: u64, step: &Step) -> Shown {
        match *step {
            Step::Send { channel, count, .. } => self.send(at, channel, count),
            Step::SendLater { channel, count, .. } => {
                for _ in 0..count {
                    let due = self.now + DELAY;
                    self.delayed[channel].push_back((self.next_key, due, at));
                    self.keys.push((self.next_key, channel));
                    self.next_key += 1;
                }
                Shown::Done
            }
            Step::Cancel { .. } => Shown::Cancelled(self.cancel()),
            Step::Receive { channel, max, .. } => self.receive(channel, max),
            Step::Reply { to, .. } => {
                self.replies[to].push(at);
                Shown::Done
            }
            Step::Add {
                group,
                member,
                meta,
                ..
            } => {
                self.members.insert((group, member), meta);
                Shown::Done
            }
            Step::Discard { group, member, .. } => {
                self.members.remove(&(group, member));
                Shown::Done
            }
            Step::DiscardAll { member, .. } => {
                self.members.retain(|(_, known), _| *known != member);
                Shown::Done
            }
            Step::GroupSend { group, .. } => self.group_send(at, group),
            Step::Publish { group, .. } => self.publish(at, group),
            Step::Recall {
                group, since, max, ..
            } => self.histories[group].recall(self.now, since, max),
            Step::Members { group, .. } => {
                let members = self.of_group(group);
                Shown::Members(members.map(|(member, meta)| (member, vec![meta])).collect())
            }
            Step::ChannelGroups { member, .. } => {
                let groups = self.members.keys();
                let groups = groups.filter(|(_, known)| *known == member);
                Shown::Groups(groups.map(|(group, _)| *group).collect())
            }
            Step::Pass => {
                self.now += PASS;
                Shown::Done
            }
            Step::Flush { .. } => {
                self.channels = Default::default();
                self.delayed = Default::default();
                self.members.clear();
                for past in &mut self.histories {
                    past.messages.clear();
                    past.is_seen = false;
                }
                Shown::Done
            }
        }
    }

    fn of_group(&self, group: usize) -> impl Iterator<Item = (usize, u8)> {
        let members = self.members.iter();
        let members = members.filter(move |((of, _), _)| *of == group);
        members.map(|((_, member), meta)| (*member, *meta))
    }

    fn cancel(&mut self) -> Option<bool> {
        let (key, channel) = self.keys.pop()?;
        self.settle(channel);
        let waiting = &mut self.delayed[channel];
        let before = waiting.len();
        waiting.retain(|(known, _, _)| *known != key);
        Some(waiting.len() < before)
    }

    /// Drops what has expired, and lets in what is due.
    fn settle(&mut self, channel: usize) {
        let (now, capacity) = (self.now, capacity(channel));
        let is_brief = CHANNELS[channel].starts_with("brief.");
        let lives = |since: Duration| !is_brief || now - since < BRIEF;
        let (queue, waiting) = (&mut self.channels[channel], &mut self.delayed[channel]);
        queue.retain(|(sent_at, _)| lives(*sent_at));
        waiting.retain(|(_, due, _)| *due > now || lives(*due));
        while queue.len() < capacity
            && let Some((_, due, number)) = waiting.pop_front_if(|(_, due, _)| *due <= now)
        {
            queue.push_back((due, number));
        }
    }

    fn send(&mut self, at: u64, channel: usize, count: usize) -> Shown {
        self.settle(channel);
        let capacity = capacity(channel);
        let queue = &mut self.channels[channel];
        let accepted = (0..count).map(|_| {
            let room = queue.len() < capacity;
            if room {
                queue.push_back((self.now, at));
            }
            room
        });
        Shown::Sent(accepted.collect())
    }

    fn receive(&mut self, channel: usize, max: usize) -> Shown {
        self.settle(channel);
        let queue = &mut self.channels[channel];
        let count = queue.len().min(max);
        let received = queue.drain(..count).map(|(_, number)| number).collect();
        self.settle(channel);
        Shown::Received(received)
    }

    fn publish(&mut self, at: u64, group: usize) -> Shown {
        let (nodes, delivered, dropped) = self.reach(at, group);
        let past = &mut self.histories[group];
        past.messages.push((self.now, at));
        past.see();
        Shown::Published(nodes, delivered, dropped, past.messages.len() as u64)
    }

    fn group_send(&mut self, at: u64, group: usize) -> Shown {
        let (nodes, delivered, dropped) = self.reach(at, group);
        Shown::Delivered(nodes, delivered, dropped)
    }

    fn reach(&mut self, at: u64, group: usize) -> (u32, u32, u32) {
        let members: Vec<_> = self.of_group(group).map(|(member, _)| member).collect();
        let nodes: BTreeSet<_> = members.iter().map(|member| member % NODES).collect();
        for member in members {
            self.replies[member].push(at);
        }
        let nodes = u32::try_from(nodes.len()).expect("a small number");
        (nodes, nodes, 0)
    }
}

impl Past {
    fn see(&mut self) {
        self.is_seen = true;
        self.is_any_seen = true;
    }

    fn recall(&mut self, now: Duration, since: u64, max: usize) -> Shown {
        let last = self.messages.len() as u64;
        let all = (1..).zip(&self.messages);
        let kept = all.skip(self.messages.len().saturating_sub(HISTORY.size));
        let kept = kept.filter(|(_, (published, _))| now - *published < HISTORY.ttl);
        let kept: Vec<_> = kept.map(|(offset, (_, at))| (offset, *at)).collect();
        let since = self.is_any_seen.then_some(since);
        let is_given = self.is_seen && since.is_some_and(|since| since <= last);
        let from = match since {
            None => last.saturating_sub(max as u64),
            Some(since) if is_given => since,
            Some(_) => 0,
        };
        let first = kept.first().map_or(last + 1, |(offset, _)| *offset);
        let complete = since.is_none_or(|since| is_given && since + 1 >= first);
        let behind = kept.into_iter().filter(|(offset, _)| *offset > from);
        self.see();
        Shown::Recalled(last, complete, behind.take(max).collect())
    }
}
