//! The checker of histories finds what is planted, and nothing in what is right.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use towpath_layer_core::ChannelName;
use towpath_testkit::history::{History, Id, Outcome, Record, Rules, Verdict};

const CAPACITY: usize = 5;
const EXPIRY: u64 = 1_000_000;

fn rules() -> Rules {
    Rules {
        expiry: Duration::from_micros(EXPIRY),
        capacity: CAPACITY as u64,
        held_max: 0,
        tolerance: Duration::from_millis(1),
    }
}

fn check(records: &[Record]) -> Verdict {
    History::new(records.to_vec()).check(&rules())
}

fn channel() -> ChannelName {
    ChannelName::new("work").unwrap()
}

/// A channel as it should be, with three senders and one receiver.
#[derive(Default)]
struct Right {
    now: u64,
    next: [u64; 3],
    queue: VecDeque<Id>,
    records: Vec<Record>,
}

impl Right {
    fn tick(&mut self) -> u64 {
        self.now += 10;
        self.now
    }

    fn send(&mut self, sender: u32) -> Id {
        let next = &mut self.next[sender as usize];
        let id = Id {
            sender,
            number: *next,
        };
        *next += 1;
        let at = self.tick();
        let channel = channel();
        self.records.push(Record::SendBegins { id, channel, at });
        id
    }

    fn end(&mut self, id: Id, outcome: Outcome) {
        let at = self.tick();
        self.records.push(Record::SendEnds { id, at, outcome });
    }

    fn hand_out(&mut self, id: Id) {
        let (began, at) = (self.tick(), self.tick());
        self.records.push(Record::Received {
            id,
            channel: channel(),
            receiver: 1,
            began,
            at,
        });
    }

    fn step(&mut self, sends: Option<u32>) {
        match sends {
            Some(sender) => {
                let id = self.send(sender);
                let room = self.queue.len() < CAPACITY;
                self.end(id, if room { Outcome::Acked } else { Outcome::Full });
                if room {
                    self.queue.push_back(id);
                }
            }
            None => {
                if let Some(id) = self.queue.pop_front() {
                    self.hand_out(id);
                }
            }
        }
    }

    fn end_of_run(mut self) -> Vec<Record> {
        while !self.queue.is_empty() {
            self.step(None);
        }
        self.records
    }
}

fn steps() -> impl Strategy<Value = Vec<Option<u32>>> {
    let step = prop_oneof![3 => (0..3u32).prop_map(Some), 2 => Just(None)];
    prop::collection::vec(step, 0..100)
}

fn right(steps: &[Option<u32>]) -> Right {
    let mut right = Right::default();
    for step in steps {
        right.step(*step);
    }
    right
}

/// A right run in which sender 0 has sent at least two messages that were
/// received one after the other.
fn two_received(steps: &[Option<u32>]) -> (Vec<Record>, [usize; 2]) {
    let mut right = right(steps);
    while !right.queue.is_empty() {
        right.step(None);
    }
    let at = right.records.len();
    for step in [Some(0), Some(0), None, None] {
        right.step(step);
    }
    (right.records, [at + 4, at + 5])
}

fn id_of(record: &Record) -> Id {
    match record {
        Record::SendBegins { id, .. }
        | Record::SendEnds { id, .. }
        | Record::Received { id, .. } => *id,
    }
}

