//! Random histories against what must always hold.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const TOPICS: [&str; 4] = ["room:1", "room:2", "room:3", "lobby"];
const LIMITS: Limits = Limits {
    max_topics: 2,
    topic_len_max: 255,
    held_messages_max: 6,
    held_bytes_max: 500,
};

#[derive(Debug, Clone, Copy)]
enum Said {
    Join,
    Leave,
    Event,
    Heartbeat,
}

#[derive(Debug, Clone, Copy)]
enum JoinRef {
    /// The topic's last join.
    Current,
    Stale,
    Null,
}

#[derive(Debug, Clone)]
enum Step {
    Says {
        topic: usize,
        said: Said,
        join_ref: JoinRef,
        size: usize,
    },
    /// A join that is under way, counted modulo those, ends.
    Done { which: usize, outcome: JoinOutcome },
    /// A channel that is there, counted modulo those, stops.
    Stops { which: usize, stop: Stop },
    /// Something comes for a channel that may be gone.
    Late { topic: usize, id: u64 },
}

fn outcomes() -> impl Strategy<Value = JoinOutcome> {
    let response = Payload::empty();
    prop_oneof![
        4 => Just(JoinOutcome::Joined { response: response.clone() }),
        1 => Just(JoinOutcome::Refused { response }),
        1 => Just(JoinOutcome::Crashed),
        1 => Just(JoinOutcome::Unmatched),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let said = prop_oneof![
        3 => Just(Said::Join),
        2 => Just(Said::Leave),
        5 => Just(Said::Event),
        1 => Just(Said::Heartbeat),
    ];
    let join_ref = prop_oneof![
        4 => Just(JoinRef::Current),
        1 => Just(JoinRef::Stale),
        1 => Just(JoinRef::Null),
    ];
    let size = prop_oneof![9 => 1..150_usize, 1 => 500..2000_usize];
    let says = (0..TOPICS.len(), said, join_ref, size).prop_map(|(topic, said, join_ref, size)| {
        Step::Says {
            topic,
            said,
            join_ref,
            size,
        }
    });
    let done =
        (any::<usize>(), outcomes()).prop_map(|(which, outcome)| Step::Done { which, outcome });
    let stop = prop_oneof![Just(Stop::Normal), Just(Stop::Crashed)];
    let stops = (any::<usize>(), stop).prop_map(|(which, stop)| Step::Stops { which, stop });
    let late = (0..TOPICS.len(), 0..20_u64).prop_map(|(topic, id)| Step::Late { topic, id });
    prop_oneof![8 => says, 4 => done, 3 => stops, 1 => late]
}

/// What a shell and a client would have seen.
#[derive(Debug, Default)]
struct World {
    /// Channels by topic, and whether their join is answered.
    channels: HashMap<String, (ChannelId, bool)>,
    last_id: u64,
    /// Channels that were told to end.
    told: HashSet<ChannelId>,
    /// By topic, the number of the last message that was acted upon.
    last_seen: HashMap<String, u64>,
    /// How often each numbered message was answered, forwarded or dropped.
    settled: HashMap<u64, u32>,
    drops: usize,
    joins: Vec<u64>,
    replies: HashMap<u64, u32>,
}

fn number(reference: Option<&Ref>) -> u64 {
    reference.unwrap().text().parse().unwrap()
}

impl World {
    fn sees(&mut self, action: &Action) {
        match action {
            Action::StartJoin { topic, id, .. } => {
                assert!(id.0 > self.last_id, "an id is given twice");
                self.last_id = id.0;
                let before = self.channels.insert(topic.to_string(), (*id, false));
                assert_eq!(before, None, "two channels on {topic}");
                assert!(self.channels.len() <= LIMITS.max_topics);
            }
            Action::Forward {
                topic,
                id,
                reference,
                ..
            } => {
                assert_eq!(self.channels.get(&**topic), Some(&(*id, true)));
                assert!(!self.told.contains(id), "an event behind the end");
                self.settles(number(reference.as_ref()));
                self.in_order(topic, number(reference.as_ref()));
            }
            Action::StartLeave { topic, id, .. } => {
                assert_eq!(self.channels.get(&**topic), Some(&(*id, true)));
                assert!(self.told.insert(*id), "a channel is told twice");
            }
            Action::Reply { reference, .. } => {
                let number = number(reference.as_ref());
                *self.replies.entry(number).or_default() += 1;
                self.settles(number);
            }
            Action::Close { .. } | Action::Error { .. } => {}
            Action::Push { .. } => panic!("nobody pushes"),
            Action::Drop(_) => self.drops += 1,
        }
    }

    fn settles(&mut self, number: u64) {
        *self.settled.entry(number).or_default() += 1;
    }

    fn in_order(&mut self, topic: &str, number: u64) {
        let last = self.last_seen.insert(topic.to_owned(), number);
        assert!(last < Some(number), "{number} overtook on {topic}");
    }

    /// Channels, in a fixed order, that are joined or not.
    fn among(&self, joined: bool, which: usize) -> Option<(String, ChannelId)> {
        let mut found: Vec<_> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.1 == joined)
            .map(|(topic, channel)| (topic.clone(), channel.0))
            .collect();
        found.sort_unstable_by_key(|(_, id)| *id);
        (!found.is_empty()).then(|| found.swap_remove(which % found.len()))
    }
}

