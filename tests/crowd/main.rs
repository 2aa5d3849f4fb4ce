//! An application for crowds of clients in topics: who counts, and who is here.

mod counter;
mod here;

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

use self::counter::Counter;
use self::here::Here;

/// One connection, of which nothing needs to be known.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Visitor {}

impl TopicSocket for Visitor {
    async fn connect(_: SocketParams, _: &ConnectInfo) -> Result<Self> {
        Ok(Self {})
    }
}

fn main() -> ExitCode {
    let topics = topics::<Visitor>()
        .topic::<Counter>("count:*")
        .topic::<Here>("here:*");
    App::new().socket("/socket", topics).run()
}
