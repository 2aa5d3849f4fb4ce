//! Groups: joining them, leaving them, sending to them.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::TryStreamExt;
use serde::Serialize;
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, Delivery, GroupChange, GroupName, Member, MemberStream,
    Reply,
};

use super::FromContext;
use crate::framing::Framing;
use crate::{Context, Error, Result, held};

/// The groups of the layer, and the conversation's own part in them.
///
/// A name that is not valid is an internal [`Error`](crate::Error) that shows
/// it. A conversation leaves its groups by itself when it ends.
///
/// On a stream of a demultiplexer text and JSON are wrapped in the stream's
/// name; the memberships are those of the whole connection. A change of them
/// has taken effect when it returns, and stays also if the consumer then fails.
/// Code that is no consumer makes one with [`Groups::new`].
#[derive(Debug, Clone)]
pub struct Groups {
    layer: Arc<dyn ChannelLayer>,
    framing: Framing,
    /// Whose memberships are changed and asked for, if not the event's own
    /// connection's.
    channel: Option<ChannelName>,
    /// The event, whose completion repeats the changes.
    context: Option<Context>,
}

fn group_name(name: impl AsRef<str>) -> Result<GroupName> {
    Ok(GroupName::new(name)?)
}

impl Groups {
    /// For code that is no consumer: any task of any process.
    #[must_use]
    pub fn new(layer: Arc<dyn ChannelLayer>) -> Self {
        Self {
            layer,
            framing: Framing::default(),
            channel: None,
            context: None,
        }
    }

    pub(crate) fn of(context: &Context) -> Self {
        Self {
            layer: Arc::clone(context.layer()),
            framing: context.framing(),
            channel: None,
            context: Some(context.clone()),
        }
    }

    /// The same groups, with another connection's part in them.
    #[must_use]
    pub fn of_connection(mut self, channel: ChannelName) -> Self {
        let own = self.channel().is_ok_and(|own| *own == channel);
        self.context = self.context.filter(|_| own);
        self.channel = Some(channel);
        self
    }

    /// The same groups, whose members have a stream of a demultiplexer: text
    /// and JSON go to that stream.
    #[must_use]
    pub fn stream(mut self, stream: impl Into<ByteString>) -> Self {
        self.framing.stream = Some(stream.into());
        self
    }

    fn channel(&self) -> Result<&ChannelName> {
        let own = || self.context.as_ref()?.reply_channel().ok();
        let lacks = || Error::internal("no connection is known: name one with of_connection");
        self.channel.as_ref().or_else(own).ok_or_else(lacks)
    }

    fn note(&self, change: GroupChange) {
        if let Some(context) = &self.context {
            context.note_group(change);
        }
    }

    /// Makes this connection a member of a group. What is sent to the group
    /// after this returned reaches it.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
    /// [`GroupError`](towpath_layer_core::GroupError).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have added the member or not.
    pub async fn add(&self, group: impl AsRef<str>) -> Result {
        self.add_encoded(group_name(group)?, Bytes::new()).await
    }

    /// As [`add`](Self::add), with metadata that members are listed with.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), or what the metadata's serialisation says.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have added the member or not.
    pub async fn add_with<M: Serialize + Sync + ?Sized>(
        &self,
        group: impl AsRef<str>,
        meta: &M,
    ) -> Result {
        let group = group_name(group)?;
        let meta = Content::encode(meta)?.as_encoded().clone();
        self.add_encoded(group, meta).await
    }

    async fn add_encoded(&self, group: GroupName, meta: Bytes) -> Result {
        let channel = self.channel()?;
        held::flush().await;
        self.layer.group_add(&group, channel, meta.clone()).await?;
        self.note(GroupChange::add(group, meta));
        Ok(())
    }

    /// Ends this connection's membership; fine if there is none.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have ended the membership or not.
    pub async fn discard(&self, group: impl AsRef<str>) -> Result {
        let group = group_name(group)?;
        held::flush().await;
        self.layer.group_discard(&group, self.channel()?).await?;
        self.note(GroupChange::discard(group));
        Ok(())
    }

    /// Ends all memberships of this connection.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have ended some of them.
    pub async fn leave_all(&self) -> Result {
        held::flush().await;
        let joined = self.joined().await?;
        self.layer.discard_all(self.channel()?).await?;
        for group in joined {
            self.note(GroupChange::discard(group));
        }
        Ok(())
    }

