//! A connection whose owner waits inside Redis.

use std::time::Duration;

use redis::Value;
use redis::aio::{ConnectionLike, MultiplexedConnection};

use crate::failure::Failure;

/// How long one wait inside Redis lasts, unless something comes.
pub(crate) const BLOCK: Duration = Duration::from_secs(5);

/// A connection for blocking commands, with one user.
pub(crate) struct Blocking {
    connection: MultiplexedConnection,
    id: i64,
    run_id: String,
}

impl Blocking {
    pub(super) fn new(connection: MultiplexedConnection, id: i64, run_id: String) -> Self {
        Self {
            connection,
            id,
            run_id,
        }
    }

    /// What the server calls this connection.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// The server's identity, new with each of its lives.
    pub(crate) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Runs commands, one answer for each; refusals are among the answers.
    /// After a failure, and after being dropped half-way, the connection is to
    /// be thrown away.
    pub(crate) async fn exchange(
        &mut self,
        pipeline: &redis::Pipeline,
    ) -> Result<Vec<Value>, Failure> {
        let count = pipeline.len();
        self.connection
            .req_packed_commands(pipeline, 0, count)
            .await
            .map_err(Failure::lost)
    }
}

impl std::fmt::Debug for Blocking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocking").field("id", &self.id).finish()
    }
}
