//! How connections are made.

use std::time::Duration;

use deadpool_redis::{Manager, Pool, PoolConfig, Runtime, Timeouts};
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisResult,
};

use super::blocking::{BLOCK, Blocking};
use crate::failure::Failure;
use crate::options::RedisOptions;
use crate::value;

/// Commands that wait to be written, before senders wait too.
const PIPELINE_COMMANDS_MAX: usize = 1_024;
/// Bytes gathered before a write.
const WRITE_BYTES: usize = 64 << 10;

/// Makes connections to one Redis.
#[derive(Debug)]
pub(crate) struct Dialer {
    info: ConnectionInfo,
    client: Client,
    commands: Client,
    call_timeout: Duration,
    connect_timeout: Duration,
}

impl Dialer {
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, Failure> {
        let info = options
            .url
            .as_str()
            .into_connection_info()
            .map_err(Failure::known)?
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        // What the server says unasked (pub/sub) needs the newer protocol.
        let settings = info.redis_settings().clone();
        let newer = settings.set_protocol(ProtocolVersion::RESP3);
        let commands = info.clone().set_redis_settings(newer);
        Ok(Self {
            client: Client::open(info.clone()).map_err(Failure::known)?,
            commands: Client::open(commands).map_err(Failure::known)?,
            info,
            call_timeout: options.call_timeout,
            connect_timeout: options.connect_timeout,
        })
    }

    fn config(&self, response_timeout: Duration) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(response_timeout))
            .set_pipeline_buffer_size(PIPELINE_COMMANDS_MAX)
            .set_write_backpressure_boundary(WRITE_BYTES)
    }

    /// A connection for commands; `push` is called with what comes unasked.
    pub(crate) async fn commands(
        &self,
        push: impl AsyncPushSender,
    ) -> RedisResult<MultiplexedConnection> {
        let config = self.config(self.call_timeout).set_push_sender(push);
        self.commands
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// A connection for one waiter inside Redis.
    pub(crate) async fn blocking(&self) -> Result<Blocking, Failure> {
        let config = self.config(BLOCK + self.call_timeout);
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await.map_err(Failure::lost)?;
        let mut questions = redis::pipe();
        questions.cmd("CLIENT").arg("ID");
        questions.cmd("INFO").arg("server");
        let asking = questions.query_async::<(i64, String)>(&mut connection);
        // The connection's own timeout is that of the block.
        let (id, info) = tokio::time::timeout(self.connect_timeout, asking)
            .await
            .map_err(|_| Failure::timed_out())?
            .map_err(Failure::lost)?;
        let run_id = value::field(&info, "run_id").unwrap_or_default();
        Ok(Blocking::new(connection, id, run_id.to_owned()))
    }

    /// A pool for administration.
    pub(crate) fn pool(&self, connections: usize) -> Result<Pool, Failure> {
        let config = self.config(self.call_timeout);
        let manager =
            Manager::new_with_config(self.info.clone(), config).map_err(Failure::known)?;
        let timeout = Some(self.call_timeout);
        Pool::builder(manager)
            .config(PoolConfig {
                max_size: connections.max(1),
                timeouts: Timeouts {
                    wait: timeout,
                    create: timeout,
                    recycle: timeout,
                },
                ..PoolConfig::default()
            })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(Failure::known)
    }
}
