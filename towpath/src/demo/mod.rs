//! The demonstration: chats, an echo, and rooms that repeat what they hear.

mod chat;
mod mirror;
mod page;
mod rooms;
mod shout;
mod topics;

use std::io::Write as _;

use towpath::prelude::*;

use self::topics::{Bench, Chat, Guest};

/// The demonstration as an application.
pub(crate) fn app() -> App {
    let chat = websocket()
        .connect(chat::connect)
        .receive(chat::receive)
        .disconnect(chat::disconnect);
    let room = websocket().connect(mirror::enter).receive(mirror::to_room);
    let socket = topics::<Guest>()
        .topic::<Chat>("chat:*")
        .topic::<Bench>("bench:*")
        .longpoll(true);
    App::new()
        .socket("/socket", socket)
        .route("/chat/{room}", chat)
        .route("/room/{name}", room)
        .route("/echo", websocket().receive(mirror::echo))
        .channel(shout::CHANNEL, shout::consume)
        .http(page::service())
        .on_listening(announce)
}

/// Says where the chats are to whoever started them, if they still listen.
fn announce(listening: &Listening) {
    let url = listening.url();
    let said = format!("The chat is at {url}\nThe chat in topics is at {url}topics");
    let _unheard = writeln!(std::io::stdout(), "{said}");
}
