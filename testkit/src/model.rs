//! Random operations on a backend, compared with a plain model or with another
//! backend.
//!
//! A run is a row of [`Step`]s, one after the other, on two nodes with three
//! connections each. Every step shows something; two backends that keep the
//! contract show the same. A disagreement shrinks to the shortest row that
//! still shows it.

mod plain;
mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use towpath_layer_core::{GlobTable, History, Limits};

use crate::{Backend, Factory};

const NODES: usize = 2;
const CONNECTIONS: usize = 6;
const GROUPS: usize = 3;

/// Channels with the default limits, with little capacity, and with a short
/// expiry.
const CHANNELS: [&str; 3] = ["work", "small.work", "brief.work"];
const CAPACITY: usize = 100;
const CAPACITY_SMALL: usize = 3;

/// How long a message on the brief channel lives. Longer than a backend in real
/// time takes for all steps of a run.
const BRIEF: Duration = Duration::from_secs(2);

/// How much time a [`Step::Pass`] lets pass.
const PASS: Duration = Duration::from_secs(3);

/// How long a delayed message waits: past what a backend in real time takes
/// between two passes, and over within one.
const DELAY: Duration = Duration::from_millis(2_500);

/// What a published message is kept for: it is gone after a pass.
const HISTORY: History = History {
    size: 3,
    ttl: BRIEF,
};

/// How many steps a run has, at most.
const STEPS_MAX: usize = 40;

/// One operation. Numbers stand for one of the run's nodes, channels, groups
/// and connections; a message carries the position of its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends a batch to a channel.
    Send {
        /// The node that sends.
        node: usize,
        /// The channel.
        channel: usize,
        /// Messages in the batch.
        count: usize,
    },
    /// Sends to a channel, to arrive after the next [`Step::Pass`].
    SendLater {
        /// The node that sends.
        node: usize,
        /// The channel.
        channel: usize,
        /// How many messages, one after the other.
        count: usize,
    },
    /// Cancels the delayed message that was sent last and not cancelled yet.
    Cancel {
        /// The node that cancels.
        node: usize,
    },
    /// Receives what waits on a channel.
    Receive {
        /// The node that receives.
        node: usize,
        /// The channel.
        channel: usize,
        /// How many at most.
        max: usize,
    },
    /// Sends a reply to a connection.
    Reply {
        /// The node that sends.
        node: usize,
        /// The connection.
        to: usize,
    },
    /// Makes a connection a member.
    Add {
        /// The node that asks for it.
        node: usize,
        /// The group.
        group: usize,
        /// The connection.
        member: usize,
        /// The metadata.
        meta: u8,
    },
    /// Ends a membership.
    Discard {
        /// The node that asks for it.
        node: usize,
        /// The group.
        group: usize,
        /// The connection.
        member: usize,
    },
    /// Ends all memberships of a connection.
    DiscardAll {
        /// The node that asks for it.
        node: usize,
        /// The connection.
        member: usize,
    },
    /// Sends to a group.
    GroupSend {
        /// The node that sends.
        node: usize,
        /// The group.
        group: usize,
    },
    /// Publishes to a group.
    Publish {
        /// The node that publishes.
        node: usize,
        /// The group.
        group: usize,
    },
    /// Recalls what was published to a group.
    Recall {
        /// The node that asks.
        node: usize,
        /// The group.
        group: usize,
        /// Behind which offset, in the epoch that the run saw last; from the
        /// end if it has seen none.
        since: u64,
        /// How many at most.
        max: usize,
    },
    /// Asks for the members of a group and their number.
    Members {
        /// The node that asks.
        node: usize,
        /// The group.
        group: usize,
    },
    /// Asks for the groups of a connection.
    ChannelGroups {
        /// The node that asks.
        node: usize,
        /// The connection.
        member: usize,
    },
    /// Lets time pass: what waits on the brief channel expires, and what was
    /// delayed before is due.
    Pass,
    /// Empties the layer.
    Flush {
        /// The node that asks for it.
        node: usize,
    },
}

/// What a step showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Which messages of a batch were accepted.
    Sent(Vec<bool>),
    /// What was received.
    Received(Vec<u64>),
    /// What a group send reached: nodes, of these delivered, dropped.
    Delivered(u32, u32, u32),
    /// What a publish reached, as for a group send, and its offset.
    Published(u32, u32, u32, u64),
    /// What was recalled: the last offset, whether it was complete, and each
    /// message with its offset.
    Recalled(u64, bool, Vec<(u64, u64)>),
    /// The members of a group, by connection, and their metadata.
    Members(BTreeMap<usize, Vec<u8>>),
    /// The groups of a connection.
    Groups(Vec<usize>),
    /// Whether a message was still waiting, if there was one to cancel.
    Cancelled(Option<bool>),
    /// Nothing but success.
    Done,
}

