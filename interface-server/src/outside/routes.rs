//! What there is: one table, from which requests are routed and the document
//! is written.

use http::Method;

use super::encoding::Encoding;
use crate::protocol::request::decoded_path;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    OpenApi,
    Send,
    GroupSend,
    TopicBroadcast,
    TopicDisconnect,
    TopicSubscribe,
    Add,
    Discard,
    Cancel,
    Batch,
    Receive,
    Groups,
    Group,
    Members,
    Membership,
    GroupsOf,
    Statistics,
    ChannelStatistics,
    Flush,
}

/// One operation: where it is and what is said of it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// What else is to be known.
    pub(super) description: &'static str,
}

macro_rules! routes {
    ($($operation:ident $method:ident $path:literal $summary:literal $description:literal;)+) => {
        /// Every operation.
        pub(super) static ROUTES: &[Route] = &[$(Route {
            operation: Operation::$operation,
            method: Method::$method,
            path: $path,
            summary: $summary,
            description: $description,
        }),+];
    };
}

routes! {
    Send POST "/v1/send" "Send to a channel, now or later" "Typed content for a consumer to a shared or single-reader channel; frames and more to a reply channel. A full channel is answered with 429, and nothing was enqueued.";
    GroupSend POST "/v1/group-send" "Send to every member of a group" "It never fails because a member is full; the answer says what became of it.";
    TopicBroadcast POST "/v1/topic-broadcast" "Send to everybody who has joined a topic" "Each client reads it as it reads its topics; to a plain WebSocket, and to a client of version 1, no bytes are written. It never fails because a member is full; the answer says what became of it.";
    TopicDisconnect POST "/v1/topic-disconnect" "End every socket of an id" "With 1001, on every node: its clients connect again.";
    TopicSubscribe GET "/v1/topics/{topic}/broadcasts" "What is broadcast in a topic from now on" "One a line, as application/x-ndjson, for as long as the client stays. The first line is empty: what is broadcast from then on comes. Others are, where nothing comes for 15 s.";
    Add POST "/v1/add" "Make a connection a member of a group" "";
    Discard POST "/v1/discard" "End a membership, or all of a connection" "";
    Cancel POST "/v1/cancel" "Cancel a message that waits for its time" "";
    Batch POST "/v1/batch" "Do several operations in their order" "Each is done by itself and has its own result. If the client goes away, the rest may not be done.";
    Receive POST "/v1/receive" "Wait for messages of some channels and take them" "At most once and without acknowledgement: a message is handed out once. What was taken for a client that is gone before the answer was written is given back, or found lost if it is an event; what was written to its connection is not.";
    Groups GET "/v1/groups" "The groups that have members" "For operators: the layer reads them all.";
    Group GET "/v1/groups/{group}" "How many members a group has" "";
    Members GET "/v1/groups/{group}/members" "The members of a group" "As application/x-ndjson all of them, one a line, without a limit.";
    Membership GET "/v1/groups/{group}/members/{channel}" "Whether a connection is a member of a group" "";
    GroupsOf GET "/v1/channels/{channel}/groups" "The groups of a connection" "";
    Statistics GET "/v1/statistics" "What happened on the layer" "";
    ChannelStatistics GET "/v1/channels/{channel}/statistics" "What happened on a shared channel" "";
    Flush POST "/v1/flush" "Empty the layer" "Messages, memberships and counts, for every process of the layer.";
    OpenApi GET "/v1/openapi.json" "This document" "The one path that needs no token.";
}

