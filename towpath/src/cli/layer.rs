//! `layer …`: what an operator sees and does of a layer.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Subcommand;
use futures_util::TryStreamExt as _;
use serde_json::json;
use towpath_layer_core::{
    Application, ChannelLayer, ChannelName, ChannelStatistics, Content, GroupName, Reply,
    Statistics,
};

use super::output;

/// What to do with a layer.
#[derive(Debug, Subcommand)]
pub(crate) enum LayerCommand {
    /// Show what happened on the layer, by channel.
    Stats,
    /// Empty the layer: messages, memberships, counts.
    Flush,
    /// Send typed content on a channel.
    Send {
        /// The channel.
        channel: String,
        /// The content.
        #[arg(value_name = "JSON")]
        content: String,
    },
    /// Send to every member of a group.
    GroupSend {
        /// The group.
        group: String,
        /// The text frame for each client, or the content of the event.
        #[arg(value_name = "JSON")]
        content: String,
        /// Send an application event of this name to the members' consumers instead.
        #[arg(long, value_name = "NAME")]
        event: Option<String>,
    },
    /// List the groups that have members.
    Groups,
    /// List the members of a group.
    Members {
        /// The group.
        group: String,
    },
}

impl LayerCommand {
    /// Does it, and prints what came of it.
    ///
    /// # Errors
    ///
    /// A name or JSON text that is not valid, or what the layer says.
    ///
    /// # Cancel safety
    ///
    /// As the layer's call behind it.
    pub(crate) async fn run(self, layer: &dyn ChannelLayer, json: bool) -> Result<()> {
        match self {
            Self::Stats => stats(&layer.statistics().await?, json),
            Self::Flush => {
                layer.flush().await?;
                done("flushed", json)
            }
            Self::Send {
                channel,
                content: text,
            } => {
                let channel = ChannelName::new(channel)?;
                layer.send(&channel, content(&text)?.into()).await?;
                done("sent", json)
            }
            Self::GroupSend {
                group,
                content: text,
                event,
            } => group_send(layer, &group, text, event, json).await,
            Self::Groups => {
                let groups = layer.groups().await?;
                if json {
                    return Ok(output::json(&groups)?);
                }
                groups
                    .iter()
                    .try_for_each(|group| Ok(output::line(group.as_str())?))
            }
            Self::Members { group } => members(layer, &group, json).await,
        }
    }
}

fn done(what: &str, json: bool) -> Result<()> {
    if json {
        output::json(&json!({ what: true }))?;
    } else {
        output::line(what)?;
    }
    Ok(())
}

fn parse(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).with_context(|| format!("{text:?} is not JSON"))
}

fn content(text: &str) -> Result<Content> {
    Ok(Content::encode(&parse(text)?)?)
}

async fn group_send(
    layer: &dyn ChannelLayer,
    group: &str,
    text: String,
    event: Option<String>,
    json: bool,
) -> Result<()> {
    let group = GroupName::new(group)?;
    let content = content(&text)?;
    let reply = match event {
        Some(name) => Reply::event(Application::new(name, content)),
        None => Reply::text(text),
    };
    let delivery = layer.group_send(&group, reply).await?;
    Ok(output::delivery(&delivery, json)?)
}

async fn members(layer: &dyn ChannelLayer, group: &str, json: bool) -> Result<()> {
    let group = GroupName::new(group)?;
    let mut members = layer.group_members(&group);
    let mut list = Vec::new();
    while let Some(member) = members.try_next().await? {
        let meta = shown(&member.meta);
        if json {
            list.push(json!({ "channel": member.channel, "meta": meta }));
        } else if meta.is_null() {
            output::line(member.channel.as_str())?;
        } else {
            output::line(&format!("{} {meta}", member.channel))?;
        }
    }
    if json {
        output::json(&list)?;
    }
    Ok(())
}

/// Metadata as JSON: what `Groups::add_with` encodes as the value that it was,
/// other bytes as text.
fn shown(meta: &Bytes) -> serde_json::Value {
    if meta.is_empty() {
        return serde_json::Value::Null;
    }
    let decoded = Content::from_encoded(meta.clone()).decode::<serde_json::Value>();
    let whole = |value: &serde_json::Value| {
        // Other bytes may begin like a value.
        Content::encode(value).is_ok_and(|encoded| encoded.len() == meta.len())
    };
    decoded
        .ok()
        .filter(whole)
        .unwrap_or_else(|| String::from_utf8_lossy(meta).into())
}

fn stats(statistics: &Statistics, json: bool) -> Result<()> {
    if json {
        return Ok(output::json(statistics)?);
    }
    let head = [
        "channel", "sent", "received", "pending", "oldest", "delayed", "full", "expired",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    let channels = statistics.channels.iter();
    rows.extend(channels.map(|(name, channel)| row(name.as_str(), channel)));
    rows.push(row("all channels", &statistics.total));
    output::table(&rows, 1)?;
    let Statistics {
        nodes,
        delayed,
        dropped,
        stale,
        lost,
        ..
    } = statistics;
    Ok(output::line(&format!(
        "\n{nodes} nodes alive, this command included; {delayed} messages delayed, {lost} events lost, {stale} completions stale, {dropped} replies dropped"
    ))?)
}

fn row(name: &str, channel: &ChannelStatistics) -> [String; 8] {
    let oldest = channel
        .oldest_age
        .map_or("-".to_owned(), |age| format!("{:.1}s", age.as_secs_f64()));
    [
        name.to_owned(),
        channel.sent.to_string(),
        channel.received.to_string(),
        channel.pending.to_string(),
        oldest,
        channel.delayed.to_string(),
        channel.full.to_string(),
        channel.expired.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_shown_as_what_it_was() {
        let meta = |value: &serde_json::Value| Content::encode(value).unwrap().as_encoded().clone();
        let value = json!({ "name": "Ada", "age": 7 });
        assert_eq!(shown(&meta(&value)), value);
        assert_eq!(shown(&Bytes::from_static(b"hello")), json!("hello"));
        assert_eq!(shown(&Bytes::new()), serde_json::Value::Null);
    }
}
