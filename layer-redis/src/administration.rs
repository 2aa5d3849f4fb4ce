//! What operators ask for: listings, statistics, a flush. Rare, of several
//! steps, and on connections of their own, so that nobody waits behind it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::Connection;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, Value};
use towpath_layer_core::{ChannelName, ChannelStatistics, GroupName, LocalId, NodeId, Statistics};

use crate::accounts::CHANNELS_MAX;
use crate::core::Core;
use crate::failure::Failure;
use crate::membership::group_names;
use crate::parcels::Target;
use crate::value;

/// Keys looked at, or removed, in one step.
const PAGE: usize = 512;
/// The longest that Redis is asked whether it is there.
const PING_MAX: Duration = Duration::from_secs(1);

/// A connection from the pool.
struct Administration(Connection);

impl Administration {
    async fn ask(&mut self, command: &Cmd) -> Result<Value, Failure> {
        match self.0.req_packed_command(command).await {
            Ok(Value::ServerError(error)) => Err(Failure::refused(error)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Failure::lost(error)),
        }
    }

    async fn ask_all(&mut self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.0.req_packed_commands(commands, 0, commands.len());
        answers.await.map_err(Failure::lost)
    }
}

impl Core {
    async fn administration(&self) -> Result<Administration, Failure> {
        // A pool would try to connect; while there is nobody, that takes time.
        self.link.session()?;
        let connection = Box::pin(self.pool.get()).await.map_err(Failure::known)?;
        Ok(Administration(connection))
    }

    pub(crate) async fn ping(&self) -> Result<(), Failure> {
        let answer = self.link.run_one(redis::cmd("PING"));
        tokio::time::timeout(PING_MAX, answer)
            .await
            .map_err(|_| Failure::timed_out())?
            .map(drop)
    }

    /// The groups that have members, sorted.
    pub(crate) async fn groups(&self) -> Result<Vec<GroupName>, Failure> {
        let nodes = self.known_nodes().await?;
        let mut administration = self.administration().await?;
        let mut groups = BTreeSet::new();
        for nodes in nodes.chunks(PAGE) {
            let mut pipeline = Pipeline::new();
            for node in nodes {
                pipeline.cmd("SMEMBERS").arg(self.keys.node(*node).index);
            }
            for answer in administration.ask_all(&pipeline).await? {
                groups.extend(group_names(value::texts(answer)?)?);
            }
        }
        Ok(groups.into_iter().collect())
    }

    pub(crate) async fn statistics(self: &Arc<Self>) -> Result<Statistics, Failure> {
        self.settle_own_accounts().await?;
        let nodes = self.known_nodes().await?;
        let absent = self.absent(&nodes).await?;
        let mut administration = self.administration().await?;
        let mut totals = redis::cmd("HMGET");
        totals
            .arg(self.keys.totals())
            .arg(&["dropped", "stale", "lost"]);
        let [dropped, stale, lost] = value::array(administration.ask(&totals).await?)?;
        let mut listed = redis::cmd("ZRANGE");
        listed.arg(self.keys.channels()).arg(0).arg(-1);
        let names = value::texts(administration.ask(&listed).await?)?;
        let mut statistics = Statistics {
            dropped: counted(dropped),
            stale: counted(stale),
            lost: counted(lost),
            delayed: 0,
            nodes: (nodes.len() - absent.len()) as u64,
            channels: BTreeMap::new(),
            total: ChannelStatistics::default(),
        };
        let mut channels: BTreeSet<_> = names
            .iter()
            .filter_map(|name| ChannelName::new(name).ok())
            .collect();
        let targets = self.delay_targets().await?;
        statistics.delayed = self.waiting_for(&targets).await?;
        channels.extend(targets.into_iter().filter_map(Target::into_shared));
        let channels: Vec<_> = channels.into_iter().collect();
        for channels in channels.chunks(CHANNELS_MAX) {
            let answers = self.ask_statistics(channels).await?;
            for (channel, one) in channels.iter().zip(answers) {
                add(&mut statistics.total, &one);
                statistics.channels.insert(channel.clone(), one);
            }
        }
        Ok(statistics)
    }

    pub(crate) async fn channel_statistics(
        self: &Arc<Self>,
        channel: &ChannelName,
    ) -> Result<ChannelStatistics, Failure> {
        if let Some((node, local)) = channel.as_reply() {
            let delayed = self.waiting_for_connection(node, local).await?;
            return Ok(ChannelStatistics {
                delayed,
                ..ChannelStatistics::default()
            });
        }
        self.settle_own_accounts().await?;
        let answers = self.ask_statistics(std::slice::from_ref(channel)).await?;
        answers.into_iter().next().ok_or_else(Failure::unexpected)
    }

    /// In a task of its own: a question that is dropped must not lose counts.
    async fn settle_own_accounts(self: &Arc<Self>) -> Result<(), Failure> {
        let core = Arc::clone(self);
        let settling = async move { core.settle_accounts().await };
        let settling = self.tasks.spawn_on(settling, &self.runtime);
        settling.await.unwrap_or_else(|_| Err(Failure::ended()))
    }

    /// Empties the layer for every observer.
    pub(crate) async fn flush(self: &Arc<Self>) -> Result<(), Failure> {
        self.settle_own_accounts().await?;
        // Before what it points to: what comes meanwhile is found again.
        let mut nodes: HashSet<_> = self.forget_delays().await?.into_iter().collect();
        nodes.extend(self.known_nodes().await?);
        for node in nodes {
            self.flush_node(node).await?;
        }
        let mut administration = self.administration().await?;
        for pattern in self.keys.patterns() {
            let mut cursor = "0".to_owned();
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(&cursor)
                    .arg("MATCH")
                    .arg(&pattern)
                    .arg("COUNT")
                    .arg(PAGE);
                let [next, keys] = value::array(administration.ask(&scan).await?)?;
                let keys = value::texts(keys)?;
                if !keys.is_empty() {
                    let mut unlink = redis::cmd("UNLINK");
                    unlink.arg(keys);
                    administration.ask(&unlink).await?;
                }
                cursor = value::text(next)?;
                if cursor == "0" {
                    break;
                }
            }
        }
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(self.keys.channels()).arg(self.keys.totals());
        administration.ask(&unlink).await.map(drop)
    }

    /// Empties a node's inbox and ends its memberships, for its sink as well.
    async fn flush_node(&self, node: NodeId) -> Result<(), Failure> {
        let keys = self.keys.node(node);
        let mut administration = self.administration().await?;
        let mut empty = redis::cmd("DEL");
        empty.arg(&[
            &keys.inbox,
            &keys.bytes,
            &keys.gap,
            &keys.delayed,
            &keys.waiting,
            &keys.delayed_of,
        ]);
        administration.ask(&empty).await?;
        let mut members = HashSet::new();
        for group in self.groups_of_node(&keys).await? {
            let mut fields = redis::cmd("HKEYS");
            fields.arg(keys.members(&group));
            let locals = value::texts(administration.ask(&fields).await?)?;
            members.extend(
                locals
                    .iter()
                    .filter_map(|local| LocalId::from_str(local).ok()),
            );
        }
        for local in members {
            self.discard_member(node, local).await?;
        }
        Ok(())
    }
}

/// A count that may never have been begun.
fn counted(value: Value) -> u64 {
    value::text(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn add(total: &mut ChannelStatistics, one: &ChannelStatistics) {
    total.sent += one.sent;
    total.received += one.received;
    total.full += one.full;
    total.expired += one.expired;
    total.pending += one.pending;
    total.delayed += one.delayed;
    total.oldest_age = total.oldest_age.max(one.oldest_age);
}