/// What a whole run showed: each step, and what each connection got.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Observed {
    steps: Vec<Shown>,
    replies: Vec<Vec<u64>>,
}

/// The limits that a run counts on.
#[must_use]
pub fn limits() -> Limits {
    let capacity = |count: usize| u32::try_from(count).expect("a small number");
    Limits {
        capacity: GlobTable::new(capacity(CAPACITY)).rule("small.*", capacity(CAPACITY_SMALL)),
        expiry: GlobTable::new(Duration::from_mins(10)).rule("brief.*", BRIEF),
        ..Limits::default()
    }
}

/// Rows of steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (node, channel) = (0..NODES, 0..CHANNELS.len());
    let (group, member) = (0..GROUPS, 0..CONNECTIONS);
    let step = prop_oneof![
        6 => (node.clone(), channel.clone(), 1..5usize)
            .prop_map(|(node, channel, count)| Step::Send { node, channel, count }),
        4 => (node.clone(), channel.clone(), 1..4usize)
            .prop_map(|(node, channel, count)| Step::SendLater { node, channel, count }),
        2 => node.clone().prop_map(|node| Step::Cancel { node }),
        5 => (node.clone(), channel, 1..6usize)
            .prop_map(|(node, channel, max)| Step::Receive { node, channel, max }),
        3 => (node.clone(), member.clone()).prop_map(|(node, to)| Step::Reply { node, to }),
        6 => (node.clone(), group.clone(), member.clone(), any::<u8>())
            .prop_map(|(node, group, member, meta)| Step::Add { node, group, member, meta }),
        3 => (node.clone(), group.clone(), member.clone())
            .prop_map(|(node, group, member)| Step::Discard { node, group, member }),
        1 => (node.clone(), member.clone())
            .prop_map(|(node, member)| Step::DiscardAll { node, member }),
        6 => (node.clone(), group.clone())
            .prop_map(|(node, group)| Step::GroupSend { node, group }),
        6 => (node.clone(), group.clone())
            .prop_map(|(node, group)| Step::Publish { node, group }),
        4 => (node.clone(), group.clone(), 0..6u64, 0..5usize)
            .prop_map(|(node, group, since, max)| Step::Recall { node, group, since, max }),
        3 => (node.clone(), group).prop_map(|(node, group)| Step::Members { node, group }),
        2 => (node.clone(), member).prop_map(|(node, member)| Step::ChannelGroups { node, member }),
        1 => Just(Step::Pass),
        1 => node.prop_map(|node| Step::Flush { node }),
    ];
    prop::collection::vec(step, 1..=STEPS_MAX)
}

/// Runs the same steps on two empty backends, which must have [`limits`].
///
/// # Panics
///
/// If they showed different things.
///
/// # Cancel safety
///
/// A dropped future has run some of the steps.
pub async fn same_observations(a: &dyn Backend, b: &dyn Backend, steps: &[Step]) {
    let one = run::run(a, steps).await;
    let other = run::run(b, steps).await;
    if let Some(difference) = difference(steps, &one, &other) {
        panic!("{a:?} and {b:?} differ: {difference}");
    }
}

/// Runs the steps on an empty backend with [`limits`] and says where it differs
/// from the plain model, if it does.
///
/// # Cancel safety
///
/// A dropped future has run some of the steps.
pub async fn differs(backend: &dyn Backend, steps: &[Step]) -> Option<String> {
    let shown = run::run(backend, steps).await;
    difference(steps, &shown, &plain::run(steps))
}

fn difference(steps: &[Step], shown: &Observed, expected: &Observed) -> Option<String> {
    let pairs = shown.steps.iter().zip(&expected.steps);
    let first = steps.iter().zip(pairs).find(|(_, (one, two))| one != two);
    if let Some((step, (one, two))) = first {
        return Some(format!("{step:?} showed {one:?}, expected {two:?}"));
    }
    let pairs = shown.replies.iter().zip(&expected.replies).enumerate();
    let (connection, (one, two)) = pairs.into_iter().find(|(_, (one, two))| one != two)?;
    Some(format!(
        "connection {connection} got {one:?}, expected {two:?}"
    ))
}

/// Runs random steps, `cases` times, each on a backend of its own, and compares
/// with the plain model.
///
/// # Panics
///
/// If the backend differs from the model; shows the shortest row of steps found.
pub fn check(factory: &dyn Factory, cases: u32) {
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime for the cases");
    let checked = runner.run(&steps(), |steps| {
        let found = runtime.block_on(async {
            let backend = factory.backend(limits()).await;
            differs(&*backend, &steps).await
        });
        found.map_or(Ok(()), |found| Err(TestCaseError::fail(found)))
    });
    match checked {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("{why}\nafter {steps:#?}"),
        Err(TestError::Abort(why)) => panic!("no steps to run: {why}"),
    }
}
