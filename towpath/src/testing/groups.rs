//! Groups, from the test's side.

use std::fmt;
use std::future::Future;
use std::panic::Location;

use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::Serialize;
use towpath_layer_core::{Application, GroupName, Member, Reply};

use super::app::TestApp;
use super::socket::TestSocket;

impl TestApp {
    /// Sends a text to every member of a group.
    ///
    /// # Panics
    ///
    /// If the layer does not take it, here and below.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some members, here and below.
    #[track_caller]
    pub fn group_send_text(
        &self,
        group: &str,
        text: impl Into<String>,
    ) -> impl Future<Output = ()> {
        self.group_send(group, Reply::text(text.into()))
    }

    /// Sends bytes to every member of a group.
    #[track_caller]
    pub fn group_send_bytes(
        &self,
        group: &str,
        bytes: impl Into<Bytes>,
    ) -> impl Future<Output = ()> {
        self.group_send(group, Reply::bytes(bytes))
    }

    /// Sends a value as JSON to every member of a group.
    #[track_caller]
    pub fn group_send_json<T: Serialize + ?Sized>(
        &self,
        group: &str,
        value: &T,
    ) -> impl Future<Output = ()> {
        let text = match serde_json::to_string(value) {
            Ok(text) => text,
            Err(error) => self.common.record.fail(Location::caller(), error),
        };
        self.group_send(group, Reply::text(text))
    }

    /// Sends an event to the consumers of every member of a group.
    #[track_caller]
    pub fn group_send_event<T: Serialize + ?Sized>(
        &self,
        group: &str,
        name: impl Into<String>,
        value: &T,
    ) -> impl Future<Output = ()> {
        let content = self.encoded(Location::caller(), value);
        let name = name.into();
        self.group_send(group, Reply::event(Application::new(name, content)))
    }

    /// Sends any reply to every member of a group.
    #[track_caller]
    pub fn group_send(&self, group: &str, reply: Reply) -> impl Future<Output = ()> {
        let at = Location::caller();
        let group = self.group(at, group);
        async move {
            self.common
                .record
                .note(format_args!("test → group {group}"));
            if let Err(error) = self.layer().group_send(&group, reply).await {
                self.failed(at, &group, &error);
            }
        }
    }

    /// The members of a group, by their reply channels, sorted.
    ///
    /// # Panics
    ///
    /// If the layer cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing, here and below.
    #[track_caller]
    pub fn members(&self, group: &str) -> impl Future<Output = Vec<Member>> {
        let at = Location::caller();
        let group = self.group(at, group);
        async move {
            self.settle().await;
            match self.layer().group_members(&group).try_collect().await {
                Ok(members) => {
                    let mut members: Vec<Member> = members;
                    members.sort_by(|one, other| one.channel.cmp(&other.channel));
                    members
                }
                Err(error) => self.failed(at, &group, &error),
            }
        }
    }

    /// Expects that a socket is a member of a group, or becomes one in time.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[track_caller]
    pub fn assert_member(&self, group: &str, socket: &TestSocket) -> impl Future<Output = ()> {
        self.assert_membership(Location::caller(), group, socket, true)
    }

    /// Expects that a socket is no member of a group, or ceases to be in time.
    ///
    /// # Panics
    ///
    /// If it is one.
    #[track_caller]
    pub fn assert_no_member(&self, group: &str, socket: &TestSocket) -> impl Future<Output = ()> {
        self.assert_membership(Location::caller(), group, socket, false)
    }

    async fn assert_membership(
        &self,
        at: &Location<'_>,
        group: &str,
        socket: &TestSocket,
        expected: bool,
    ) {
        let group = self.group(at, group);
        let right = self.common.comes_true(async || {
            let asked = self.layer().is_member(&group, socket.reply_channel()).await;
            match asked {
                Ok(is_member) => is_member == expected,
                Err(error) => self.failed(at, &group, &error),
            }
        });
        if !right.await {
            let is = if expected { "is no" } else { "is still a" };
            let socket = socket.name();
            let why = format_args!("{socket} {is} member of {group}");
            self.common.record.fail(at, why);
        }
    }

    /// The groups of a socket, sorted.
    ///
    /// # Panics
    ///
    /// If the layer cannot be asked.
    #[track_caller]
    pub fn groups_of(&self, socket: &TestSocket) -> impl Future<Output = Vec<String>> {
        let at = Location::caller();
        async move {
            self.settle().await;
            match self.layer().channel_groups(socket.reply_channel()).await {
                Ok(groups) => groups.iter().map(ToString::to_string).collect(),
                Err(error) => {
                    let socket = socket.name();
                    let why = format_args!("the groups of {socket} are not known: {error}");
                    self.common.record.fail(at, why)
                }
            }
        }
    }

    fn group(&self, at: &Location<'_>, name: &str) -> GroupName {
        match GroupName::new(name) {
            Ok(name) => name,
            Err(error) => self.common.record.fail(at, error),
        }
    }

    fn failed(&self, at: &Location<'_>, group: &GroupName, error: &dyn fmt::Display) -> ! {
        let why = format_args!("the group {group} is out of reach: {error}");
        self.common.record.fail(at, why)
    }
}