/// What a method and a path lead to.
#[derive(Debug)]
pub(super) enum Found {
    /// An operation, and the variable parts of the path.
    Route(&'static Route, Vec<String>),
    /// Other methods: these.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

/// Finds what a method and a path lead to.
pub(super) fn find(method: &Method, path: &str) -> Found {
    // Whoever may read may ask what reading would answer.
    let asked = if *method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let mut others = Vec::new();
    for route in ROUTES {
        let Some(captures) = captures(route.path, path) else {
            continue;
        };
        if route.method == *asked {
            return Found::Route(route, captures);
        }
        others.push(route.method.as_str());
        if route.method == Method::GET {
            others.push("HEAD");
        }
    }
    if others.is_empty() {
        Found::Nothing
    } else {
        Found::OtherMethods(others.join(", "))
    }
}

/// The variable parts of a path that has the form of the template.
fn captures(template: &str, path: &str) -> Option<Vec<String>> {
    let mut captures = Vec::new();
    let mut given = path.split('/');
    for part in template.split('/') {
        let given = given.next()?;
        if part.starts_with('{') {
            captures.push(decoded_path(given));
        } else if part != given {
            return None;
        }
    }
    given.next().is_none().then_some(captures)
}

impl Operation {
    /// Whether a request for it has a body.
    pub(super) fn takes_body(self) -> bool {
        match self {
            Self::Send
            | Self::GroupSend
            | Self::TopicBroadcast
            | Self::TopicDisconnect
            | Self::Add
            | Self::Discard
            | Self::Cancel
            | Self::Batch
            | Self::Receive => true,
            Self::OpenApi
            | Self::TopicSubscribe
            | Self::Groups
            | Self::Group
            | Self::Members
            | Self::Membership
            | Self::GroupsOf
            | Self::Statistics
            | Self::ChannelStatistics
            | Self::Flush => false,
        }
    }

    /// In which forms the answer can be had.
    pub(super) fn offers(self) -> &'static [Encoding] {
        match self {
            Self::Members => &[Encoding::Json, Encoding::MessagePack, Encoding::Lines],
            Self::TopicSubscribe => &[Encoding::Lines],
            _ => &[Encoding::Json, Encoding::MessagePack],
        }
    }

    /// Its name, in the document and in metrics.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::OpenApi => "openapi",
            Self::Send => "send",
            Self::GroupSend => "group_send",
            Self::TopicBroadcast => "topic_broadcast",
            Self::TopicDisconnect => "topic_disconnect",
            Self::TopicSubscribe => "topic_subscribe",
            Self::Add => "add",
            Self::Discard => "discard",
            Self::Cancel => "cancel",
            Self::Batch => "batch",
            Self::Receive => "receive",
            Self::Groups => "groups",
            Self::Group => "group",
            Self::Members => "members",
            Self::Membership => "membership",
            Self::GroupsOf => "groups_of_channel",
            Self::Statistics => "statistics",
            Self::ChannelStatistics => "channel_statistics",
            Self::Flush => "flush",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_has_one_route_and_is_found_by_it() {
        let mut seen = HashSet::new();
        for route in ROUTES {
            assert!(seen.insert(route.operation), "{:?}", route.operation);
            let path = route.path.replace("{group}", "g");
            let path = path.replace("{channel}", "c").replace("{topic}", "t");
            match find(&route.method, &path) {
                Found::Route(found, _) => assert_eq!(found.operation, route.operation),
                other => panic!("{path}: {other:?}"),
            }
        }
    }

    #[test]
    fn variable_parts_are_decoded_and_never_cross_a_slash() {
        let path = "/v1/groups/chat.lock/members/progress%3F7";
        match find(&Method::HEAD, path) {
            Found::Route(route, captures) => {
                assert_eq!(route.operation, Operation::Membership);
                assert_eq!(captures, ["chat.lock", "progress?7"]);
            }
            other => panic!("{other:?}"),
        }
        for path in [
            "/",
            "",
            "*",
            "/v1",
            "/v1/send/",
            "//v1/send",
            "/v1/groups/a/b/c/d",
        ] {
            assert!(matches!(find(&Method::GET, path), Found::Nothing), "{path}");
        }
        match find(&Method::DELETE, "/v1/groups") {
            Found::OtherMethods(methods) => assert_eq!(methods, "GET, HEAD"),
            other => panic!("{other:?}"),
        }
    }
}
