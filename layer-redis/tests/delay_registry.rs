//! The registry of what is delayed is never late, whoever looks at it when: its
//! scripts in the order in which two processes can run them.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use redis::Value;
use redis::aio::MultiplexedConnection;
use support::Place;
use towpath_layer_core::Limits;

const REGISTER: &str = include_str!("../src/scripts/delay_register.lua");
const CLAIM: &str = include_str!("../src/scripts/delay_claim.lua");
const RELEASE: &str = include_str!("../src/scripts/delay_release.lua");

const CLAIM_MS: i64 = 1_000;
const HOUR_MS: i64 = 3_600_000;
const NEVER: i64 = -1;

/// The registry on a Redis of its own.
struct Registry {
    admin: MultiplexedConnection,
    _place: Place,
}

impl Registry {
    async fn new() -> Self {
        let place = Place::new(Limits::default()).await;
        Self {
            admin: place.admin().await,
            _place: place,
        }
    }

    async fn run<T: redis::FromRedisValue>(&mut self, body: &str, arguments: &[&str]) -> T {
        let parts = [
            include_str!("../src/scripts/common.lua"),
            include_str!("../src/scripts/delayed.lua"),
            body,
        ];
        let mut call = redis::cmd("EVAL");
        call.arg(parts.join("\n"))
            .arg(2)
            .arg(&["{r}", "{r}:claims"]);
        call.arg(arguments);
        call.query_async(&mut self.admin).await.unwrap()
    }

    async fn register(&mut self, target: &str, delay_ms: i64) {
        let arguments = [target, &delay_ms.to_string(), "60000", "topic"];
        self.run::<Value>(REGISTER, &arguments).await;
    }

    /// How long until something else is due, and what was claimed.
    async fn claim(&mut self, token: &str) -> (i64, Vec<String>) {
        let claimed: Vec<String> = self.run(CLAIM, &[token, &CLAIM_MS.to_string(), "8"]).await;
        let (wait, targets) = claimed.split_first().unwrap();
        (wait.parse().unwrap(), targets.to_vec())
    }

    /// Returns how long until something is due.
    async fn release(&mut self, token: &str, target: &str, next: i64) -> i64 {
        let arguments = [token, target, &next.to_string()];
        self.run(RELEASE, &arguments).await
    }

    async fn now(&mut self) -> i64 {
        let question = redis::cmd("TIME");
        let time = question.query_async(&mut self.admin);
        let (seconds, micros): (i64, i64) = time.await.unwrap();
        seconds * 1_000 + micros / 1_000
    }
}

#[tokio::test]
async fn what_is_due_is_claimed_once_and_gone_when_nothing_is_left() {
    let mut registry = Registry::new().await;
    registry.register("work", 0).await;
    registry.register("later", HOUR_MS).await;
    let (wait, claimed) = registry.claim("a").await;
    assert_eq!(claimed, ["work"]);
    assert!((1..=CLAIM_MS).contains(&wait), "{wait}");
    assert!(registry.claim("b").await.1.is_empty(), "it is taken");
    let wait = registry.release("a", "work", NEVER).await;
    assert!((HOUR_MS - 5_000..=HOUR_MS).contains(&wait), "{wait}");
}

#[tokio::test]
async fn what_is_put_down_during_a_look_is_looked_at_again() {
    let mut registry = Registry::new().await;
    for delay_ms in [0, 500, HOUR_MS] {
        registry.register("work", 0).await;
        assert_eq!(registry.claim("a").await.1, ["work"]);
        // After the look, and before its end.
        registry.register("work", delay_ms).await;
        let wait = registry.release("a", "work", NEVER).await;
        assert!((0..=CLAIM_MS).contains(&wait), "{delay_ms}: {wait}");
        assert!(wait <= delay_ms, "{delay_ms}: {wait}");
        // Somebody else finds the rest.
        registry.register("work", 0).await;
        assert_eq!(registry.claim("b").await.1, ["work"]);
        assert_eq!(registry.release("b", "work", NEVER).await, NEVER);
    }
}

#[tokio::test]
async fn an_end_that_comes_late_takes_nothing_from_another() {
    let mut registry = Registry::new().await;
    registry.register("work", 0).await;
    assert_eq!(registry.claim("a").await.1, ["work"]);
    registry.register("work", 0).await;
    assert_eq!(registry.claim("b").await.1, ["work"]);
    let soon = registry.now().await + 10;
    let wait = registry.release("a", "work", soon).await;
    assert!((0..=10).contains(&wait), "it is early at most: {wait}");
    assert_eq!(registry.release("b", "work", NEVER).await, NEVER);
}
