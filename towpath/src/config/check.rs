//! What must hold between keys, and of values beyond their type.

use std::time::Duration;

use towpath_interface_server::{TokenError, Tokens};
use towpath_layer_core::{Glob, GroupName};
use tracing_subscriber::EnvFilter;

use super::section::{Field, Kind};
use super::{
    ApiListener, Config, ConfigError, DEFAULT_LAYER, LayerKind, Loaded, Origin, Problem, Secret,
    keys, load, show,
};

/// The most threads that own sockets: a connection's number has a byte for its.
const SHARDS_MAX: usize = 256;

/// Everything that is wrong with values that have the right types.
pub(crate) fn check(loaded: &Loaded) -> Vec<Problem> {
    let mut problems = bounds(loaded);
    // Between values that are out of bounds, a comparison says nothing new.
    if problems.is_empty() {
        problems.extend(log(loaded));
        problems.extend(shards(loaded));
        problems.extend(sizes(loaded));
        problems.extend(times(loaded));
        problems.extend(layers(loaded));
        problems.extend(api(loaded));
    }
    problems
}

impl Loaded {
    /// Refuses a layer that stays inside one process, for a command that is one
    /// half of a deployment, or that looks at a layer from outside.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the layer of that name is in memory.
    pub fn require_shared(&self, layer: &str, command: &str) -> Result<(), ConfigError> {
        let key = format!("layers.{layer}.kind");
        match self.config.layers.get(layer).map(|layer| layer.kind) {
            Some(LayerKind::Redis) => Ok(()),
            Some(LayerKind::Memory) => Err(Problem {
                expected: "a layer between processes, such as redis".to_owned(),
                remedy: "add --layer redis://127.0.0.1:6379; `serve` alone can use memory"
                    .to_owned(),
                ..problem(
                    self,
                    &key,
                    &format!("stays inside one process, so `{command}` would reach no other"),
                )
            }
            .into()),
            None => Err(Problem {
                expected: format!("one of {}", self.layer_names()),
                remedy: "correct the name, or configure the layer".to_owned(),
                ..problem(self, &format!("layers.{layer}"), "is not configured")
            }
            .into()),
        }
    }

