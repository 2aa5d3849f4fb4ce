//! Requests that do not become a socket.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, interval, timeout};

use super::Scene;
use crate::process::PATIENCE;
use crate::wire::{Wire, request};

/// What is refused, the status, and what the answer says.
type Case<'a> = (&'a str, String, u16, &'a str);

/// Each is answered so, the layer hears of none, the bystanders notice none.
async fn refused(scene: &mut Scene, cases: Vec<Case<'_>>) -> Result<()> {
    let before = scene.connects().await?;
    for (what, request, status, said) in cases {
        let mut wire = Wire::connect(&scene.address).await?;
        wire.write(request.as_bytes()).await?;
        let answer = wire.answer().await.context(what.to_owned())?;
        ensure!(answer.0 == status, "{what}: {}", answer.1);
        ensure!(
            answer.1.to_lowercase().contains(said),
            "{what}: {}",
            answer.1
        );
        scene.untouched().await.context(what.to_owned())?;
    }
    ensure!(scene.connects().await? == before, "the layer heard of one");
    scene.alone().await
}

fn from<'a>(scene: &Scene, path: &str, origin: &'a str) -> Case<'a> {
    let header = format!("Origin: {origin}\r\n");
    let request = request(&scene.address, path, &header);
    (origin, request, 403, "the connection was refused")
}

#[tokio::test]
async fn a_foreign_origin_is_refused_before_the_layer_hears_of_it() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    let (address, path) = (scene.address.clone(), "/chat/quiet");
    let (host, port) = address.split_once(':').context("no port")?;
    let look_alikes = [
        "https://evil.example".to_owned(),
        format!("http://{address}.evil.example"),
        format!("http://{host}.evil.example:{port}"),
        format!("http://evil.example/{address}"),
        format!("http://evil.example#{address}"),
        format!("http://{address}@evil.example"),
        format!("http://evil.example@{address}"),
        format!("http://{address}/"),
        format!("http://{host}:"),
        format!("http://{host}0:{port}"),
        format!("http://localhost:{port}"),
        format!("//{address}"),
        address.clone(),
        "null".to_owned(),
        String::new(),
        "http://[::1".to_owned(),
        format!("http://{address}\r\nOrigin: http://{address}"),
    ];
    let cases = look_alikes.iter().map(|origin| from(&scene, path, origin));
    let cases = cases.collect();
    refused(&mut scene, cases).await?;

    // A page of the same host may have come from another port.
    for own in [&*address, host] {
        let own = format!("Origin: http://{own}\r\n");
        let mut wire = Wire::connect(&address).await?;
        wire.write(request(&address, path, &own).as_bytes()).await?;
        ensure!(wire.answer().await?.0 == 101, "{own}");
    }
    scene.untouched().await
}

#[tokio::test]
async fn only_listed_origins_are_let_in() -> Result<()> {
    let origins = ("TOWPATH__SERVER__ORIGINS", "https://example.org");
    let mut scene = Scene::start(&[origins]).await?;
    let own = format!("http://{}", scene.address);
    let foreign = [
        own.as_str(),
        "http://example.org",
        "https://example.org:8443",
        "https://example.org.evil.example",
        "https://evilexample.org",
        "https://www.example.org",
        "https://example.org/",
    ];
    let cases = foreign.map(|origin| from(&scene, "/echo", origin));
    refused(&mut scene, cases.to_vec()).await?;
    let mut wire = Wire::connect(&scene.address).await?;
    let listed = request(
        &scene.address,
        "/echo",
        "Origin: https://example.org:443\r\n",
    );
    wire.write(listed.as_bytes()).await?;
    ensure!(wire.answer().await?.0 == 101);
    Ok(())
}

#[tokio::test]
async fn an_unknown_route_is_not_found() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    let address = scene.address.clone();
    let page = format!("GET /nowhere HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let cases = vec![
        ("no page", page, 404, "not found"),
        (
            "no socket",
            request(&address, "/nowhere", ""),
            404,
            "not found",
        ),
        (
            "above a route",
            request(&address, "/chat", ""),
            404,
            "not found",
        ),
        (
            "below a route",
            request(&address, "/echo/more", ""),
            404,
            "not found",
        ),
    ];
    refused(&mut scene, cases).await
}

#[tokio::test]
async fn what_is_hardly_http_is_refused() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    let address = scene.address.clone();
    let socket = |more: &str| request(&address, "/echo", more);
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let cases = vec![
        ("a long field", socket(&long), 431, ""),
        ("many fields", socket(&many), 431, ""),
        ("a control character", socket("X: a\0b\r\n"), 400, ""),
        ("no HTTP", "\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400, ""),
    ];
    refused(&mut scene, cases).await
}

