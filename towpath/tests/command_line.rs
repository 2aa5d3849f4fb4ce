//! The program as an operator types it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

#[cfg(feature = "redis")]
use serde_json::Value;

fn towpath(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.args(arguments);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(command: &mut Command, said: &str) {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains(said), "{stderr}");
    assert_eq!(output.stdout, b"");
}

#[test]
fn a_wrong_configuration_ends_every_command_with_64() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[server]\nping_intervall = \"1s\"\n").unwrap();
    let path = file.path().to_str().unwrap();
    let said = format!(
        "the configuration cannot be used\n\
         {path}:2: server.ping_intervall is not a key\n  \
         expected: a known key; the closest is server.ping_interval\n  \
         to do: correct the name, or remove the line; `config docs` lists all keys\n"
    );
    for command in [
        &["serve"][..],
        &["interface"],
        &["worker"],
        &["layer", "stats"],
        &["config", "check"],
        &["config", "show"],
    ] {
        refused(towpath(command).args(["--config", path]), &said);
    }
}

#[test]
fn a_wrong_flag_or_variable_ends_with_64() {
    refused(
        &mut towpath(&["--listen", "8000"]),
        "--listen: server.listen = \"8000\" does not fit\n  expected: an IP address and port",
    );
    refused(
        &mut towpath(&["--layer", "kafka://localhost"]),
        "--layer: layers.default.kind = \"kafka\" does not fit\n  expected: one of \"memory\", \"redis\"",
    );
    refused(
        towpath(&["serve"]).env("TOWPATH__SERVER__SHARDS", "many"),
        "TOWPATH__SERVER__SHARDS: server.shards = \"many\" does not fit",
    );
    refused(
        &mut towpath(&["serve", "--loud"]),
        "unexpected argument '--loud'",
    );
    refused(&mut towpath(&["sing"]), "unrecognized subcommand 'sing'");
}

#[test]
fn what_needs_other_processes_is_refused_on_memory() {
    for (command, name) in [
        (&["interface"][..], "interface"),
        (&["worker"], "worker"),
        (&["layer", "flush"], "layer"),
        (&["topic", "disconnect", "user:7"], "topic"),
    ] {
        let said = format!(
            "default: layers.default.kind = \"memory\" stays inside one process, \
             so `{name}` would reach no other"
        );
        refused(&mut towpath(command), &said);
    }
    refused(
        &mut towpath(&["layer", "stats", "--name", "jobs"]),
        "default: layers.jobs is not configured",
    );
}

#[cfg(feature = "redis")]
#[test]
fn the_configuration_is_shown_with_its_origins() {
    let output = towpath(&["config", "show", "--json", "--layer", "redis://:secret@h"])
        .env("TOWPATH__WORKER__CONCURRENCY", "7")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!stdout(&output).contains("secret"));
    let settings: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let shown = |key: &str| {
        let settings = settings.as_array().unwrap().iter();
        let found: Vec<&Value> = settings.filter(|setting| setting["key"] == key).collect();
        assert_eq!(found.len(), 1, "{key}");
        (found[0]["value"].clone(), found[0]["origin"].clone())
    };
    let text = |text: &str| Value::from(text);
    assert_eq!(
        shown("worker.concurrency"),
        (text("7"), text("TOWPATH__WORKER__CONCURRENCY"))
    );
    assert_eq!(
        shown("layers.default.url"),
        (text("\"redis://:***@h\""), text("--layer"))
    );
    assert_eq!(shown("server.shards"), (text("0"), text("default")));
}

#[test]
fn the_configuration_is_shown_in_columns() {
    let output = towpath(&["config", "show"]).output().unwrap();
    let text = stdout(&output);
    let line = text
        .lines()
        .find(|line| line.starts_with("server.shards "))
        .unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells, ["server.shards", "0", "default"]);
    let unset = text
        .lines()
        .find(|line| line.starts_with("layers.default.url "))
        .unwrap();
    assert!(unset.contains("unset"), "{unset}");
}

#[test]
fn a_configuration_in_order_is_called_so_and_odd_variables_are_named() {
    let output = towpath(&["config", "check"])
        .env("TOWPATH__SERVER__SHARD", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output), "the configuration is in order\n");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "warning: TOWPATH__SERVER__SHARD is not a known variable; \
         the closest is TOWPATH__SERVER__SHARDS\n"
    );
}

#[test]
fn help_and_version_are_no_failures() {
    for (arguments, part) in [
        (&["--help"][..], "Serves WebSockets"),
        (&["layer", "--help"], "group-send"),
        (&["topic", "--help"], "disconnect"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let output = towpath(arguments).output().unwrap();
        assert!(
            output.status.success() && stdout(&output).contains(part),
            "{output:?}"
        );
    }
}

#[test]
fn whoever_starts_it_is_told_where_the_chat_is() {
    let mut process = towpath(&["--listen", "127.0.0.1:0"])
        .env("TOWPATH__OPERATOR__LISTEN", "off")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let read = stdout.read_line(&mut line);
    process.kill().unwrap();
    process.wait().unwrap();
    read.unwrap();
    let address = line
        .trim()
        .strip_prefix("The chat is at http://127.0.0.1:")
        .unwrap();
    assert!(
        address.trim_end_matches('/').parse::<u16>().unwrap() > 0,
        "{line}"
    );
}

#[test]
fn an_address_that_is_taken_ends_with_1_and_the_reason() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = towpath(&["--listen", &address])
        .env("TOWPATH__LOG__FILTER", "off")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let said = format!("error: {address} cannot be listened on: Address already in use");
    assert!(stderr.starts_with(&said), "{stderr}");
}