    fn layer_names(&self) -> String {
        let names = self.config.layers.keys().map(String::as_str);
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A problem with the value of a key.
fn problem(loaded: &Loaded, key: &str, reason: &str) -> Problem {
    let field = keys::field(key);
    let kind = field.map_or(Kind::Text, |field| field.kind);
    let value = show::get(&show::tree(&loaded.config), key).cloned();
    Problem {
        origin: loaded.origin(key),
        subject: value.map_or_else(
            || key.to_owned(),
            |value| show::assignment(key, kind, &value),
        ),
        reason: reason.to_owned(),
        expected: kind.expected(),
        remedy: load::remedy(key, field),
    }
}

/// Values below what their kind allows.
fn bounds(loaded: &Loaded) -> Vec<Problem> {
    let tree = show::tree(&loaded.config);
    let mut problems = Vec::new();
    for (key, value) in loaded
        .chosen()
        .filter_map(|key| Some((key, show::get(&tree, key)?)))
    {
        let Some(Field { kind, .. }) = keys::field(key) else {
            continue;
        };
        let least = match kind {
            Kind::Count(least) => i64::try_from(*least).unwrap_or(i64::MAX),
            Kind::Bytes => 1,
            _ => i64::MIN,
        };
        let zero_time = *kind == Kind::Duration && is_zero(value);
        let empty_rule =
            matches!(kind, Kind::Capacities | Kind::Expiries) && rules_hold_zero(value);
        if value.as_integer().is_some_and(|value| value < least) || zero_time {
            problems.push(problem(loaded, key, "is too small"));
        } else if empty_rule {
            problems.push(problem(loaded, key, "holds a rule that lets nothing wait"));
        } else if let Some((glob, foreign)) = impossible_glob(*kind, value) {
            let reason = format!("holds {glob:?}, but no channel's name has {foreign:?}");
            problems.push(problem(loaded, key, &reason));
        }
    }
    problems
}

/// A glob that no name can match, and the character that is the reason.
fn impossible_glob(kind: Kind, value: &toml::Value) -> Option<(&str, char)> {
    let globs = match kind {
        Kind::Globs | Kind::Capacities | Kind::Expiries => value.as_array()?,
        _ => return None,
    };
    globs.iter().find_map(|glob| {
        let glob = glob.as_str().or_else(|| glob.get("channel")?.as_str())?;
        let foreign = Glob::new(glob).foreign_character()?;
        Some((glob, foreign))
    })
}

fn is_zero(value: &toml::Value) -> bool {
    let parsed = value
        .as_str()
        .map(humantime_serde::re::humantime::parse_duration);
    matches!(parsed, Some(Ok(Duration::ZERO)))
}

fn rules_hold_zero(value: &toml::Value) -> bool {
    let rules = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table);
    rules
        .flatten()
        .any(|(_, value)| value.as_integer() == Some(0) || is_zero(value))
}

fn log(loaded: &Loaded) -> Option<Problem> {
    let error = EnvFilter::try_new(&loaded.config.log.filter).err()?;
    Some(Problem {
        expected: "levels by target, such as \"info\" or \"info,towpath_worker=debug\"".to_owned(),
        ..problem(loaded, "log.filter", &format!("is not a filter: {error}"))
    })
}

fn shards(loaded: &Loaded) -> Option<Problem> {
    (loaded.config.server.shards > SHARDS_MAX).then(|| Problem {
        expected: format!("a whole number from 0 to {SHARDS_MAX}"),
        ..problem(loaded, "server.shards", "is too large")
    })
}

fn sizes(loaded: &Loaded) -> Option<Problem> {
    let Config { server, layers, .. } = &loaded.config;
    let layer_max = layers.get(DEFAULT_LAYER)?.message_size_max;
    (server.message_size_max > layer_max).then(|| Problem {
        expected: format!("at most layers.{DEFAULT_LAYER}.message_size_max, {layer_max}"),
        ..problem(
            loaded,
            "server.message_size_max",
            "lets in messages that the layer does not carry",
        )
    })
}

fn times(loaded: &Loaded) -> Vec<Problem> {
    let Config { worker, layers, .. } = &loaded.config;
    let mut problems = Vec::new();
    if worker.taken_after >= worker.consumer_timeout {
        problems.push(Problem {
            expected: "less than worker.consumer_timeout".to_owned(),
            ..problem(
                loaded,
                "worker.taken_after",
                "comes after the consumer has been cancelled",
            )
        });
    }
    for (name, layer) in layers {
        if layer.lease < Duration::from_secs(1) {
            problems.push(Problem {
                expected: "at least \"1s\": it is renewed at a third".to_owned(),
                ..problem(loaded, &format!("layers.{name}.lease"), "is too short")
            });
        }
    }
    problems
}

fn layers(loaded: &Loaded) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, layer) in &loaded.config.layers {
        let (kind, url) = (format!("layers.{name}.kind"), format!("layers.{name}.url"));
        if GroupName::new(&layer.prefix).is_err() {
            problems.push(Problem {
                expected: "1 to 99 letters, digits, '-', '_' or '.'".to_owned(),
                ..problem(
                    loaded,
                    &format!("layers.{name}.prefix"),
                    "cannot begin a key",
                )
            });
        }
        match (layer.kind, &layer.url) {
            (LayerKind::Redis, None) => problems.push(Problem {
                remedy: format!("set {url}, or use --layer redis://127.0.0.1:6379"),
                ..problem(loaded, &url, "is missing, and redis needs it")
            }),
            (LayerKind::Memory, Some(_)) if loaded.origin(&kind) == Origin::Default => {
                problems.push(Problem {
                    expected: format!("{kind} = \"redis\" beside it"),
                    remedy: format!("set {kind}, or leave the URL out"),
                    ..problem(loaded, &url, "is set, but the layer is in memory")
                });
            }
            (LayerKind::Redis, Some(_)) if cfg!(not(feature = "redis")) => {
                problems.push(Problem {
                    expected: "\"memory\"".to_owned(),
                    remedy: "build towpath with its `redis` feature".to_owned(),
                    ..problem(loaded, &kind, "is not built into this program")
                });
            }
            (LayerKind::Redis, Some(address)) if !is_redis_url(address) => {
                problems.push(Problem {
                    expected:
                        "redis://[user:password@]host[:port][/database] or redis+unix:///path"
                            .to_owned(),
                    ..problem(loaded, &url, "is not the URL of a Redis")
                });
            }
            _ => {}
        }
    }
    problems
}

/// An interface that anybody could use, or that has no layer.
fn api(loaded: &Loaded) -> Vec<Problem> {
    let Config { api, layers, .. } = &loaded.config;
    let mut problems = Vec::new();
    let tokens = Tokens::new(api.tokens.iter().map(Secret::expose));
    let expected = "a list of one or more texts of 16 to 1024 letters, digits or -._~+/=";
    match tokens {
        Err(TokenError::Missing) if api.listen == ApiListener::Off => {}
        Err(TokenError::Missing) => problems.push(Problem {
            expected: expected.to_owned(),
            remedy: "set api.tokens, to what `openssl rand -hex 32` prints for example, \
                     or leave api.listen out"
                .to_owned(),
            ..problem(
                loaded,
                "api.tokens",
                "is empty, and api.listen needs a token",
            )
        }),
        Err(error) => problems.push(Problem {
            expected: expected.to_owned(),
            ..problem(loaded, "api.tokens", &format!("cannot be used: {error}"))
        }),
        Ok(_) => {}
    }
    if !layers.contains_key(&api.layer) {
        problems.push(Problem {
            expected: format!("one of {}", loaded.layer_names()),
            ..problem(loaded, "api.layer", "names no layer")
        });
    }
    problems
}

fn is_redis_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    matches!(scheme, "redis" | "redis+unix" | "unix") && !rest.is_empty()
}
