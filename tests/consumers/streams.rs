//! Streams over one socket, each with its own session.

use towpath::prelude::*;

pub(crate) fn streams() -> Websocket {
    let tally = || websocket().receive(tally);
    let chat = websocket().connect(join).receive(chat);
    demultiplexer()
        .stream("a", tally())
        .stream("b", tally())
        .stream("chat", chat)
        .into()
}

async fn tally(Json(by): Json<i64>, mut sum: Session<i64>, socket: Socket) -> Result {
    *sum += by;
    if *sum > 100 {
        return Err(Error::rejected("more than 100"));
    }
    socket.json(&*sum).await
}

async fn join(Path(group): Path<String>, groups: Groups) -> Result {
    groups.add(group).await
}

async fn chat(Path(group): Path<String>, Json(text): Json<String>, groups: Groups) -> Result {
    groups.send_json(group, &text).await?;
    Ok(())
}
