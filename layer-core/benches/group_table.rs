//! What a membership costs: to begin, to end, and to find on a walk.
//!
//! The figure to look at is the one for a member: it must be the same in small
//! and in large groups, with few groups and with many.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use towpath_layer_core::{GroupName, GroupTable};

type Table = GroupTable<u32>;

/// Groups, and members of each.
#[derive(Clone, Copy)]
struct Shape {
    groups: u32,
    members: u32,
}

/// One small and one large group; few and many groups of ten.
const SHAPES: [Shape; 4] = [
    shape(1, 100),
    shape(1, 10_000),
    shape(10, 10),
    shape(10_000, 10),
];

const fn shape(groups: u32, members: u32) -> Shape {
    Shape { groups, members }
}

impl Shape {
    fn name(self) -> String {
        format!("{} groups of {}", self.groups, self.members)
    }

    fn names(self) -> Vec<GroupName> {
        let name = |group| GroupName::new(format!("room.{group}")).unwrap();
        (0..self.groups).map(name).collect()
    }

    /// Every membership, a member in one group, in the order in which they
    /// come when many join at the same time: one of each group after the other.
    fn memberships(self, names: &[GroupName]) -> Vec<(GroupName, u32)> {
        (0..self.groups * self.members)
            .zip(names.iter().cycle())
            .map(|(member, name)| (name.clone(), member))
            .collect()
    }
}

fn joined(memberships: &[(GroupName, u32)]) -> Table {
    let mut table = Table::default();
    for (group, member) in memberships {
        table.join(group, *member, Bytes::new());
    }
    table
}

fn left(mut table: Table, memberships: &[(GroupName, u32)]) -> Table {
    for (group, member) in memberships {
        table.leave(group, *member);
    }
    table
}

fn walked(table: &Table, names: &[GroupName]) -> u64 {
    let members = names.iter().flat_map(|name| table.members(name));
    members.map(|(member, _)| u64::from(*member)).sum()
}

fn group_table(criterion: &mut Criterion) {
    for shape in SHAPES {
        let names = shape.names();
        let memberships = shape.memberships(&names);
        let table = joined(&memberships);
        let mut group = criterion.benchmark_group("group table");
        group.throughput(Throughput::Elements(memberships.len() as u64));
        group.bench_function(BenchmarkId::new("join", shape.name()), |bencher| {
            bencher.iter_with_large_drop(|| joined(&memberships));
        });
        group.bench_function(BenchmarkId::new("leave", shape.name()), |bencher| {
            bencher.iter_batched(
                || table.clone(),
                |table| left(table, &memberships),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("walk", shape.name()), |bencher| {
            bencher.iter(|| walked(black_box(&table), &names));
        });
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    group_table(&mut criterion);
    criterion.final_summary();
}
