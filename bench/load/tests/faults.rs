//! Real servers that are at fault are found out.
#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use towpath_load::{Generator, Joiner, Joins, LoadError, Pace, Shape, Target, Wrong};

/// What a server does with the `number`th message of a socket.
type Fault = fn(number: u64, message: Message) -> Vec<Message>;

async fn echo(mut socket: WebSocket, fault: Fault) {
    let mut number = 0;
    while let Some(Ok(message)) = socket.recv().await {
        if !matches!(message, Message::Text(_)) {
            continue;
        }
        for message in fault(number, message) {
            if socket.send(message).await.is_err() {
                return;
            }
        }
        number += 1;
    }
}

fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let upgrade = move |upgrade: WebSocketUpgrade| async move {
                upgrade.on_upgrade(move |socket| echo(socket, fault))
            };
            axum::serve(listener, Router::new().route("/echo", get(upgrade)))
                .await
                .unwrap();
        });
    });
    address
}

/// A hundred messages a second of each of three sockets, for a second: each has
/// long sent the one at fault by then, its sixth.
fn load(fault: Fault) -> Wrong {
    let pace = Pace::Rate(Duration::from_millis(10));
    let target = Target::new(serve(fault), "/echo");
    let mut generator = Generator::new(target, Shape::echo(3, pace)).unwrap();
    assert_eq!(generator.open().unwrap(), 3);
    generator.start().unwrap();
    generator.run(Duration::from_secs(1)).unwrap();
    generator.drain().unwrap();
    assert!(generator.counts().sent >= 3 * 6, "{:?}", generator.counts());
    generator.wrong()
}

#[test]
fn a_good_server_has_nothing_wrong() {
    assert_eq!(load(|_, message| vec![message]), Wrong::default());
}

#[test]
fn loss_is_found() {
    let wrong = load(|number, message| if number == 5 { vec![] } else { vec![message] });
    let expected = Wrong {
        lost: 3,
        ..Wrong::default()
    };
    assert_eq!(wrong, expected);
}

#[test]
fn repetition_is_found() {
    let wrong = load(|number, message| {
        let times = if number == 5 { 2 } else { 1 };
        vec![message; times]
    });
    let expected = Wrong {
        repeated: 3,
        ..Wrong::default()
    };
    assert_eq!(wrong, expected);
}

#[test]
fn what_was_altered_is_found_and_is_lost() {
    let wrong = load(|number, message| match message {
        Message::Text(text) if number == 5 => {
            vec![Message::Text(text.replace('x', "y").into())]
        }
        other => vec![other],
    });
    let expected = Wrong {
        malformed: 3,
        lost: 3,
        ..Wrong::default()
    };
    assert_eq!(wrong, expected);
}

#[test]
fn a_path_that_is_not_served_is_named_with_the_answer() {
    let target = Target::new(serve(|_, message| vec![message]), "/nothing");
    let mut generator = Generator::new(target, Shape::echo(3, Pace::Own)).unwrap();
    match generator.open().unwrap_err() {
        LoadError::Upgrade { path, answer, .. } => {
            assert_eq!(path, "/nothing");
            assert_eq!(answer, "HTTP/1.1 404 Not Found");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn nobody_there_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = Target::new(address, "/echo");
    let mut generator = Generator::new(target, Shape::echo(3, Pace::Own)).unwrap();
    let error = generator.open().unwrap_err();
    assert!(matches!(error, LoadError::Connect { .. }), "{error}");
}

#[test]
fn joins_that_are_refused_are_counted() {
    let answers: Fault = |number, _| {
        let status = if number == 1 { "error" } else { "ok" };
        let answer =
            format!(r#"["1","1","bench:0","phx_reply",{{"status":"{status}","response":{{}}}}]"#);
        vec![Message::text(answer)]
    };
    let joins = Joins {
        sockets: 3,
        topics: 4,
        shared: true,
        ahead: 5,
    };
    let mut joiner = Joiner::new(Target::new(serve(answers), "/echo"), joins).unwrap();
    joiner.open().unwrap();
    assert_eq!(joiner.join().unwrap(), 3);
}