#[tokio::test]
async fn a_request_that_is_not_a_good_one_is_told_why() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    let address = scene.address.clone();
    let plain = |line: &str| format!("{line} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let socket = |more: &str| request(&address, "/echo", more);
    let without = |line: &str| socket("").replace(line, "");
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let cases = vec![
        ("plain", plain("GET /echo"), 426, "upgrade: websocket"),
        ("a post", plain("POST /echo"), 426, "for websockets"),
        (
            "an old version",
            socket("").replace("Version: 13", "Version: 8"),
            426,
            "sec-websocket-version: 13",
        ),
        (
            "no version",
            without(version),
            426,
            "sec-websocket-version: 13",
        ),
        (
            "two versions",
            socket(version),
            426,
            "sec-websocket-version",
        ),
        ("no key", without(key), 400, "sec-websocket-key"),
        ("two keys", socket(key), 400, "sec-websocket-key"),
        (
            "a short key",
            socket("").replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
            400,
            "not 16 bytes",
        ),
        (
            "no upgrade",
            without("Connection: Upgrade\r\n"),
            400,
            "connection header",
        ),
        ("a body", socket("Content-Length: 3\r\n"), 400, "no body"),
        (
            "an empty subprotocol",
            socket("Sec-WebSocket-Protocol: a,,b\r\n"),
            400,
            "sec-websocket-protocol",
        ),
    ];
    refused(&mut scene, cases).await
}

#[tokio::test]
async fn a_room_that_cannot_be_a_group_is_denied() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    // Only the first is too long as it is; the others are once they are encoded.
    for name in ["x".repeat(95), "%20".repeat(40), "%C3%BC".repeat(30)] {
        for kind in ["chat", "room"] {
            let mut wire = Wire::connect(&scene.address).await?;
            let asked = request(&scene.address, &format!("/{kind}/{name}"), "");
            wire.write(asked.as_bytes()).await?;
            let (status, answer) = wire.answer().await?;
            ensure!(status == 400, "{answer}");
            ensure!(
                answer.ends_with("the name of the room is too long\n"),
                "{answer}"
            );
            scene.untouched().await?;
        }
    }
    scene.alone().await
}

const BEGUN: [&str; 4] = [
    "",
    "GET /chat/qui",
    "GET /chat/quiet HTTP/1.1\r\nHost: x\r\nX: ",
    // A whole request, and then nothing on a connection that may go on.
    "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
];

#[tokio::test]
async fn half_a_handshake_is_cut_after_the_header_timeout() -> Result<()> {
    let mut scene = Scene::start(&[("TOWPATH__SERVER__HEADER_TIMEOUT", "300ms")]).await?;
    let before = scene.connects().await?;
    let mut half_open = Vec::new();
    for begun in BEGUN.repeat(5) {
        let mut wire = Wire::connect(&scene.address).await?;
        wire.write(begun.as_bytes()).await?;
        half_open.push((begun, wire));
    }
    scene.untouched().await?;
    for (begun, wire) in &mut half_open {
        let said = wire.ended().await.with_context(|| format!("{begun:?}"))?;
        let said = String::from_utf8(said)?;
        let answered = begun.contains("nowhere");
        ensure!(said.starts_with("HTTP/1.1 404") == answered, "{said}");
    }
    ensure!(scene.connects().await? == before);
    scene.untouched().await
}

#[tokio::test]
async fn the_header_timeout_is_five_seconds_by_itself() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    let begun = Instant::now();
    let half = [
        Wire::connect(&scene.address).await?,
        Wire::connect(&scene.operator).await?,
    ];
    for mut wire in half {
        wire.write(b"GET /livez HTTP/1.1\r\n").await?;
        wire.ended().await?;
        let elapsed = begun.elapsed();
        ensure!(elapsed >= Duration::from_secs(5), "{elapsed:?}");
    }
    scene.untouched().await
}

#[tokio::test]
async fn a_handshake_that_drips_is_cut_as_well() -> Result<()> {
    let mut scene = Scene::start(&[("TOWPATH__SERVER__HEADER_TIMEOUT", "300ms")]).await?;
    let mut wire = Wire::connect(&scene.address).await?;
    wire.write(b"GET /echo HTTP/1.1\r\nX: ").await?;
    let (mut read, mut write) = wire.0.split();
    let drip = async {
        let mut drops = interval(Duration::from_millis(20));
        loop {
            drops.tick().await;
            if tokio::io::AsyncWriteExt::write_all(&mut write, b"x")
                .await
                .is_err()
            {
                return;
            }
        }
    };
    let mut said = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut said);
    let cut = async {
        tokio::select! {
            () = drip => {}
            _ended = ended => {}
        }
    };
    timeout(PATIENCE, cut).await.context("it drips on")?;
    scene.untouched().await
}

#[tokio::test]
async fn the_operators_listener_answers_bad_requests_too() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    for (asked, status, said) in [
        ("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not found"),
        (
            "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            405,
            "only GET",
        ),
        ("nonsense\r\n\r\n", 400, ""),
    ] {
        let mut wire = Wire::connect(&scene.operator).await?;
        wire.write(asked.as_bytes()).await?;
        let answer = wire.answer().await?;
        ensure!(answer.0 == status && answer.1.contains(said), "{answer:?}");
        scene.untouched().await?;
    }
    Ok(())
}
