//! Every scenario runs, small, against the peer: benchmarks that nobody runs rot.

use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_towpath-bench");

fn compare(options: &str, server: &str) -> std::io::Result<Output> {
    let options = options.split_whitespace();
    let mut command = Command::new(PROGRAM);
    command
        .arg("compare")
        .args(options)
        .args(["--server", server]);
    command.output()
}

#[test]
fn every_scenario_measures_the_peer_and_finds_nothing_wrong() {
    let output = compare(
        "--scenario echo,echo-rate,fan-out-1k,fan-out-rate-1k,rooms-200,connect,idle-10k \
         --rounds 1 --warmup-ms 20 --window-ms 300 --echo-sockets 5 --subscribers 7 --rooms 3 \
         --connections 70",
        &format!("peer={PROGRAM} peer --listen 127.0.0.1:{{port}}"),
    )
    .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let table = String::from_utf8_lossy(&output.stdout);
    let mut scenarios = Vec::new();
    for line in table.lines().skip(2) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(cells[3] == "-", cells[1] == "idle-10k", "{table}");
        assert_eq!(cells[12], "none", "{table}");
        scenarios.push(cells[1]);
    }
    let all = "echo echo-rate fan-out-1k fan-out-rate-1k rooms-200 connect idle-10k";
    assert_eq!(scenarios.join(" "), all);
}

#[test]
fn a_server_that_does_not_start_is_named() {
    let output = compare("--scenario echo", "broken=false {port}").unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("server broken"), "{error}");
    assert!(error.contains("before it accepted"), "{error}");
}
