//! Asking who is a member of what.

use std::collections::HashSet;
use std::str::FromStr;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use redis::Value;
use towpath_layer_core::{
    ChannelName, GroupName, LayerError, LocalId, Member, MemberStream, NodeId,
};

use crate::core::Core;
use crate::failure::Failure;
use crate::keys::NodeKeys;
use crate::membership::{group_names, member};
use crate::value;

/// Members that Redis looks at in one step.
const PAGE: usize = 512;
/// Groups whose members are looked at in one pipeline.
pub(crate) const SCANS_MAX: usize = 64;

/// Some members of one node; one may come twice.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) members: Vec<(LocalId, Bytes)>,
    /// Where the next page begins.
    pub(crate) next: Option<u64>,
}

/// How far a walk over the members of a group has come.
struct Walk {
    nodes: std::vec::IntoIter<NodeId>,
    /// The node under way, where its next page begins, and who has been seen.
    current: Option<(NodeId, u64, HashSet<LocalId>)>,
}

fn page(answer: Value) -> Result<Page, Failure> {
    let [cursor, entries] = value::array(answer)?;
    let cursor: u64 = value::text(cursor)?
        .parse()
        .map_err(|_| Failure::unexpected())?;
    let entry = |(local, meta)| {
        let local = LocalId::from_str(&value::text(local)?).map_err(Failure::known)?;
        Ok((local, Bytes::from(value::bytes(meta)?)))
    };
    Ok(Page {
        members: value::pairs(entries)?
            .into_iter()
            .map(entry)
            .collect::<Result<_, Failure>>()?,
        next: (cursor != 0).then_some(cursor),
    })
}

impl Core {
    /// Looks at some members of some groups on one node, each from where the
    /// page before ended: a page for each, in order.
    pub(crate) async fn scan_members(
        &self,
        node: &NodeKeys,
        scans: &[(&GroupName, u64)],
    ) -> Result<Vec<Page>, Failure> {
        let commands = scans.iter().map(|(group, cursor)| {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(node.members(group))
                .arg(*cursor)
                .arg("COUNT")
                .arg(PAGE);
            scan
        });
        let answers = self.link.run(commands).await?;
        answers.into_iter().map(|answer| page(answer?)).collect()
    }

    /// The groups with members of a node.
    pub(crate) async fn groups_of_node(&self, node: &NodeKeys) -> Result<Vec<GroupName>, Failure> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&node.index);
        group_names(value::texts(self.link.run_one(command).await?)?)
    }

    /// The groups of one connection.
    pub(crate) async fn groups_of_member(
        &self,
        node: &NodeKeys,
        local: LocalId,
    ) -> Result<Vec<GroupName>, Failure> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(node.groups_of(local));
        group_names(value::texts(self.link.run_one(command).await?)?)
    }

    pub(crate) fn group_members<'a>(&'a self, group: &'a GroupName) -> MemberStream<'a> {
        let pages = stream::once(async move {
            self.open()?;
            let nodes = self.nodes_of(group).await?;
            let nodes: Vec<_> = nodes.into_iter().map(|(node, _)| node).collect();
            let walk = Walk {
                nodes: nodes.into_iter(),
                current: None,
            };
            Ok::<_, LayerError>(stream::try_unfold(walk, move |walk| self.step(group, walk)))
        });
        let members = pages
            .try_flatten()
            .map_ok(|members| stream::iter(members).map(Ok));
        Box::pin(members.try_flatten())
    }

    async fn step(
        &self,
        group: &GroupName,
        mut walk: Walk,
    ) -> Result<Option<(Vec<Member>, Walk)>, LayerError> {
        let (node, cursor, mut seen) = match walk.current.take() {
            Some(current) => current,
            None => match walk.nodes.next() {
                Some(node) => (node, 0, HashSet::new()),
                None => return Ok(None),
            },
        };
        let keys = self.keys.node(node);
        let pages = self.scan_members(&keys, &[(group, cursor)]).await?;
        let page = pages.into_iter().next().ok_or_else(Failure::unexpected)?;
        let mut members = page.members;
        members.retain(|(local, _)| seen.insert(*local));
        let members = members.into_iter().map(|(local, meta)| Member {
            channel: ChannelName::reply(node, local),
            meta,
        });
        walk.current = page.next.map(|next| (node, next, seen));
        Ok(Some((members.collect(), walk)))
    }

    pub(crate) async fn group_count(&self, group: &GroupName) -> Result<u64, Failure> {
        let nodes = self.nodes_of(group).await?;
        let counts = nodes.into_iter().map(|(node, _)| {
            let mut count = redis::cmd("HLEN");
            count.arg(self.keys.node(node).members(group));
            count
        });
        let mut members = 0;
        for count in self.link.run(counts).await? {
            members += value::count(&count?)?;
        }
        Ok(members)
    }

    pub(crate) async fn is_member(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<bool, LayerError> {
        let (node, local) = member(channel)?;
        self.open()?;
        let mut command = redis::cmd("HEXISTS");
        command
            .arg(self.keys.node(node).members(group))
            .arg(local.to_string());
        Ok(value::int(&self.link.run_one(command).await?)? == 1)
    }

    pub(crate) async fn channel_groups(
        &self,
        channel: &ChannelName,
    ) -> Result<Vec<GroupName>, LayerError> {
        let (node, local) = member(channel)?;
        self.open()?;
        let mut groups = self.groups_of_member(&self.keys.node(node), local).await?;
        groups.sort();
        Ok(groups)
    }
}
