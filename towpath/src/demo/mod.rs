//! The demonstration: a chat, an echo, and rooms that repeat what they hear.

mod chat;
mod mirror;
mod page;
mod rooms;
mod shout;
mod topics;

use std::io::Write as _;

use towpath::prelude::*;

use self::topics::{Anybody, Bench};

/// The demonstration as an application.
pub(crate) fn app() -> App {
    let chat = websocket()
        .connect(chat::connect)
        .receive(chat::receive)
        .disconnect(chat::disconnect);
    let room = websocket().connect(mirror::enter).receive(mirror::to_room);
    let socket = topics::<Anybody>().topic::<Bench>("bench:*").longpoll(true);
    App::new()
        .socket("/socket", socket)
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
