//! `demo.shout`: a channel of the application's own.

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

use super::chat::Said;

/// The channel.
pub(crate) const CHANNEL: &str = "demo.shout";

/// What is sent on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shout {
    /// Where it is to be heard.
    pub(crate) group: GroupName,
    /// Who shouts.
    pub(crate) name: String,
    /// What.
    pub(crate) text: String,
}

/// Makes it loud, and lets the room hear it.
pub(crate) async fn consume(Payload(shout): Payload<Shout>, groups: Groups) -> Result {
    let text = shout.text.to_uppercase();
    let said = Said::Shout {
        name: &shout.name,
        text: &text,
    };
    groups.send_json(&shout.group, &said).await?;
    Ok(())
}
