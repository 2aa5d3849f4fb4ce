//! Configurations that cannot be used: exit code 64, and nothing was begun.

use anyhow::{Context, Result, ensure};

use super::Scene;
use crate::process::run_with;

/// What a table of wrong values says of one: the key as the operator wrote
/// it, the value, and what was expected.
struct Wrong {
    section: &'static str,
    key: &'static str,
    /// As in TOML.
    value: &'static str,
    expected: &'static str,
}

const fn wrong(
    section: &'static str,
    key: &'static str,
    value: &'static str,
    expected: &'static str,
) -> Wrong {
    Wrong {
        section,
        key,
        value,
        expected,
    }
}

const TABLE: [Wrong; 16] = [
    wrong("server", "listen", "\"8000\"", "an IP address and port"),
    wrong("server", "shards", "\"many\"", "a whole number"),
    wrong("server", "shards", "-1", "a whole number, at least 0"),
    wrong("server", "origins", "\"none\"", "\"same-host\", \"*\""),
    wrong("server", "header_timeout", "\"soon\"", "a duration"),
    wrong("server", "header_timeout", "\"0s\"", "above zero"),
    wrong("server", "frame_size_max", "\"1 MiB\"", "bytes"),
    wrong("server", "slow_policy", "\"wait\"", "\"close\", \"drop\""),
    wrong("server", "on_lost", "\"shrug\"", "\"ignore\", \"close\""),
    wrong("worker", "concurrency", "0", "a whole number, at least 1"),
    wrong("worker", "taken_after", "\"1h\"", "worker.consumer_timeout"),
    wrong(
        "layers.default",
        "kind",
        "\"kafka\"",
        "\"memory\", \"redis\"",
    ),
    wrong(
        "layers.default",
        "capacity",
        "0",
        "a whole number, at least 1",
    ),
    wrong("layers.default", "lease", "\"20ms\"", "at least \"1s\""),
    wrong("operator", "listen", "\"yes\"", "an IP address and port"),
    wrong("log", "format", "\"xml\"", "\"auto\", \"text\", \"json\""),
];

/// The process ends with 64 and says all of this; nothing on standard output.
async fn refused(arguments: &[&str], variables: &[(&str, &str)], said: &[&str]) -> Result<()> {
    let output = run_with(arguments, variables).await?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure!(
        output.status.code() == Some(64),
        "{arguments:?} {variables:?}: {}: {stderr}",
        output.status
    );
    ensure!(output.stdout.is_empty(), "{arguments:?}: {stderr}");
    for part in said {
        ensure!(
            stderr.contains(part),
            "{arguments:?} {variables:?}: no {part:?} in:\n{stderr}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_value_in_the_file_is_refused_with_its_line() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    let file = tempfile::NamedTempFile::with_suffix(".toml")?;
    let path = file.path().to_str().context("no path")?;
    // It would listen where the scene does, if it came so far: that is code 1.
    let address = scene.address.clone();
    for case in &TABLE {
        let text = format!(
            "# wrong\n[{}]\n{} = {}\n",
            case.section, case.key, case.value
        );
        std::fs::write(file.path(), text)?;
        let said = [
            &format!("{path}:3: {}.{} = {}", case.section, case.key, case.value),
            case.expected,
            "to do: ",
        ];
        let mut arguments = vec!["serve", "--config", path];
        if (case.section, case.key) != ("server", "listen") {
            arguments.extend(["--listen", &address]);
        }
        refused(&arguments, &[], &said.map(AsRef::as_ref)).await?;
    }
    scene.untouched().await
}

#[tokio::test]
async fn a_wrong_variable_is_refused_by_its_name() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    for case in &TABLE {
        let section = case.section.replace('.', "__").to_uppercase();
        let variable = format!("TOWPATH__{section}__{}", case.key.to_uppercase());
        let value = case.value.trim_matches('"');
        let said = [
            &format!("{variable}: {}.{} = ", case.section, case.key),
            value,
            case.expected,
        ];
        let variables = [(variable.as_str(), value)];
        refused(&["serve"], &variables, &said.map(AsRef::as_ref)).await?;
    }
    scene.untouched().await
}

#[tokio::test]
async fn a_wrong_flag_is_refused_by_its_name() -> Result<()> {
    let mut scene = Scene::start(&[]).await?;
    for (arguments, said) in [
        (
            &["serve", "--listen", "nowhere"][..],
            &[
                "--listen: server.listen = \"nowhere\"",
                "expected: an IP address",
            ][..],
        ),
        (
            &["serve", "--listen", "127.0.0.1:65536"],
            &["--listen: server.listen = \"127.0.0.1:65536\""],
        ),
        (
            &["serve", "--layer", "kafka://localhost"],
            &["--layer: layers.default.kind = \"kafka\"", "\"redis\""],
        ),
        (
            &["serve", "--layer", "redis://"],
            &[
                "--layer: layers.default.url = \"redis://\"",
                "redis://[user",
            ],
        ),
        (
            &[
                "worker",
                "--concurrency",
                "none",
                "--layer",
                "redis://localhost",
            ],
            &["--concurrency: worker.concurrency = \"none\"", "at least 1"],
        ),
        (&["serve", "--loud"], &["unexpected argument '--loud'"]),
        (&["sing"], &["unrecognized subcommand 'sing'"]),
        (
            &["serve", "--config", "not-there.toml"],
            &["not-there.toml: cannot be read", "--config"],
        ),
    ] {
        refused(arguments, &[], said).await?;
    }
    scene.untouched().await
}
