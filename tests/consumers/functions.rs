//! Functions with a session, groups and an outbox.

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

/// What the functions remember of a connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Visit {
    name: String,
    frames: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Who {
    name: String,
}

pub(crate) async fn connect(
    Path(room): Path<String>,
    Query(who): Query<Who>,
    mut visit: Session<Visit>,
    groups: Groups,
) -> Result {
    if who.name == "mallory" {
        return Err(Error::deny(403, "not you"));
    }
    groups.add_with(&room, &who.name).await?;
    visit.name = who.name;
    Ok(())
}

pub(crate) async fn receive(
    Path(room): Path<String>,
    Text(text): Text,
    mut visit: Session<Visit>,
    groups: Groups,
) -> Result {
    visit.frames += 1;
    let line = format!("{} {}: {text}", visit.name, visit.frames);
    groups.send_text(room, line).await?;
    Ok(())
}

pub(crate) async fn disconnect(
    Path(room): Path<String>,
    visit: Session<Visit>,
    groups: Groups,
) -> Result {
    let line = format!("{} left after {}", visit.name, visit.frames);
    groups.send_text(room, line).await?;
    Ok(())
}

pub(crate) async fn join(Path(group): Path<String>, groups: Groups) -> Result {
    groups.add(group).await
}

/// Says three things at once, or nothing if the number is odd.
pub(crate) async fn order(
    Path(group): Path<String>,
    Json(number): Json<u32>,
    socket: Socket,
    outbox: Outbox,
) -> Result {
    outbox.json(&number)?;
    outbox.group_text(&group, "ordered")?;
    outbox.text("done")?;
    socket.text("thinking").await?;
    if number % 2 == 1 {
        return Err(Error::close(4000, "odd"));
    }
    Ok(())
}
