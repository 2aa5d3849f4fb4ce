//! Groups: who joins, who leaves, who is there.

use async_stream::try_stream;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use towpath_layer_core::{ChannelLayer, ChannelName, Content, GroupName, Member};
use utoipa::ToSchema;

use super::answer::{self, Done};
use super::blob::Blob;
use super::call::Call;
use super::encoding::Encoding;
use super::event::shown;
use super::handle::Api;
use super::message::encoded_meta;
use super::page::{Page, SortedPage, query};
use super::problem::Problem;
use super::topics;
use super::value::{Any, present};
use crate::{BoxBody, BoxError};

/// Makes a connection a member of a group; renews it and replaces the metadata
/// if it is one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    /// The group; or else `topic`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    group: Option<GroupName>,
    /// The topic, or the id of a socket, whose group it is.
    #[serde(default)]
    topic: Option<String>,
    /// The connection's reply channel.
    #[schema(value_type = String)]
    channel: ChannelName,
    /// Metadata that members are listed with.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Any, required = false)]
    meta: Option<Any>,
}

/// Ends a membership, or all of a connection; fine if there is none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Discard {
    /// The group; without it and `topic`, all of the connection's groups.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    group: Option<GroupName>,
    /// The topic, or the id of a socket, whose group it is.
    #[serde(default)]
    topic: Option<String>,
    /// The connection's reply channel.
    #[schema(value_type = String)]
    channel: ChannelName,
}

/// A group, and how many members it has in all nodes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Group {
    /// The group.
    #[schema(value_type = String)]
    group: GroupName,
    /// How many members it has.
    members: u64,
}

/// Groups, sorted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Groups {
    /// The groups.
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupName>,
    /// Whether there are more: ask for those `after` the last.
    more: bool,
}

/// Members of a group, in no order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Members {
    /// The members.
    members: Vec<MemberAnswer>,
    /// Whether there are more; `application/x-ndjson` has them all.
    more: bool,
}

/// One member of a group.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(super) struct MemberAnswer {
    /// The member's reply channel.
    #[schema(value_type = String)]
    channel: ChannelName,
    /// The metadata of its membership.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Any, required = false)]
    meta: Option<Any>,
    /// The metadata, if it is no whole MessagePack.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoded: Option<Blob>,
}

/// Whether a connection is a member of a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Membership {
    /// Whether it is.
    member: bool,
}

impl Add {
    pub(super) async fn perform(self, layer: &dyn ChannelLayer) -> Result<Done, Problem> {
        let group = topics::group(self.group, self.topic.as_deref())?;
        let meta = encoded_meta(self.meta.as_ref());
        layer.group_add(&group, &self.channel, meta).await?;
        Ok(Done {})
    }
}

impl Discard {
    pub(super) async fn perform(self, layer: &dyn ChannelLayer) -> Result<Done, Problem> {
        match topics::group_if_named(self.group, self.topic.as_deref())? {
            Some(group) => layer.group_discard(&group, &self.channel).await?,
            None => layer.discard_all(&self.channel).await?,
        }
        Ok(Done {})
    }
}

impl From<Member> for MemberAnswer {
    fn from(member: Member) -> Self {
        let (meta, encoded) = if member.meta.is_empty() {
            (None, None)
        } else {
            shown(&Content::from_encoded(member.meta))
        };
        Self {
            channel: member.channel,
            meta,
            encoded,
        }
    }
}

pub(super) async fn groups(api: &Api, call: &Call) -> Result<Groups, Problem> {
    let page: SortedPage = query(&call.query)?;
    let limit = page.limit()?;
    let mut groups = api.layer.groups().await?;
    groups.retain(|group| group.as_str() > page.after.as_str());
    let more = groups.len() > limit;
    groups.truncate(limit);
    Ok(Groups { groups, more })
}

pub(super) async fn group(api: &Api, call: &Call) -> Result<Group, Problem> {
    let group = call.group(0)?;
    let members = api.layer.group_count(&group).await?;
    Ok(Group { group, members })
}

pub(super) async fn membership(api: &Api, call: &Call) -> Result<Membership, Problem> {
    let (group, channel) = (call.group(0)?, call.channel(1)?);
    let member = api.layer.is_member(&group, &channel).await?;
    Ok(Membership { member })
}

pub(super) async fn groups_of(api: &Api, call: &Call) -> Result<Groups, Problem> {
    let groups = api.layer.channel_groups(&call.channel(0)?).await?;
    Ok(Groups {
        groups,
        more: false,
    })
}

pub(super) async fn members(api: &Api, call: &Call) -> Result<Response<BoxBody>, Problem> {
    let group = call.group(0)?;
    let page: Page = query(&call.query)?;
    let limit = page.limit()?;
    if call.writes == Encoding::Lines {
        let body = StreamBody::new(lines(api, call, group)).boxed_unsync();
        return Ok(answer::with(call.writes, body));
    }
    let mut stream = api.layer.group_members(&group);
    let mut members = Vec::new();
    let mut more = false;
    while let Some(member) = stream.try_next().await? {
        if members.len() == limit {
            more = true;
            break;
        }
        members.push(MemberAnswer::from(member));
    }
    answer::value(call, &Members { members, more })
}

/// All members, one a line, each as it comes. Each that the client takes moves
/// the end of the connection on.
fn lines(
    api: &Api,
    call: &Call,
    group: GroupName,
) -> impl Stream<Item = Result<Frame<Bytes>, BoxError>> + Send + 'static {
    let (layer, deadline) = (api.layer.clone(), call.deadline.clone());
    let span = api.limits.request_timeout;
    try_stream! {
        let mut members = layer.group_members(&group);
        while let Some(member) = members.try_next().await? {
            deadline.extend(span);
            let line = Encoding::Lines.write(&MemberAnswer::from(member));
            let line = line.map_err(|_| "a member cannot be written")?;
            yield Frame::data(Bytes::from(line));
        }
    }
}
