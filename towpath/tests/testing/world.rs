//! The application that most tests run.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath::prelude::*;
use towpath::testing::Start;

/// How a test application starts: on memory, or on Redis.
pub(crate) type Backend = fn(App) -> Start;

/// What a connection was when it opened.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) cookies: Vec<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) reply_channel: String,
    pub(crate) order: u64,
    pub(crate) peer: String,
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Tells the client what it said in its handshake.
async fn tell(
    connection: Connection,
    handshake: Handshake,
    headers: Headers,
    socket: Socket,
) -> Result {
    let (host, port) = handshake.client.clone().unwrap_or_default();
    let opening = Opening {
        path: connection.path.to_string(),
        query: text(&handshake.query_string),
        cookies: headers.get_all("cookie").map(text).collect(),
        authorization: headers.text("authorization").map(str::to_owned),
        reply_channel: connection.reply_channel.to_string(),
        order: connection.order,
        peer: format!("{host}:{port}"),
    };
    socket.json(&opening).await
}

async fn echo(frame: Frame, socket: Socket) -> Result {
    socket.reply(Reply::frame(frame)).await
}

/// Counts in the session.
async fn count(connection: Connection, mut counted: Session<u32>, socket: Socket) -> Result {
    *counted += 1;
    socket
        .text(format!("{} {}", connection.order, *counted))
        .await
}

async fn join(Path(room): Path<String>, groups: Groups) -> Result {
    groups.add_with(format!("room.{room}"), &room).await
}

async fn say(Path(room): Path<String>, Text(text): Text, groups: Groups) -> Result {
    groups.send_text(format!("room.{room}"), &*text).await?;
    Ok(())
}

async fn shout(Payload(text): Payload<String>, socket: Socket) -> Result {
    socket.text(text.to_uppercase()).await
}

/// Tells others who left, and how.
async fn left(Path(room): Path<String>, end: Disconnected, layer: Layer) -> Result {
    let said = (room, end.code, end.reason.to_string());
    layer.send("rooms.left", &said).await
}

async fn refuse(Path(how): Path<String>, socket: Socket) -> Result {
    match how.as_str() {
        "401" => socket.deny(401, "who are you?").await,
        "close" => socket.close(4000, "").await,
        "error" => Err(Error::internal("it is broken")),
        _ => socket.accept_subprotocol(how).await,
    }
}

async fn obey(Text(order): Text, socket: Socket) -> Result {
    match &*order {
        "close" => socket.close(4001, "as you wish").await,
        "reject" => Err(Error::rejected("not that")),
        "fail" => Err(Error::internal("it is broken")),
        "bytes" => socket.bytes("three").await,
        "two" => {
            socket.text("one").await?;
            socket.text("two").await
        }
        "tick" => socket.tick_every(Duration::from_millis(250), "clock").await,
        _ => Ok(()),
    }
}

async fn tick(mut ticks: Session<u32>, socket: Socket) -> Result {
    *ticks += 1;
    socket.text(format!("tick {}", *ticks)).await?;
    if *ticks == 3 {
        socket.stop_ticking("clock").await?;
    }
    Ok(())
}

async fn double(Payload(number): Payload<i64>, layer: Layer) -> Result {
    layer.send("numbers.doubled", &(number * 2)).await
}

pub(crate) fn app() -> App {
    let room = websocket()
        .connect(join)
        .receive(say)
        .on("shout", shout)
        .disconnect(left);
    App::new()
        .route_regex(r"^/tell/.+$", websocket().connect(tell).receive(count))
        .route("/echo", websocket().receive(echo))
        .route("/count", websocket().receive(count))
        .route("/room/{room}", room)
        .route("/refuse/{how}", websocket().connect(refuse))
        .route("/obey", websocket().receive(obey).on("clock", tick))
        .channel("numbers.double", double)
}