struct Run {
    fixture: Fixture,
    world: World,
    next: u64,
    /// By topic, the number of its last join.
    last_join: HashMap<usize, u64>,
}

impl Run {
    fn new() -> Self {
        Self {
            fixture: Fixture::new(LIMITS),
            world: World::default(),
            next: 1,
            last_join: HashMap::new(),
        }
    }

    fn look(&mut self) {
        for action in std::mem::take(&mut self.fixture.actions) {
            self.world.sees(&action);
        }
        assert_eq!(
            self.fixture.machine.channel_count(),
            self.world.channels.len()
        );
        let max = LIMITS.held_messages_max + LIMITS.max_topics;
        assert!(self.fixture.machine.held_count() <= max);
    }

    fn says(&mut self, topic: usize, said: Said, join_ref: JoinRef, size: usize) {
        let number = self.next;
        self.next += 1;
        let last = self.last_join.get(&topic).copied().unwrap_or(number);
        let (event, is_join) = match said {
            Said::Join => ("phx_join", true),
            Said::Leave => ("phx_leave", false),
            Said::Event => ("event", false),
            Said::Heartbeat => ("heartbeat", false),
        };
        if is_join {
            self.last_join.insert(topic, number);
            self.world.joins.push(number);
        }
        let join_ref = match join_ref {
            JoinRef::Null => "null".to_owned(),
            _ if is_join => number.to_string(),
            JoinRef::Current => last.to_string(),
            JoinRef::Stale => "0".to_owned(),
        };
        let topic = match said {
            Said::Heartbeat => "phoenix",
            Said::Join | Said::Leave | Said::Event => TOPICS[topic],
        };
        self.fixture
            .says_in(topic, &format!("{join_ref}/{number}"), event, size);
        self.look();
    }

    fn done(&mut self, which: usize, outcome: &JoinOutcome) {
        let Some((topic, id)) = self.world.among(false, which) else {
            return;
        };
        match outcome {
            JoinOutcome::Joined { .. } => {
                self.world.channels.insert(topic.clone(), (id, true));
            }
            _ => {
                self.world.channels.remove(&topic);
            }
        }
        self.fixture.done(&topic, id.0, outcome.clone());
        self.look();
    }

    fn stops(&mut self, which: usize, stop: Stop) {
        let Some((topic, id)) = self.world.among(true, which) else {
            return;
        };
        self.world.channels.remove(&topic);
        self.fixture.stops(&topic, id.0, stop);
        let crashed = stop == Stop::Crashed && !self.world.told.contains(&id);
        let ends: Vec<_> = self
            .fixture
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Close { .. } => Some(false),
                Action::Error { .. } => Some(true),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [crashed], "one word about the end");
        self.look();
    }

    fn late(&mut self, topic: usize, id: u64) {
        let topic = TOPICS[topic];
        let current = self.world.channels.get(topic);
        if current.is_some_and(|(current, _)| current.0 == id) {
            return;
        }
        self.fixture.done_ok(topic, id);
        self.fixture.stops(topic, id, Stop::Crashed);
        self.fixture.check(&["drop ChannelEnded"; 2]);
    }

    /// Answers all joins and ends all channels.
    fn finish(&mut self) {
        while !self.world.channels.is_empty() {
            let response = Payload::empty();
            self.done(0, &JoinOutcome::Joined { response });
            self.stops(0, Stop::Normal);
        }
    }
}

proptest! {
    #[test]
    fn a_topic_has_one_channel_and_every_join_one_answer(
        history in prop::collection::vec(steps(), 0..120)
    ) {
        let mut run = Run::new();
        for step in history {
            match step {
                Step::Says { topic, said, join_ref, size } => run.says(topic, said, join_ref, size),
                Step::Done { which, outcome } => run.done(which, &outcome),
                Step::Stops { which, stop } => run.stops(which, stop),
                Step::Late { topic, id } => run.late(topic, id),
            }
        }
        run.finish();
        prop_assert_eq!(run.fixture.machine.held_count(), 0);
        for join in &run.world.joins {
            prop_assert_eq!(run.world.replies.get(join), Some(&1), "join {}", join);
        }
        // Each message is answered, forwarded or dropped, and that once.
        prop_assert!(run.world.settled.values().all(|times| *times == 1));
        let all = usize::try_from(run.next - 1).unwrap();
        prop_assert_eq!(run.world.settled.len() + run.world.drops, all);
    }
}
