//! Joins that wait until they are let through, from any process.

use towpath::layer::ChannelName;
use towpath::prelude::*;

/// Waits until the gate has been opened.
pub(crate) async fn pass(layer: &Layer, name: &str) -> Result {
    let channel = ChannelName::new(gate(name))?;
    let mut opened = layer.inner().receiver(vec![channel])?;
    opened.receive_many(&mut Vec::new(), 1).await?;
    opened.close().await?;
    Ok(())
}

/// Opens a gate for one who waits or who comes.
pub(crate) async fn open(layer: &Layer, name: &str) -> Result {
    layer.send(gate(name), &()).await
}

fn gate(name: &str) -> String {
    format!("gates.{name}")
}
