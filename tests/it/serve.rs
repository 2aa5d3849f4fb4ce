//! One process: the chat, the echo, the rooms, the operator's listener.

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::chat::{Person, Socket};
use crate::process::Process;

pub async fn get(address: &str, path: &str) -> Result<(StatusCode, String)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let request = Request::get(path)
        .header("host", address)
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}

#[tokio::test]
async fn two_people_talk_and_a_shout_comes_back() -> Result<()> {
    let process = Process::start(&["--listen", "127.0.0.1:0"])?;
    let address = process.address().await?;
    let mut ada = Person::enter(&address, "rust", "Ada").await?;
    let mut bob = Person::enter(&address, "rust", "Bob").await?;
    let mut eve = Person::enter(&address, "other", "Eve").await?;

    ada.say("hello").await?;
    for person in [&mut ada, &mut bob] {
        let heard = person.hear("message").await?;
        ensure!(
            heard == json!({"type": "message", "name": "Ada", "text": "hello"}),
            "{heard}"
        );
    }
    bob.say("/shout hello").await?;
    for person in [&mut ada, &mut bob] {
        let heard = person.hear("shout").await?;
        ensure!(
            heard == json!({"type": "shout", "name": "Bob", "text": "HELLO"}),
            "{heard}"
        );
    }
    drop(bob);
    ensure!(ada.hear("left").await?["name"] == "Bob");
    eve.say("alone").await?;
    ensure!(eve.hear("message").await?["text"] == "alone");
    Ok(())
}

#[tokio::test]
async fn frames_come_back_and_reach_the_room() -> Result<()> {
    let process = Process::start(&["serve", "--listen", "127.0.0.1:0"])?;
    let address = process.address().await?;
    let mut echo = Socket::connect(&address, "/echo").await?;
    for message in [
        Message::text("hi"),
        Message::text(""),
        Message::binary(vec![0, 255]),
        Message::binary(Vec::new()),
    ] {
        echo.send(message.clone()).await?;
        ensure!(echo.next().await? == message);
    }

    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(Socket::connect(&address, "/room/one").await?);
    }
    let mut stranger = Socket::connect(&address, "/room/two").await?;
    for text in ["first", "second"] {
        members[0].send(Message::text(text)).await?;
    }
    for member in &mut members {
        ensure!(member.next().await? == Message::text("first"));
        ensure!(member.next().await? == Message::text("second"));
    }
    stranger.quiet().await
}

#[tokio::test]
async fn the_operator_sees_health_and_metrics() -> Result<()> {
    let process = Process::start(&["--listen", "127.0.0.1:0"])?;
    let operator = process.operator().await?;
    let address = process.address().await?;
    ensure!(get(&operator, "/livez").await?.0 == StatusCode::OK);
    ensure!(get(&operator, "/readyz").await?.0 == StatusCode::OK);
    ensure!(get(&operator, "/nothing").await?.0 == StatusCode::NOT_FOUND);
    let mut socket = Socket::connect(&address, "/echo").await?;
    socket.send(Message::text("counted")).await?;
    socket.next().await?;
    let (status, metrics) = get(&operator, "/metrics").await?;
    ensure!(status == StatusCode::OK);
    let connections = metrics
        .lines()
        .filter(|line| line.starts_with("towpath_connections"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>();
    ensure!((connections - 1.0).abs() < f64::EPSILON, "{metrics}");
    Ok(())
}

#[tokio::test]
async fn plain_http_and_unknown_paths_are_answered() -> Result<()> {
    let process = Process::start(&["--listen", "127.0.0.1:0"])?;
    let address = process.address().await?;
    let (status, page) = get(&address, "/").await?;
    ensure!(
        status == StatusCode::OK && page.contains("<html"),
        "{status}: {page}"
    );
    ensure!(get(&address, "/echo").await?.0 == StatusCode::UPGRADE_REQUIRED);
    ensure!(get(&address, "/nowhere").await?.0 == StatusCode::NOT_FOUND);
    let refused = Socket::connect(&address, "/nowhere")
        .await
        .err()
        .context("accepted")?;
    ensure!(refused.to_string().contains("404"), "{refused}");
    Ok(())
}
