//! The application that the suites in `tests/phoenix` speak to; what it does
//! stands in `APP.md` there.

mod gates;
mod history;
mod join;
mod later;
mod presence;
mod room;
mod socket;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use towpath::prelude::*;
use towpath::worker::{Demultiplexer, TopicRoutes};

use self::history::Remembered;
use self::presence::Presence;
use self::room::Room;
use self::socket::UserSocket;
use self::watch::Watch;

const LONGPOLL_WINDOW: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_millis(1500);
const ORIGINS: [&str; 3] = ["https://good.example", "//*.trusted.example", "//localhost"];

fn main() -> ExitCode {
    let both = || all().longpoll(true).longpoll_window(LONGPOLL_WINDOW);
    App::new()
        .socket("/socket", both())
        .socket("/limited", both().max_topics(1))
        .socket("/only", all())
        .socket("/quiet", all().idle_timeout(IDLE_TIMEOUT))
        .socket("/sub", all().subprotocols(["sip"]))
        .socket("/any-token", all().auth_token(true).subprotocols(["sip"]))
        .socket("/nested/path/{tenant}", both())
        .socket(socket::AUTH_PATH, both().auth_token(true))
        .route("/rooms/{topic}", Room::websocket("room:{topic}"))
        .route("/room-streams/{topic}", room_streams())
        .route("/history/{topic}", Remembered::websocket("history:{topic}"))
        .route("/streams/{topic}", streams())
        .channel(later::ANSWER, later::answer)
        .channel(later::ANSWER_TWICE, later::answer_twice)
        .run()
}

/// Two histories over one socket.
fn streams() -> Demultiplexer {
    let of = |topic| Remembered::websocket(topic);
    demultiplexer()
        .stream("left", of("history:{topic}-left"))
        .stream("right", of("history:{topic}-right"))
}

/// The consumer of rooms, as two streams of a socket.
fn room_streams() -> Demultiplexer {
    demultiplexer()
        .stream("room", Room::websocket("room:{topic}"))
        .stream("next", Room::websocket("room:{topic}-next"))
}

/// Every mount has all topics.
fn all() -> TopicRoutes<UserSocket> {
    topics::<UserSocket>()
        .topic::<Room>("room:*")
        .topic::<Watch>("watch:*")
        .topic::<Presence>("presence:*")
        .topic::<Remembered>("history:*")
        .origins(ORIGINS)
}
