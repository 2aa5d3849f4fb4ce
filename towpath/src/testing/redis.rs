//! The Redis that the tests of one process share.

use std::sync::{Arc, Weak};

use tokio::sync::Mutex;
use towpath_testkit::redis::RedisServer;

/// Names a server that is there already.
const VARIABLE: &str = "TOWPATH_TEST_REDIS";

static SHARED: Mutex<Weak<RedisServer>> = Mutex::const_new(Weak::new());

/// A server that runs as long as anybody holds it.
pub(super) struct Redis {
    pub(super) url: String,
    /// Ours, if it is not one that was there already.
    pub(super) server: Option<Arc<RedisServer>>,
}

impl Redis {
    /// The server that the environment names, or a private one.
    ///
    /// # Panics
    ///
    /// If there is none: the message says how to get one.
    pub(super) async fn reach() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test has no other configuration"
        )]
        if let Ok(url) = std::env::var(VARIABLE) {
            return Self { url, server: None };
        }
        let mut shared = SHARED.lock().await;
        let server = match shared.upgrade() {
            Some(server) => server,
            None => Arc::new(launch().await),
        };
        *shared = Arc::downgrade(&server);
        Self {
            url: server.url(),
            server: Some(server),
        }
    }
}

async fn launch() -> RedisServer {
    match RedisServer::launch().await {
        Ok(server) => server,
        Err(error) => panic!(
            "TestApp::redis needs a Redis server: {error:#}; or set {VARIABLE} to the URL of one \
             that runs, redis://127.0.0.1:6379 for example"
        ),
    }
}
