//! The demonstration: a chat, an echo, and rooms that repeat what they hear.

mod chat;
mod mirror;
mod page;
mod rooms;
mod shout;

use std::io::Write as _;

use towpath::prelude::*;

/// The demonstration as an application.
pub(crate) fn app() -> App {
    let chat = websocket()
        .connect(chat::connect)
        .receive(chat::receive)
        .disconnect(chat::disconnect);
    let room = websocket().connect(mirror::enter).receive(mirror::to_room);
    App::new()
        .route("/chat/{room}", chat)
        .route("/room/{name}", room)
        .route("/echo", websocket().receive(mirror::echo))
        .channel(shout::CHANNEL, shout::consume)
        .http(page::service())
        .on_listening(announce)
}

/// Says where the chat is to whoever started it, if they still listen.
fn announce(listening: &Listening) {
    let _unheard = writeln!(std::io::stdout(), "The chat is at {}", listening.url());
}
