//! What a configuration is made of, and what is said of a wrong one.
#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use towpath::config::{Config, Flag, Loaded, Setting, Sources};

fn flag(name: &'static str, key: &str, value: &str) -> Flag {
    Flag {
        name,
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn file(text: &str) -> Sources {
    Sources::new().file("towpath.toml", text)
}

fn settings(loaded: &Loaded) -> BTreeMap<String, Setting> {
    let settings = loaded.settings().into_iter();
    settings
        .map(|setting| (setting.key.clone(), setting))
        .collect()
}

#[track_caller]
fn refused(sources: &Sources, said: &str) {
    let error = sources.load().unwrap_err();
    assert_eq!(error.to_string(), said.trim_start());
}

#[test]
fn nothing_configured_is_the_default() {
    let loaded = Sources::new().load().unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(
        loaded
            .settings()
            .iter()
            .all(|setting| setting.origin == "default")
    );
    assert_eq!(
        loaded.config.server.listen,
        SocketAddr::from(([127, 0, 0, 1], 8000))
    );
}

#[test]
fn each_source_overrides_the_one_before_key_by_key() {
    let sources = file(
        "[server]\nlisten = \"127.0.0.1:1\"\nshards = 1\nfragments_max = 1\nping_interval = \"1m\"",
    )
    .variable("TOWPATH__SERVER__LISTEN", "127.0.0.1:2")
    .variable("TOWPATH__SERVER__SHARDS", "2")
    .flags([flag("--listen", "server.listen", "127.0.0.1:3")]);
    let loaded = sources.load().unwrap();
    let settings = settings(&loaded);
    let shown = |key: &str| {
        let setting = settings.get(key).unwrap();
        (setting.value.clone().unwrap(), setting.origin.clone())
    };
    for (key, value, origin) in [
        ("server.listen", "\"127.0.0.1:3\"", "--listen"),
        ("server.shards", "2", "TOWPATH__SERVER__SHARDS"),
        ("server.fragments_max", "1", "towpath.toml:4"),
        ("server.ping_interval", "\"1m\"", "towpath.toml:5"),
        ("server.pong_timeout", "\"10s\"", "default"),
    ] {
        assert_eq!(shown(key), (value.to_owned(), origin.to_owned()), "{key}");
    }
    assert_eq!(loaded.config.server.listen.port(), 3);
    assert_eq!(loaded.config.server.ping_interval, Duration::from_mins(1));
}

#[cfg(feature = "redis")]
#[test]
fn each_kind_of_value_can_stand_in_a_variable() {
    let loaded = Sources::new()
        .variable(
            "TOWPATH__SERVER__ORIGINS",
            "https://a.example, https://b.example:8443",
        )
        .variable("TOWPATH__SERVER__OUTBOX_BYTES_MAX", "1_000_000")
        .variable("TOWPATH__WORKER__ONLY", "thumbnails.*,websocket.*")
        .variable("TOWPATH__OPERATOR__LISTEN", "off")
        .variable("TOWPATH__LAYERS__DEFAULT__KIND", "redis")
        .variable(
            "TOWPATH__LAYERS__DEFAULT__URL",
            "redis://:secret@127.0.0.1:6379",
        )
        .variable(
            "TOWPATH__LAYERS__DEFAULT__CAPACITY_RULES",
            "[{ channel = \"a.*\", messages = 7 }]",
        )
        .load()
        .unwrap();
    let chosen = &loaded.config;
    let origins = ["https://a.example", "https://b.example:8443"].map(str::to_owned);
    assert_eq!(
        chosen.server.origins,
        towpath::config::Origins::List(origins.to_vec())
    );
    assert_eq!(chosen.server.outbox_bytes_max, 1_000_000);
    assert_eq!(chosen.worker.only.len(), 2);
    assert_eq!(chosen.operator.listen, towpath::config::Listener::Off);
    let layer = chosen.layers.get("default").unwrap();
    assert_eq!(layer.kind, towpath::config::LayerKind::Redis);
    assert_eq!(layer.limits().capacity.get("a.b"), 7);
    assert_eq!(layer.limits().capacity.get("websocket.receive"), 100);
    let settings = settings(&loaded);
    let url = settings.get("layers.default.url").unwrap();
    assert_eq!(
        url.value.as_deref(),
        Some("\"redis://:***@127.0.0.1:6379\"")
    );
}

#[cfg(feature = "redis")]
#[test]
fn several_layers_stand_beside_the_default() {
    let loaded = file("[layers.jobs]\nkind = \"redis\"\nurl = \"redis://h\"\nexpiry = \"10m\"")
        .load()
        .unwrap();
    let layers = &loaded.config.layers;
    assert_eq!(layers.keys().collect::<Vec<_>>(), ["default", "jobs"]);
    assert_eq!(layers.get("jobs").unwrap().expiry, Duration::from_mins(10));
    assert_eq!(layers.get("jobs").unwrap().capacity, 100);
    let settings = settings(&loaded);
    assert_eq!(
        settings.get("layers.jobs.expiry").unwrap().origin,
        "towpath.toml:4"
    );
    assert_eq!(
        settings.get("layers.default.expiry").unwrap().origin,
        "default"
    );
}

#[test]
fn a_repeated_flag_is_one_list() {
    let loaded = Sources::new()
        .variable("TOWPATH__WORKER__ONLY", "x.*")
        .flags(["a.*", "b.*"].map(|glob| flag("--only", "worker.only", glob)))
        .load()
        .unwrap();
    let only: Vec<&str> = loaded
        .config
        .worker
        .only
        .iter()
        .map(|glob| glob.as_str())
        .collect();
    assert_eq!(only, ["a.*", "b.*"]);
}

#[test]
fn an_unknown_variable_is_warned_about() {
    let loaded = Sources::new()
        .variable("TOWPATH__SERVER__PING_INTERVALL", "25s")
        .variable("TOWPATH__SERVER", "x")
        .variable("PATH", "/bin")
        .load()
        .unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "TOWPATH__SERVER is not a known variable; the closest is TOWPATH__SERVER__LISTEN",
            "TOWPATH__SERVER__PING_INTERVALL is not a known variable; \
             the closest is TOWPATH__SERVER__PING_INTERVAL",
        ]
    );
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    refused(
        &file("[server]\n\nping_intervall = \"25s\"\n"),
        "
towpath.toml:3: server.ping_intervall is not a key
  expected: a known key; the closest is server.ping_interval
  to do: correct the name, or remove the line; `config docs` lists all keys",
    );
    refused(
        &file("[servers]\nlisten = \"127.0.0.1:1\"\n"),
        "
towpath.toml:1: servers is not a key
  expected: a known section; the closest is [server]
  to do: correct the name, or remove the line; `config docs` lists all keys",
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_line() {
    refused(
        &file("[server]\nping_interval = 'soon'\n"),
        "
towpath.toml:2: server.ping_interval = \"soon\" does not fit
  expected: a duration above zero, such as \"500ms\", \"30s\" or \"2m\"
  to do: correct it, or leave it out for the default, \"25s\"",
    );
    refused(
        &file("[server]\nshards = -1\n[layers.default]\nkind = \"kafka\""),
        "
towpath.toml:4: layers.default.kind = \"kafka\" does not fit
  expected: one of \"memory\", \"redis\"
  to do: correct it, or leave it out for the default, \"memory\"
towpath.toml:2: server.shards = -1 does not fit
  expected: a whole number, at least 0
  to do: correct it, or leave it out for the default, 0",
    );
}

#[test]
fn a_wrong_rule_is_refused_with_its_own_line() {
    refused(
        &file(
            "[layers.default]\ncapacity_rules = [\n  { channel = \"a\", messages = 1 },\n  { channel = \"b\" },\n]",
        ),
        "
towpath.toml:4: layers.default.capacity_rules = [{ channel = \"a\", messages = 1 }, { channel = \"b\" }] does not fit: missing field `messages`
  expected: a list of rules, such as [{ channel = \"thumbnails.*\", messages = 1000 }]
  to do: correct it, or leave it out for the default, [{ channel = \"websocket.*\", messages = 10000 }]",
    );
}

#[test]
fn a_wrong_variable_and_a_wrong_flag_are_named() {
    refused(
        &Sources::new()
            .variable("TOWPATH__SERVER__SHARDS", "many")
            .flags([flag("--listen", "server.listen", "8000")]),
        "
--listen: server.listen = \"8000\" does not fit
  expected: an IP address and port, such as \"127.0.0.1:8000\"
  to do: correct it, or leave it out for the default, \"127.0.0.1:8000\"
TOWPATH__SERVER__SHARDS: server.shards = \"many\" does not fit
  expected: a whole number, at least 0
  to do: correct it, or leave it out for the default, 0",
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    refused(
        &file("[server]\nlisten = \n"),
        "
towpath.toml:2: is not TOML: string values must be quoted, expected literal string
  expected: TOML 1.0, such as listen = \"127.0.0.1:8000\" below [server]
  to do: correct the line",
    );
    refused(
        &file("server = 1\n"),
        "
towpath.toml:1: server is not a table
  expected: keys below [server]
  to do: write the keys of the section below its head",
    );
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let error = Sources::new()
        .read_file("not-there.toml".as_ref())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "not-there.toml: cannot be read: No such file or directory (os error 2)\n  \
         expected: a TOML file\n  \
         to do: correct the path behind --config, or leave --config out"
    );
}

#[test]
fn values_out_of_bounds_are_refused() {
    refused(
        &file(
            "[server]\nconnect_timeout = \"0s\"\n[worker]\nconcurrency = 0\ndrain_timeout = \"0s\"",
        ),
        "
towpath.toml:2: server.connect_timeout = \"0s\" is too small
  expected: a duration above zero, such as \"500ms\", \"30s\" or \"2m\"
  to do: correct it, or leave it out for the default, \"5s\"
towpath.toml:4: worker.concurrency = 0 is too small
  expected: a whole number, at least 1
  to do: correct it, or leave it out for the default, 256",
    );
    refused(
        &file("[layers.default]\ncapacity_rules = [{ channel = \"*\", messages = 0 }]"),
        "
towpath.toml:2: layers.default.capacity_rules = [{ channel = \"*\", messages = 0 }] holds a rule that lets nothing wait
  expected: a list of rules, such as [{ channel = \"thumbnails.*\", messages = 1000 }]
  to do: correct it, or leave it out for the default, [{ channel = \"websocket.*\", messages = 10000 }]",
    );
}

#[test]
fn globs_that_no_name_can_match_are_refused() {
    refused(
        &file("[worker]\nonly = [\"jobs.*\", \"jobs/*\"]"),
        "
towpath.toml:2: worker.only = [\"jobs.*\", \"jobs/*\"] holds \"jobs/*\", but no channel's name has '/'
  expected: a list of globs, such as [\"thumbnails.*\"]
  to do: correct it, or leave it out for the default, []",
    );
    refused(
        &file("[layers.default]\nexpiry_rules = [{ channel = \"a b\", expiry = \"1s\" }]"),
        "
towpath.toml:2: layers.default.expiry_rules = [{ channel = \"a b\", expiry = \"1s\" }] holds \"a b\", but no channel's name has ' '
  expected: a list of rules, such as [{ channel = \"thumbnails.*\", expiry = \"10m\" }]
  to do: correct it, or leave it out for the default, []",
    );
}

#[cfg(feature = "redis")]
#[test]
fn keys_that_contradict_each_other_are_refused() {
    refused(
        &file(
            "[server]\nmessage_size_max = 2_000_000\n[worker]\ntaken_after = \"1m\"\n[layers.default]\nlease = \"20ms\"",
        ),
        "
towpath.toml:2: server.message_size_max = 2000000 lets in messages that the layer does not carry
  expected: at most layers.default.message_size_max, 1048576
  to do: correct it, or leave it out for the default, 1048576
towpath.toml:4: worker.taken_after = \"1m\" comes after the consumer has been cancelled
  expected: less than worker.consumer_timeout
  to do: correct it, or leave it out for the default, \"250ms\"
towpath.toml:6: layers.default.lease = \"20ms\" is too short
  expected: at least \"1s\": it is renewed at a third
  to do: correct it, or leave it out for the default, \"15s\"",
    );
    refused(
        &file("[layers.default]\nkind = \"redis\""),
        "
default: layers.default.url is missing, and redis needs it
  expected: a URL, such as \"redis://127.0.0.1:6379\"
  to do: set layers.default.url, or use --layer redis://127.0.0.1:6379",
    );
    refused(
        &file("[layers.default]\nurl = \"redis://me:secret@h\""),
        "
towpath.toml:2: layers.default.url = \"redis://me:***@h\" is set, but the layer is in memory
  expected: layers.default.kind = \"redis\" beside it
  to do: set layers.default.kind, or leave the URL out",
    );
    refused(
        &file(
            "[layers.default]\nkind = \"redis\"\nurl = \"rediss://me:secret@h\"\nprefix = \"a b\"",
        ),
        "
towpath.toml:4: layers.default.prefix = \"a b\" cannot begin a key
  expected: 1 to 99 letters, digits, '-', '_' or '.'
  to do: correct it, or leave it out for the default, \"towpath\"
towpath.toml:3: layers.default.url = \"rediss://me:***@h\" is not the URL of a Redis
  expected: redis://[user:password@]host[:port][/database] or redis+unix:///path
  to do: correct it, or leave it out",
    );
    refused(
        &file("[server]\nshards = 257"),
        "
towpath.toml:2: server.shards = 257 is too large
  expected: a whole number from 0 to 256
  to do: correct it, or leave it out for the default, 0",
    );
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_backend_that_is_not_built_in_is_refused() {
    refused(
        &file("[layers.default]\nkind = \"redis\"\nurl = \"redis://h\""),
        "
towpath.toml:2: layers.default.kind = \"redis\" is not built into this program
  expected: \"memory\"
  to do: build towpath with its `redis` feature",
    );
}

#[test]
fn a_layer_in_memory_is_refused_where_other_processes_are_needed() {
    let loaded = file("[layers.default]\nkind = \"memory\"").load().unwrap();
    assert_eq!(
        loaded
            .require_shared("default", "worker")
            .unwrap_err()
            .to_string(),
        "towpath.toml:2: layers.default.kind = \"memory\" stays inside one process, \
         so `worker` would reach no other\n  \
         expected: a layer between processes, such as redis\n  \
         to do: add --layer redis://127.0.0.1:6379; `serve` alone can use memory"
    );
    assert_eq!(
        loaded
            .require_shared("jobs", "layer")
            .unwrap_err()
            .to_string(),
        "default: layers.jobs is not configured\n  \
         expected: one of default\n  \
         to do: correct the name, or configure the layer"
    );
}

#[test]
fn a_wrong_log_filter_is_refused() {
    refused(
        &file("[log]\nfilter = \"towpath=loud\""),
        "
towpath.toml:2: log.filter = \"towpath=loud\" is not a filter: error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5
  expected: levels by target, such as \"info\" or \"info,towpath_worker=debug\"
  to do: correct it, or leave it out for the default, \"info\"",
    );
}

#[test]
fn a_wrong_origin_is_refused() {
    for origins in [
        "\"none\"",
        "[\"example.org\"]",
        "[\"https://example.org/\"]",
        "7",
    ] {
        let error = file(&format!("[server]\norigins = {origins}"))
            .load()
            .unwrap_err();
        let said = error.to_string();
        assert!(said.contains("towpath.toml:2: server.origins = "), "{said}");
        assert!(
            said.contains("expected: \"same-host\", \"*\" or a list of origins"),
            "{said}"
        );
    }
}

#[test]
fn the_reference_page_is_that_of_the_code() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let written = std::fs::read_to_string(page).unwrap();
    assert_eq!(
        written,
        Config::reference(),
        "refresh it: cargo run -p towpath -- config docs > docs/configuration.md"
    );
}

#[test]
fn an_interface_that_nobody_guards_is_refused() {
    refused(
        &file("[api]\nlisten = \"127.0.0.1:8002\"\n"),
        "\
default: api.tokens = [] is empty, and api.listen needs a token
  expected: a list of one or more texts of 16 to 1024 letters, digits or -._~+/=
  to do: set api.tokens, to what `openssl rand -hex 32` prints for example, or leave api.listen out",
    );
}

#[test]
fn a_token_is_checked_and_never_shown() {
    for token in ["hidden", "hidden and with spaces in it"] {
        let sources = Sources::new().variable("TOWPATH__API__TOKENS", token);
        let said = sources.load().unwrap_err().to_string();
        assert!(
            said.contains("api.tokens") && !said.contains("hidden"),
            "{said}"
        );
    }
    let sources = Sources::new()
        .variable(
            "TOWPATH__API__TOKENS",
            "hidden-hidden-one,hidden-hidden-two",
        )
        .variable("TOWPATH__API__LISTEN", "127.0.0.1:8002");
    let loaded = sources.load().unwrap();
    assert_eq!(loaded.config.api.tokens.len(), 2);
    let shown = &settings(&loaded)["api.tokens"].value;
    assert_eq!(shown.as_deref(), Some("[\"***\", \"***\"]"));
    assert!(!format!("{:?}", loaded.config).contains("hidden"));
}

#[test]
fn an_interface_of_a_layer_that_is_not_there_is_refused() {
    let said = file("[api]\nlayer = \"jobs\"\n").load().unwrap_err();
    let said = said.to_string();
    assert!(
        said.contains("api.layer = \"jobs\" names no layer"),
        "{said}"
    );
    assert!(said.contains("one of default"), "{said}");
}
