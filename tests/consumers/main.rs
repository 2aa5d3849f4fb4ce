//! An application with every kind of consumer, for the end-to-end tests: it
//! runs in one process or in many, and knows of neither.

#![allow(
    clippy::needless_pass_by_value,
    reason = "consumers take their arguments by value"
)]

mod busy;
mod functions;
mod later;
mod room;
mod streams;
mod sum;
mod todos;

use std::process::ExitCode;

use towpath::prelude::*;

fn main() -> ExitCode {
    let functions = websocket()
        .connect(functions::connect)
        .receive(functions::receive)
        .disconnect(functions::disconnect);
    let outbox = websocket()
        .connect(functions::join)
        .receive(functions::order);
    App::new()
        .route("/functions/{room}", functions)
        .route("/outbox/{group}", outbox)
        .route("/room/{name}", room::Room::websocket())
        .route("/sum", sum::Sum::websocket())
        .route("/streams/{group}", streams::streams())
        .route("/later", later::Later::websocket())
        .route("/busy", busy::Busy::websocket())
        .consumer(later::Jobs { factor: 3 })
        .setup(todos::open)
        .run()
}
