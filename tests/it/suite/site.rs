//! The application under test, wherever its parts run.

use anyhow::Result;
use towpath_testkit::redis::RedisServer;

use crate::chat::Socket;
use crate::process::{CONSUMERS, Process};

/// The processes of an application, and where its sockets are.
pub struct Site {
    address: String,
    _processes: Vec<Process>,
    _redis: Option<RedisServer>,
}

impl Site {
    /// Sockets and consumers in one process, the layer in memory.
    pub async fn one_process() -> Result<Self> {
        let process = Process::start_program(CONSUMERS, &["--listen", "127.0.0.1:0"], &[])?;
        Ok(Self {
            address: process.address().await?,
            _processes: vec![process],
            _redis: None,
        })
    }

    /// An interface server and two workers, the layer in Redis.
    pub async fn many_processes() -> Result<Self> {
        let redis = RedisServer::launch().await?;
        let url = redis.url();
        let arguments = ["interface", "--layer", &url, "--listen", "127.0.0.1:0"];
        let interface = Process::start_program(CONSUMERS, &arguments, &[])?;
        let address = interface.address().await?;
        let mut processes = vec![interface];
        for _ in 0..2 {
            processes.push(worker(&url).await?);
        }
        Ok(Self {
            address,
            _processes: processes,
            _redis: Some(redis),
        })
    }

    /// A socket on a path.
    pub async fn socket(&self, path: &str) -> Result<Socket> {
        Socket::connect(&self.address, path).await
    }

    /// Why there is no socket on a path.
    pub async fn refusal(&self, path: &str) -> Result<String> {
        match self.socket(path).await {
            Ok(_) => anyhow::bail!("{path} was accepted"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    /// A socket on a path that offers subprotocols, and the chosen one.
    pub async fn offering(&self, path: &str, offered: &str) -> Result<(Socket, Option<String>)> {
        Socket::connect_offering(&self.address, path, offered).await
    }
}

/// A worker that receives.
pub async fn worker(url: &str) -> Result<Process> {
    let worker = Process::start_program(CONSUMERS, &["worker", "--layer", url], &[])?;
    worker.logged("the worker receives").await?;
    Ok(worker)
}
