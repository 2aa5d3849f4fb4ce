//! The configuration: one typed value, and where each part of it came from.
//!
//! Defaults are overridden by a TOML file, that by the environment
//! (`TOWPATH__SECTION__KEY`), that by flags. This is the one module of the
//! workspace that reads files of settings or the environment; everything else
//! is handed values.

mod api;
mod check;
mod document;
mod environment;
mod error;
mod file;
mod keys;
mod layer;
mod load;
mod origin;
mod process;
mod section;
mod server;
mod show;
mod worker;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use api::{Api, ApiListener, Secret};
pub use error::{ConfigError, Problem};
pub use layer::{CapacityRule, ExpiryRule, Layer, LayerKind};
pub use load::{Flag, Loaded, Sources};
pub use origin::Origin;
pub use process::{Listener, Log, LogFormat, Operator};
pub use server::{Loss, Origins, Server, SlowPolicy};
pub use show::Setting;
pub(crate) use show::without_password;
pub use worker::Worker;

/// The name of the layer that carries sockets and consumers.
pub const DEFAULT_LAYER: &str = "default";

/// The whole configuration. The field names are the keys of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The interface server.
    pub server: Server,
    /// The workers.
    pub worker: Worker,
    /// The channel layers by name; [`DEFAULT_LAYER`] is always there.
    pub layers: BTreeMap<String, Layer>,
    /// The layer's HTTP interface.
    pub api: Api,
    /// The operator's listener.
    pub operator: Operator,
    /// Logs.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: Server::default(),
            worker: Worker::default(),
            layers: BTreeMap::from([(DEFAULT_LAYER.to_owned(), Layer::default())]),
            api: Api::default(),
            operator: Operator::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// The reference page of all keys, in Markdown.
    #[must_use]
    pub fn reference() -> String {
        document::reference()
    }
}
