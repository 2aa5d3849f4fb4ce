//! Changing who is a member of what.

use std::str::FromStr;

use bytes::Bytes;
use redis::Cmd;
use towpath_layer_core::{
    ChannelName, GroupError, GroupName, InboxEntry, LocalId, NameError, NodeId,
};

use crate::core::Core;
use crate::failure::Failure;
use crate::keys::NodeKeys;
use crate::letter::Letter;
use crate::scripts::{GROUP_ADD, GROUP_DISCARD, GROUP_DISCARD_ALL};
use crate::{millis, value};

/// How often `discard_all` looks again when adds come in between.
const DISCARD_ALL_TRIES: usize = 8;

/// The node and connection of a reply channel; only those can be members.
pub(crate) fn member(channel: &ChannelName) -> Result<(NodeId, LocalId), NameError> {
    channel
        .as_reply()
        .ok_or_else(|| NameError::misplaced(channel, "a member of a group is a reply channel"))
}

impl Core {
    pub(crate) fn letter(&self, letter: &Letter) -> Result<Bytes, Failure> {
        letter.write(&self.ids).map_err(Failure::known)
    }

    /// The part of a change that is the same for all: who, and whether at all.
    fn changeable(&self, channel: &ChannelName) -> Result<(NodeId, LocalId), GroupError> {
        let member = member(channel)?;
        if self.is_closed() {
            return Err(GroupError::Closed);
        }
        Ok(member)
    }

    pub(crate) async fn group_add(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        meta: Bytes,
    ) -> Result<(), GroupError> {
        let (node, local) = self.changeable(channel)?;
        let (size, size_max) = (meta.len(), self.limits.group_meta_size_max);
        if size > size_max {
            return Err(GroupError::MetaTooLarge { size, size_max });
        }
        let adding = async {
            let add = self.add_command(node, group, local, &meta, false)?;
            let told = value::int(&self.link.run_one(add).await?)? == 1;
            let token = self.token();
            let mut then = Vec::from(self.register_commands(group, node, &token));
            if !told {
                then.push(self.presence_command(node));
            }
            // Has it been ended meanwhile, and did its fence come too early to
            // find this in the registry? The answer is later than the token.
            let mut members = redis::cmd("EXISTS");
            members.arg(self.keys.node(node).members(group));
            then.push(members);
            let mut stands = 0;
            for answer in self.link.run(then).await? {
                stands = value::int(&answer?)?;
            }
            if stands == 0 {
                let removal = self.unregister_command(group, node, &token);
                self.link.run_one(removal).await?;
            }
            Ok(())
        };
        self.in_time(adding).await?;
        Ok(())
    }

    pub(crate) fn add_command(
        &self,
        node: NodeId,
        group: &GroupName,
        local: LocalId,
        meta: &Bytes,
        only_if_stored: bool,
    ) -> Result<Cmd, Failure> {
        let join = self.letter(&Letter::Entry(InboxEntry::Join {
            group: group.clone(),
            to: local,
            meta: meta.clone(),
        }))?;
        let mut command = GROUP_ADD.call(
            self.member_keys(node, group, local)
                .iter()
                .map(String::as_str),
        );
        command
            .arg(local.to_string())
            .arg(group.as_str())
            .arg(&**meta)
            .arg(millis(self.limits.group_expiry))
            .arg(millis(self.inbox_ttl()))
            .arg(u8::from(only_if_stored))
            .arg(&*join);
        Ok(command)
    }

    fn member_keys(&self, node: NodeId, group: &GroupName, local: LocalId) -> [String; 7] {
        let keys = self.keys.node(node);
        let (members, groups_of) = (keys.members(group), keys.groups_of(local));
        [
            keys.lease, members, keys.index, groups_of, keys.tombs, keys.inbox, keys.bytes,
        ]
    }

    pub(crate) async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), GroupError> {
        let (node, local) = self.changeable(channel)?;
        let discard = self.discard_command(node, group, local)?;
        self.in_time(self.link.run_one(discard)).await?;
        Ok(())
    }

    pub(crate) fn discard_command(
        &self,
        node: NodeId,
        group: &GroupName,
        local: LocalId,
    ) -> Result<Cmd, Failure> {
        let leave = self.letter(&Letter::Entry(InboxEntry::Leave {
            group: group.clone(),
            to: local,
        }))?;
        let fence = self.letter(&Letter::Fence(group.clone()))?;
        let mut command = GROUP_DISCARD.call(
            self.member_keys(node, group, local)
                .iter()
                .map(String::as_str),
        );
        command
            .arg(local.to_string())
            .arg(group.as_str())
            .arg(millis(self.limits.group_expiry))
            .arg(millis(self.inbox_ttl()))
            .arg(&*leave)
            .arg(&*fence);
        Ok(command)
    }

    pub(crate) async fn discard_all(&self, channel: &ChannelName) -> Result<(), GroupError> {
        let (node, local) = self.changeable(channel)?;
        self.in_time(self.discard_member(node, local)).await?;
        Ok(())
    }

    /// Ends all memberships of a connection.
    pub(crate) async fn discard_member(&self, node: NodeId, local: LocalId) -> Result<(), Failure> {
        let keys = self.keys.node(node);
        let mut groups = self.groups_of_member(&keys, local).await?;
        for _ in 0..DISCARD_ALL_TRIES {
            let discard = self.discard_all_command(&keys, local, &groups)?;
            let missing = group_names(value::texts(self.link.run_one(discard).await?)?)?;
            if missing.is_empty() {
                return Ok(());
            }
            groups.extend(missing);
        }
        Err(Failure::unexpected())
    }

    fn discard_all_command(
        &self,
        node: &NodeKeys,
        local: LocalId,
        groups: &[GroupName],
    ) -> Result<Cmd, Failure> {
        let mut keys = vec![
            node.lease.clone(),
            node.index.clone(),
            node.groups_of(local),
            node.tombs.clone(),
            node.inbox.clone(),
            node.bytes.clone(),
        ];
        keys.extend(groups.iter().map(|group| node.members(group)));
        let leave_all = self.letter(&Letter::Entry(InboxEntry::LeaveAll { to: local }))?;
        let mut command = GROUP_DISCARD_ALL.call(keys.iter().map(String::as_str));
        command
            .arg(local.to_string())
            .arg(millis(self.limits.group_expiry))
            .arg(millis(self.inbox_ttl()))
            .arg(&*leave_all);
        for group in groups {
            let fence = self.letter(&Letter::Fence(group.clone()))?;
            command.arg(group.as_str()).arg(&*fence);
        }
        Ok(command)
    }
}

/// Names as they stand in Redis.
pub(crate) fn group_names(names: Vec<String>) -> Result<Vec<GroupName>, Failure> {
    let name = |text: String| GroupName::from_str(&text).map_err(Failure::known);
    names.into_iter().map(name).collect()
}
