//! The layers of a process: opened by their configuration, known by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use towpath_layer_core::{ChannelLayer, SystemClock, SystemEntropy};
use towpath_layer_memory::MemoryLayer;

use crate::config::{Config, DEFAULT_LAYER, Layer, LayerKind, without_password};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The layers that are configured, by name.
///
/// Sockets and consumers run on the layer `default`, which consumers get by the
/// `Layer` extractor. A consumer that sends on another layer takes
/// `State<Layers>`:
///
/// ```
/// use towpath::prelude::*;
///
/// async fn receive(Text(job): Text, State(layers): State<Layers>) -> Result {
///     let jobs = layers.get("jobs").ok_or_else(|| Error::internal("no layer jobs"))?;
///     jobs.send(&ChannelName::new("jobs.run")?, Content::encode(&*job)?.into()).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Layers {
    by_name: Arc<BTreeMap<String, Arc<dyn ChannelLayer>>>,
    default: Arc<dyn ChannelLayer>,
}

/// A layer that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the layer {name:?}{place} cannot be opened")]
pub struct OpenError {
    name: String,
    place: String,
    #[source]
    source: BoxError,
}

impl OpenError {
    fn new(name: &str, url: Option<&str>, source: BoxError) -> Self {
        let place = url.map_or_else(String::new, |url| format!(" at {}", without_password(url)));
        Self {
            name: name.to_owned(),
            place,
            source,
        }
    }
}

impl Layers {
    /// Opens every configured layer.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if a backend does not answer; what was open is closed.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves what it had opened to the leases.
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        let mut by_name = BTreeMap::new();
        for (name, layer) in &config.layers {
            match open(name, layer).await {
                Ok(layer) => by_name.insert(name.clone(), layer),
                Err(error) => {
                    close(by_name.values()).await;
                    return Err(error);
                }
            };
        }
        let default = match by_name.get(DEFAULT_LAYER) {
            Some(layer) => Arc::clone(layer),
            None => memory(&Layer::default()),
        };
        Ok(Self {
            by_name: Arc::new(by_name),
            default,
        })
    }

    /// The layer of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn ChannelLayer>> {
        self.by_name.get(name)
    }

    /// The layer on which sockets and consumers run.
    #[must_use]
    pub fn default_layer(&self) -> &Arc<dyn ChannelLayer> {
        &self.default
    }

    /// Leaves every layer in good order.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the rest to the leases.
    pub async fn close(&self) {
        close(self.by_name.values()).await;
    }
}

async fn close(layers: impl Iterator<Item = &Arc<dyn ChannelLayer>>) {
    for layer in layers {
        layer.close().await;
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_name.keys()).finish()
    }
}

/// Opens one layer: the one place that knows the backends.
///
/// # Errors
///
/// [`OpenError`] if the backend does not answer.
///
/// # Cancel safety
///
/// A dropped future leaves at most a lease that ends by itself.
pub(crate) async fn open(name: &str, layer: &Layer) -> Result<Arc<dyn ChannelLayer>, OpenError> {
    match layer.kind {
        LayerKind::Memory => Ok(memory(layer)),
        LayerKind::Redis => match redis(layer).await {
            Ok(opened) => Ok(opened),
            Err(source) => Err(OpenError::new(name, layer.url.as_deref(), source)),
        },
    }
}

fn memory(layer: &Layer) -> Arc<dyn ChannelLayer> {
    let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
    MemoryLayer::new(layer.limits(), clock, entropy)
}

#[cfg(feature = "redis")]
async fn redis(layer: &Layer) -> Result<Arc<dyn ChannelLayer>, BoxError> {
    use towpath_layer_redis::{RedisLayer, RedisOptions};

    let options = RedisOptions {
        url: layer.url.clone().ok_or("it has no URL")?,
        prefix: layer.prefix.clone(),
        call_timeout: layer.call_timeout,
        connect_timeout: layer.connect_timeout,
        reconnect_pause_max: layer.reconnect_pause_max,
        administration_connections: layer.administration_connections,
    };
    let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
    Ok(RedisLayer::connect(options, layer.limits(), clock, entropy).await?)
}

#[cfg(not(feature = "redis"))]
#[expect(clippy::unused_async, reason = "as with the backend built in")]
async fn redis(_: &Layer) -> Result<Arc<dyn ChannelLayer>, BoxError> {
    Err("redis is not built into this program".into())
}
