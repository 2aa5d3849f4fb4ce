//! Groups: joining them, leaving them, sending to them.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use towpath_layer_core::{
    Application, Content, Delivery, GroupChange, GroupName, MemberStream, Reply,
};

use super::FromContext;
use crate::{Context, Result};

/// The groups of the layer, and the conversation's own part in them.
///
/// A name that is not valid is an internal [`Error`](crate::Error) that shows
/// it. A conversation leaves its groups by itself when it ends.
#[derive(Debug, Clone)]
pub struct Groups {
    context: Context,
}

fn group_name(name: impl AsRef<str>) -> Result<GroupName> {
    Ok(GroupName::new(name)?)
}

impl Groups {
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
        let channel = self.context.reply_channel()?;
        let layer = self.context.layer();
        layer.group_add(&group, channel, meta.clone()).await?;
        self.context.note_group(GroupChange::Add { group, meta });
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
        let channel = self.context.reply_channel()?;
        self.context.layer().group_discard(&group, channel).await?;
        self.context.note_group(GroupChange::Discard { group });
        Ok(())
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
    pub async fn send(&self, group: impl AsRef<str>, reply: Reply) -> Result<Delivery> {
        let group = group_name(group)?;
        Ok(self.context.layer().group_send(&group, reply).await?)
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
        self.send(group, Reply::text(text)).await
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
        self.send(group, Reply::bytes(bytes)).await
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
        self.send_text(group, serde_json::to_string(value)?).await
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
        let content = Content::encode(value)?;
        let name = name.into();
        self.send(group, Reply::event(Application { name, content }))
            .await
    }

    /// The members of a group in all nodes, one by one, in no order.
    #[must_use]
    pub fn members<'a>(&'a self, group: &'a GroupName) -> MemberStream<'a> {
        self.context.layer().group_members(group)
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
        Ok(self.context.layer().group_count(&group).await?)
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
        let channel = self.context.reply_channel()?;
        Ok(self.context.layer().is_member(&group, channel).await?)
    }
}

impl FromContext for Groups {
    async fn from_context(context: &Context) -> Result<Self> {
        Ok(Self {
            context: context.clone(),
        })
    }
}
