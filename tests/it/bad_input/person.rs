//! What a person's page may send that is no message of the chat.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::Scene;
use crate::chat::Socket;

async fn heard(socket: &mut Socket) -> Result<Value> {
    Ok(serde_json::from_str(socket.next().await?.to_text()?)?)
}

/// Each is answered with an error that says this.
async fn told(socket: &mut Socket, cases: &[(Message, &str)]) -> Result<()> {
    for (frame, reason) in cases {
        socket.send(frame.clone()).await?;
        let error = heard(socket).await?;
        ensure!(error["type"] == "error", "{reason}: {error}");
        let said = error["reason"].as_str().context("no reason")?;
        ensure!(said.contains(reason), "{reason}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_of_the_chat_is_told_so_and_the_socket_lives() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    let mut eve = Socket::connect(&scene.address, "/chat/quiet").await?;
    let text = |value: Value| Message::text(value.to_string());
    let hello = |name: &str| text(json!({"type": "hello", "name": name}));
    let say = |said: &str| text(json!({"type": "say", "text": said}));
    let no_message = "this is not a message of the chat";
    let deep = "[".repeat(10_000);
    let strange = [
        (Message::text(""), no_message),
        (Message::text("hello?"), no_message),
        (Message::text("{\"type\":\"say\""), no_message),
        (Message::text("[]"), no_message),
        (Message::text(deep.as_str()), no_message),
        (text(json!({"type": "sing"})), "unknown variant `sing`"),
        (text(json!({"type": "hello"})), "missing field `name`"),
        (text(json!({"type": "hello", "name": 7})), "invalid type"),
        (Message::binary(vec![0xc1]), "send text, not bytes"),
        (hello(" "), "a name cannot be empty"),
        (hello(&"x".repeat(41)), "at most 40 characters, this has 41"),
    ];
    told(&mut eve, &strange).await?;
    told(&mut eve, &[(say("hi"), "say hello first")]).await?;
    eve.quiet().await?;
    scene.untouched().await?;

    eve.send(hello("Eve")).await?;
    ensure!(heard(&mut eve).await?["type"] == "welcome");
    let joined = json!({"type": "joined", "name": "Eve"});
    ensure!(heard(&mut eve).await? == joined);
    for person in [&mut scene.ada, &mut scene.ben] {
        ensure!(person.next().await? == joined);
    }
    let known = [
        (hello("Ada"), "you are already here as Eve"),
        (say(""), "a message cannot be empty"),
        (say("/shout "), "shout what?"),
        (say(&"x".repeat(2001)), "at most 2000 characters"),
        (say(&"x".repeat(1_000_000)), "this has 1000000"),
    ];
    told(&mut eve, &known).await?;
    scene.untouched().await?;
    eve.send(say("sorry")).await?;
    while heard(&mut eve).await?["text"] != "sorry" {}
    Ok(())
}
