//! Every scenario runs, small, against the peer: benchmarks that nobody runs rot.

use std::process::Command;

#[test]
fn every_scenario_measures_the_peer_and_finds_nothing_wrong() {
    let program = env!("CARGO_BIN_EXE_towpath-bench");
    let output = Command::new(program)
        .args([
            "compare",
            "--rounds",
            "1",
            "--warmup-ms",
            "20",
            "--window-ms",
            "300",
        ])
        .args([
            "--echo-sockets",
            "5",
            "--subscribers",
            "7",
            "--rooms",
            "3",
            "--connections",
            "70",
        ])
        .arg("--server")
        .arg(format!("peer={program} peer --listen 127.0.0.1:{{port}}"))
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let scenarios: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    let all = [
        "echo",
        "echo-rate",
        "fanout",
        "fanout-rate",
        "rooms",
        "connect",
        "idle",
    ];
    assert_eq!(scenarios, all, "{table}");
    for row in rows {
        assert_eq!(row[11], "none", "{table}");
        assert_eq!(row[3] == "-", row[1] == "idle", "{table}");
    }
}

#[test]
fn a_server_that_does_not_start_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_towpath-bench"))
        .args([
            "compare",
            "--scenario",
            "echo",
            "--server",
            "broken=false {port}",
        ])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("broken") && error.contains("before it accepted"),
        "{error}"
    );
}
