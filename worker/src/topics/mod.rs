//! Topics: many conversations over one socket, in the manner of Phoenix
//! Channels.
//!
//! A socket is one conversation (its type's fields are the session), and each
//! joined topic is another, with a reply channel, an order and a session of its
//! own. A topic's client is told by `Reply::topic`; what is for everybody who
//! joined goes through the topic's group.

mod answer;
mod assigned;
mod connect_info;
mod consumer;
mod handle;
mod history;
mod info;
mod joined;
mod mount;
mod names;
mod params;
mod pattern;
mod payload;
mod plain;
mod presence;
mod presences;
mod run;
mod socket;
mod socket_ref;
mod subscription;
mod template;
mod topic;
mod wire;

pub use answer::Answer;
pub use connect_info::{ConnectInfo, Transport};
pub use consumer::TopicConsumer;
pub use handle::Topics;
pub(crate) use handle::broadcast_effect;
pub(crate) use history::{Histories, Kept};
pub use info::{Info, TerminateReason, Terminated};
pub use joined::Joined;
pub(crate) use mount::Mount;
pub use mount::{SocketMount, TopicRoutes, TopicSpec, Vsn, topics};
pub use params::SocketParams;
pub(crate) use pattern::TopicPattern;
pub use payload::TopicPayload;
pub use presence::{Present, Watch};
pub use presences::{PresenceMeta, Presences};
pub use socket::TopicSocket;
pub use socket_ref::SocketRef;
pub use subscription::{Heard, Subscription};
pub use topic::Topic;
pub(crate) use wire::reason;
