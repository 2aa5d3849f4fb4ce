//! Whatever is lost, doubled, late or dead: at rest everybody knows who is here,
//! and nobody was told anything twice.

use proptest::prelude::*;

use super::world::{CONNECTIONS, OWNERS, VIEWERS, World};

#[derive(Debug, Clone)]
enum Step {
    Track(usize, u8, u8),
    Update(usize, u8, u8),
    Untrack(usize, u8, u8),
    End(usize, u8),
    AnnounceAll(usize),
    Kill(usize),
    Pause(usize, bool),
    Sweep,
    Empty,
    Refill,
    Deliver(usize, usize, bool),
    Lose(usize, usize),
    Gap(usize),
    Read(usize),
    Announce(usize),
    Join(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let owner = || 0..OWNERS;
    let viewer = || 0..VIEWERS;
    let whose = || (0..OWNERS, 0..CONNECTIONS, 0..4u8);
    prop_oneof![
        12 => whose().prop_map(|(owner, connection, key)| Step::Track(owner, connection, key)),
        6 => whose().prop_map(|(owner, connection, key)| Step::Update(owner, connection, key)),
        6 => whose().prop_map(|(owner, connection, key)| Step::Untrack(owner, connection, key)),
        3 => (owner(), 0..CONNECTIONS).prop_map(|(owner, connection)| Step::End(owner, connection)),
        1 => owner().prop_map(Step::AnnounceAll),
        1 => owner().prop_map(Step::Kill),
        1 => (owner(), any::<bool>()).prop_map(|(owner, late)| Step::Pause(owner, late)),
        1 => Just(Step::Sweep),
        1 => Just(Step::Empty),
        1 => Just(Step::Refill),
        40 => (viewer(), 0..OWNERS, prop::bool::weighted(0.1))
            .prop_map(|(viewer, at, twice)| Step::Deliver(viewer, at, twice)),
        3 => (viewer(), owner()).prop_map(|(viewer, at)| Step::Lose(viewer, at)),
        1 => viewer().prop_map(Step::Gap),
        10 => viewer().prop_map(Step::Read),
        6 => viewer().prop_map(Step::Announce),
        3 => viewer().prop_map(Step::Join),
    ]
}

fn take(world: &mut World, step: &Step) {
    match *step {
        Step::Track(owner, connection, key) => world.track(owner, connection, key, false),
        Step::Update(owner, connection, key) => world.track(owner, connection, key, true),
        Step::Untrack(owner, connection, key) => world.untrack(owner, connection, key),
        Step::End(owner, connection) => world.end(owner, connection),
        Step::AnnounceAll(owner) => world.announce_all(owner),
        Step::Kill(owner) => world.kill(owner),
        Step::Pause(owner, late) => world.pause(owner, late),
        Step::Sweep => world.sweep(),
        Step::Empty => world.empty(),
        Step::Refill => world.refill(),
        Step::Deliver(viewer, at, twice) => world.deliver(viewer, at, twice),
        Step::Lose(viewer, at) => world.lose(viewer, at),
        Step::Gap(viewer) => world.gap(viewer),
        Step::Read(viewer) => world.read(viewer),
        Step::Announce(viewer) => world.announce(viewer),
        Step::Join(viewer) => world.join(viewer),
    }
}

proptest! {
    #[test]
    fn at_rest_everybody_knows_who_is_here(steps in prop::collection::vec(step(), 0..200)) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
        }
        world.settle();
        let truth = world.truth();
        for view in world.views() {
            prop_assert_eq!(&view, &truth);
        }
    }
}
