//! `/echo` and `/room/{name}`: what comes in goes out again.

use towpath::prelude::*;

use super::rooms;

/// Sends every frame back to where it came from.
pub(crate) async fn echo(frame: Frame, socket: Socket) -> Result {
    socket.reply(Reply::frame(frame)).await
}

/// Enters a room.
pub(crate) async fn enter(Path(name): Path<String>, groups: Groups, socket: Socket) -> Result {
    groups.add(rooms::group("room", &name)?).await?;
    socket.accept().await
}

/// Sends every frame to all who are in the room, the sender included.
pub(crate) async fn to_room(Path(name): Path<String>, frame: Frame, groups: Groups) -> Result {
    groups
        .send(rooms::group("room", &name)?, Reply::frame(frame))
        .await?;
    Ok(())
}
