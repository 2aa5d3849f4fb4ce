//! `towpath bench` against real servers: the demonstration, and one that is at fault.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::get;
use serde_json::Value;

fn towpath(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.args(arguments);
    command
}

fn bench(url: &str, options: &[&str]) -> Output {
    let line = [&["bench", url][..], options].concat();
    towpath(&line).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The demonstration, killed when dropped.
struct Demonstration {
    process: Child,
    address: String,
}

impl Demonstration {
    fn start() -> Self {
        let mut process = towpath(&["--listen", "127.0.0.1:0"])
            .env("TOWPATH__OPERATOR__LISTEN", "off")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let (_, address) = line.trim().split_once("http://").unwrap();
        Self {
            process,
            address: address.trim_end_matches('/').to_owned(),
        }
    }
}

impl Drop for Demonstration {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn every_mode_finds_nothing_wrong_with_the_demonstration() {
    let demonstration = Demonstration::start();
    for (path, options) in [
        ("/echo", &["--connections", "5"][..]),
        ("/echo", &["--connections", "5", "--rate", "40"]),
        ("/room/x", &["--mode", "fan-out", "--connections", "5"]),
        ("/room/{room}", &["--mode", "rooms", "--connections", "20"]),
        ("/echo?n={n}", &["--mode", "connect", "--connections", "5"]),
    ] {
        let url = format!("ws://{}{path}", demonstration.address);
        let options = [options, &["--seconds", "0.2", "--json"]].concat();
        let output = bench(&url, &options);
        assert!(output.status.success(), "{path} {options:?}: {output:?}");
        let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
        let delivered = figures["deliveries"].as_u64().unwrap();
        assert_eq!(delivered == 0, figures["mode"] == "connect", "{figures}");
        assert_eq!(figures["wrong"]["lost"], 0);
        assert_eq!(figures["latency_ms"].as_array().unwrap().len(), 4);
    }
}

#[test]
fn people_get_columns_and_progress() {
    let demonstration = Demonstration::start();
    let url = format!("ws://{}/echo", demonstration.address);
    let output = bench(&url, &["--connections", "2", "--seconds", "0.2"]);
    let table = String::from_utf8_lossy(&output.stdout);
    for part in ["deliveries a second", "latency p99.9, ms", "out of order"] {
        assert!(table.contains(part), "{table}");
    }
    assert!(said(&output).contains("2 connections"), "{output:?}");
}

/// Sends each third frame before the second, and each fifth not at all.
async fn fault(mut socket: WebSocket) {
    let mut kept = None;
    for number in 1_u64.. {
        let Some(Ok(message)) = socket.recv().await else {
            return;
        };
        let sent = match number % 6 {
            5 => Ok(()),
            2 => {
                kept = Some(message);
                Ok(())
            }
            _ => socket.send(message).await,
        };
        if let Some(message) = kept.take_if(|_| number % 6 == 3) {
            socket.send(message).await.unwrap();
        }
        if sent.is_err() {
            return;
        }
    }
}

fn faulty() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let upgrade = async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(fault);
            let app = Router::new().route("/", get(upgrade));
            axum::serve(listener, app).await.unwrap();
        });
    });
    address
}

#[test]
fn loss_and_wrong_order_end_it_with_1() {
    let url = format!("ws://{}/", faulty());
    let options = ["--connections", "1", "--rate", "200", "--seconds", "0.2"];
    let output = bench(&url, &[&options[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figures["wrong"]["lost"].as_u64().unwrap() > 0, "{figures}");
    let late = figures["wrong"]["out_of_order"].as_u64().unwrap();
    assert!(late > 0, "{figures}");
}

#[test]
fn what_cannot_be_loaded_is_named_with_the_reason() {
    let demonstration = Demonstration::start();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = {
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        address
    };
    let address = &demonstration.address;
    for (url, options, expected) in [
        (
            format!("ws://{nobody}/echo"),
            &[][..],
            "cannot be connected to: Connection refused",
        ),
        (
            format!("ws://{address}/nothing"),
            &[],
            "does not serve WebSocket at /nothing: it answered `HTTP/1.1 404 Not Found`",
        ),
        (format!("wss://{address}/echo"), &[], "TLS is not supported"),
        (
            format!("ws://{address}/echo"),
            &["--mode", "rooms"],
            "names no room: put {room}",
        ),
        (
            format!("ws://{address}/echo"),
            &["--connections", "1000000"],
            "1000000 connections need more open files than the hard limit",
        ),
    ] {
        let output = bench(&url, options);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let stderr = said(&output);
        assert!(
            stderr.starts_with("error: ") && stderr.contains(expected),
            "{stderr}"
        );
    }
}
