//! What a run shows, by the plainest means: lists, a set and a clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{
    BRIEF, CAPACITY, CAPACITY_SMALL, CHANNELS, CONNECTIONS, NODES, Observed, PASS, Shown, Step,
};

#[derive(Default)]
struct Plain {
    now: Duration,
    channels: [VecDeque<(Duration, u64)>; CHANNELS.len()],
    members: BTreeMap<(usize, usize), u8>,
    replies: [Vec<u64>; CONNECTIONS],
}

pub(super) fn run(steps: &[Step]) -> Observed {
    let mut plain = Plain::default();
    let shown = (0..).zip(steps).map(|(at, step)| plain.apply(at, step));
    Observed {
        steps: shown.collect(),
        replies: plain.replies.to_vec(),
    }
}

impl Plain {
    fn apply(&mut self, at: u64, step: &Step) -> Shown {
        match *step {
            Step::Send { channel, count, .. } => self.send(at, channel, count),
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
                self.members.clear();
                Shown::Done
            }
        }
    }

    fn of_group(&self, group: usize) -> impl Iterator<Item = (usize, u8)> {
        let members = self.members.iter();
        let members = members.filter(move |((of, _), _)| *of == group);
        members.map(|((_, member), meta)| (*member, *meta))
    }

    fn drop_expired(&mut self, channel: usize) {
        if CHANNELS[channel].starts_with("brief.") {
            let now = self.now;
            self.channels[channel].retain(|(sent_at, _)| now - *sent_at < BRIEF);
        }
    }

    fn send(&mut self, at: u64, channel: usize, count: usize) -> Shown {
        self.drop_expired(channel);
        let small = CHANNELS[channel].starts_with("small.");
        let capacity = if small { CAPACITY_SMALL } else { CAPACITY };
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
        self.drop_expired(channel);
        let queue = &mut self.channels[channel];
        let count = queue.len().min(max);
        Shown::Received(queue.drain(..count).map(|(_, number)| number).collect())
    }

    fn group_send(&mut self, at: u64, group: usize) -> Shown {
        let members: Vec<_> = self.of_group(group).map(|(member, _)| member).collect();
        let nodes: BTreeSet<_> = members.iter().map(|member| member % NODES).collect();
        for member in members {
            self.replies[member].push(at);
        }
        let nodes = u32::try_from(nodes.len()).expect("a small number");
        Shown::Delivered(nodes, nodes, 0)
    }
}