    /// The groups of this connection, sorted.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
    /// [`LayerError`](towpath_layer_core::LayerError).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn joined(&self) -> Result<Vec<GroupName>> {
        Ok(self.layer.channel_groups(self.channel()?).await?)
    }

    /// Sends to every member of a group; says how many nodes took it.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
    /// [`SendError`](towpath_layer_core::SendError); never because a member is
    /// full.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn send(&self, group: impl AsRef<str>, reply: impl Into<Reply>) -> Result<Delivery> {
        let group = group_name(group)?;
        held::flush().await;
        Ok(self.layer.group_send(&group, reply.into()).await?)
    }

    /// Sends a text frame to every member.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn send_text(
        &self,
        group: impl AsRef<str>,
        text: impl Into<ByteString>,
    ) -> Result<Delivery> {
        self.send(group, self.framing.text(text)?).await
    }

    /// Sends a binary frame to every member.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn send_bytes(
        &self,
        group: impl AsRef<str>,
        bytes: impl Into<Bytes>,
    ) -> Result<Delivery> {
        self.send(group, self.framing.bytes(bytes)?).await
    }

    /// Sends a value as JSON in a text frame to every member; encoded once.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or what the value's serialisation says.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn send_json<T: Serialize + Sync + ?Sized>(
        &self,
        group: impl AsRef<str>,
        value: &T,
    ) -> Result<Delivery> {
        self.send(group, self.framing.json(value)?).await
    }

    /// Sends an event to the consumers of every member, each of which decides
    /// what becomes of it: `.on(name, consumer)`.
    ///
    /// # Errors
    ///
    /// As [`send_json`](Self::send_json).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn send_event<T: Serialize + Sync + ?Sized>(
        &self,
        group: impl AsRef<str>,
        name: impl Into<ByteString>,
        value: &T,
    ) -> Result<Delivery> {
        self.send(group, Framing::event(name, value)?).await
    }

    /// The members of a group in all nodes, one by one, in no order, as a
    /// stream for `TryStreamExt` of the crate `futures-util`. Without that
    /// crate use [`fold`](Self::fold), which takes a plain name, too.
    #[must_use]
    pub fn members<'a>(&'a self, group: &'a GroupName) -> MemberStream<'a> {
        self.layer.group_members(group)
    }

    /// Goes through the members of a group in all nodes, in no order, until
    /// `step` breaks off; nothing more is read then.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use towpath_worker::{Groups, Result};
    ///
    /// /// The names of some who are in a room, ten at most.
    /// async fn some(groups: &Groups) -> Result<Vec<String>> {
    ///     let names = Vec::new();
    ///     groups.fold("room", names, |mut names, member| {
    ///         names.extend(member.meta::<String>());
    ///         if names.len() < 10 { ControlFlow::Continue(names) } else { ControlFlow::Break(names) }
    ///     }).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`joined`](Self::joined).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn fold<A>(
        &self,
        group: impl AsRef<str>,
        start: A,
        mut step: impl FnMut(A, Member) -> ControlFlow<A, A>,
    ) -> Result<A> {
        let group = group_name(group)?;
        let mut members = self.layer.group_members(&group);
        let mut folded = start;
        while let Some(member) = members.try_next().await? {
            folded = match step(folded, member) {
                ControlFlow::Continue(folded) => folded,
                ControlFlow::Break(folded) => return Ok(folded),
            };
        }
        Ok(folded)
    }

    /// How many members a group has in all nodes.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
    /// [`LayerError`](towpath_layer_core::LayerError).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn count(&self, group: impl AsRef<str>) -> Result<u64> {
        let group = group_name(group)?;
        Ok(self.layer.group_count(&group).await?)
    }

    /// Whether this connection is a member of a group.
    ///
    /// # Errors
    ///
    /// As [`count`](Self::count).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn contains(&self, group: impl AsRef<str>) -> Result<bool> {
        let group = group_name(group)?;
        Ok(self.layer.is_member(&group, self.channel()?).await?)
    }
}

impl FromContext for Groups {
    async fn from_context(context: &Context) -> Result<Self> {
        Ok(Self::of(context))
    }
}
