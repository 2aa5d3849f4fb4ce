//! A topic in which others say something.

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

use crate::socket::UserSocket;

/// Somebody who listens.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Watch;

impl TopicConsumer for Watch {
    type Socket = UserSocket;

    async fn join(_: TopicPayload, _: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }
}
