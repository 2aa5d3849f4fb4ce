//! Every scenario runs, small, against what needs no installation: benchmarks that nobody
//! runs rot.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_towpath-bench");

/// Few connections for a short time, though long enough that something arrives in
/// every window, however busy the machine is.
const SMALL: &str = "--rounds 1 --settle-ms 20 --warmup-ms 50 --window-ms 1000 --scale-down 100";

fn compare(options: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("compare").args(options.split_whitespace());
    command.output().unwrap()
}

fn records(options: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let output = compare(&format!("{options} --json {}", file.display()));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let run: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    run["records"].as_array().unwrap().clone()
}

/// Where it is beside this program: `cargo build -p towpath` puts it there.
fn towpath_is_built() -> bool {
    Path::new(PROGRAM).with_file_name("towpath").is_file()
}

#[test]
fn every_scenario_measures_every_server_and_finds_nothing_wrong() {
    assert!(towpath_is_built(), "cargo build -p towpath");
    let servers = ["towpath", "floor", "floor-coalesced"];
    let asked = servers.map(|server| format!("--server {server} ")).concat();
    let records = records(&format!("{SMALL} --strict towpath {asked}"));
    let mut scenarios: Vec<&str> = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let scenario = record["scenario"].as_str().unwrap();
        assert_eq!(
            record["server"],
            servers[at % servers.len()],
            "servers in turn"
        );
        let silent = scenario.starts_with("idle");
        assert_eq!(record["per_second"].is_null(), silent, "{record}");
        assert_eq!(record["p99_ms"].is_null(), silent, "{record}");
        for (kind, count) in record["wrong"].as_object().unwrap() {
            assert_eq!(count, 0, "{kind}: {record}");
        }
        assert_eq!(record["beside_p99_ms"].is_null(), scenario != "mixed");
        scenarios.push(scenario);
    }
    scenarios.dedup();
    assert_eq!(scenarios.len(), 20, "{scenarios:?}");
}

#[test]
fn a_server_that_does_not_start_is_named_and_the_others_go_on() {
    let output = compare(&format!(
        "{SMALL} --scenario echo --server axum --server broken=false:{{port}}"
    ));
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("server broken: cannot start false:"),
        "{error}"
    );
    assert!(error.contains("axum: "), "{error}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("| axum |"), "{report}");
}

#[test]
fn the_memory_layer_is_measured_in_every_way() {
    let mut command = Command::new(PROGRAM);
    let output = command.args(["layer", "--memory", "--messages", "1000", "--rounds", "1"]);
    let output = output.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = String::from_utf8_lossy(&output.stdout);
    for way in ["layer-batch", "layer-single", "layer-ping-pong"] {
        assert!(report.contains(way), "{report}");
    }
}

#[test]
fn every_join_of_a_topic_is_let_in_and_counted() {
    assert!(towpath_is_built(), "cargo build -p towpath");
    let mut command = Command::new(PROGRAM);
    let asked = "topics --rounds 1 --sockets 20 --topics 5 --settle-ms 10";
    let output = command.args(asked.split(' ')).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8_lossy(&output.stdout);
    let row: Vec<&str> = table.lines().last().unwrap().split(" | ").collect();
    assert_eq!(row[1..4], ["towpath", "20", "5"], "{table}");
    assert_eq!(row.last(), Some(&"0 |"), "{table}");
}