proptest! {
    #[test]
    fn nothing_is_wrong_with_what_is_right(steps in steps()) {
        let verdict = check(&right(&steps).end_of_run());
        prop_assert!(verdict.is_clean(), "{}", verdict);
    }

    #[test]
    fn what_is_lost_is_found(steps in steps()) {
        let (mut records, [_, last]) = two_received(&steps);
        let id = id_of(&records.remove(last));
        let verdict = check(&records);
        prop_assert_eq!(verdict, Verdict { lost: [id].into(), ..Verdict::default() });
    }

    #[test]
    fn what_comes_twice_is_found(steps in steps(), receiver in 1..3u32) {
        let (mut records, [first, _]) = two_received(&steps);
        let mut again = records[first].clone();
        let id = id_of(&again);
        if let Record::Received { receiver: by, began, at, .. } = &mut again {
            *by = receiver;
            *began += 100;
            *at += 100;
        }
        records.push(again);
        prop_assert!(check(&records).twice.contains(&id));
    }

    #[test]
    fn what_comes_out_of_order_is_found(steps in steps()) {
        let (mut records, [first, last]) = two_received(&steps);
        let [one, other] = [id_of(&records[first]), id_of(&records[last])];
        for (at, now) in [(first, other), (last, one)] {
            if let Record::Received { id, .. } = &mut records[at] {
                *id = now;
            }
        }
        let verdict = check(&records);
        prop_assert_eq!(verdict, Verdict { out_of_order: [one].into(), ..Verdict::default() });
    }

    #[test]
    fn what_comes_too_late_is_found(steps in steps(), by in 1..1000u64) {
        let (mut records, [_, last]) = two_received(&steps);
        let id = id_of(&records[last]);
        let acked_at = records.iter().find_map(|record| match record {
            Record::SendEnds { id: ended, at, .. } if *ended == id => Some(*at),
            _ => None,
        });
        let tolerance = 1000;
        if let Record::Received { began, at, .. } = &mut records[last] {
            *began = acked_at.unwrap() + EXPIRY + tolerance + by;
            *at = *began + 10;
        }
        let verdict = check(&records);
        prop_assert_eq!(verdict, Verdict { too_late: [id].into(), ..Verdict::default() });
    }

    #[test]
    fn one_over_capacity_is_found(steps in steps()) {
        let mut right = right(&steps);
        while right.queue.len() < CAPACITY {
            right.step(Some(1));
        }
        let id = right.send(2);
        right.end(id, Outcome::Acked);
        right.queue.push_back(id);
        right.tick();
        let verdict = check(&right.end_of_run());
        let most = CAPACITY as u64 + 1;
        let over_capacity = [(channel(), most)].into();
        prop_assert_eq!(verdict, Verdict { over_capacity, ..Verdict::default() });
    }

    #[test]
    fn one_refused_too_early_is_found(steps in steps()) {
        let mut right = right(&steps);
        while right.queue.len() >= CAPACITY {
            right.step(None);
        }
        let id = right.send(2);
        right.end(id, Outcome::Full);
        let verdict = check(&right.end_of_run());
        prop_assert_eq!(verdict, Verdict { full_too_early: [id].into(), ..Verdict::default() });
    }

    #[test]
    fn what_nobody_sent_is_found(steps in steps()) {
        let mut right = right(&steps);
        let nobody = Id { sender: 9, number: 0 };
        right.hand_out(nobody);
        let refused = right.send(2);
        right.end(refused, Outcome::Failed);
        right.hand_out(refused);
        let verdict = check(&right.end_of_run());
        prop_assert_eq!(verdict.invented, [nobody, refused].into());
    }

    #[test]
    fn a_send_whose_answer_is_lost_may_come_or_not(steps in steps(), comes: bool, told: bool) {
        let mut right = right(&steps);
        while !right.queue.is_empty() {
            right.step(None);
        }
        let id = right.send(0);
        if told {
            right.end(id, Outcome::Unknown);
        }
        if comes {
            right.hand_out(id);
        }
        let verdict = check(&right.end_of_run());
        prop_assert!(verdict.is_clean(), "{}", verdict);
    }
}

#[test]
fn a_history_on_disk_is_the_history_up_to_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sender.jsonl");
    let recorder = towpath_testkit::history::Recorder::to_file(&path).unwrap();
    let (records, _) = two_received(&[Some(1), Some(2), None]);
    for record in &records {
        recorder.write(record.clone());
    }
    let mut torn = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    std::io::Write::write_all(&mut torn, b"{\"record\":\"send").unwrap();
    assert_eq!(History::read([&path]).unwrap().records(), records);
}
