//! What is refused, and how it is said.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use towpath_interface_server::ApiLimits;
use towpath_layer_core::Limits;

use super::outsider::{Answer, OLD_TOKEN, Outside, TOKEN};

fn problem_of(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status);
    let kind = problem["type"].as_str().unwrap();
    kind.strip_prefix("urn:towpath:problem:")
        .unwrap()
        .to_owned()
}

async fn with_token(outside: &Outside, authorization: &str) -> Answer {
    let request = Request::get("/v1/groups").header("authorization", authorization);
    outside.send(request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn without_a_token_nothing_is_served() {
    let outside = Outside::start().await;
    for (method, path) in [
        (Method::GET, "/v1/groups"),
        (Method::POST, "/v1/flush"),
        (Method::DELETE, "/v1/groups"),
        (Method::GET, "/nothing"),
        (Method::POST, "/v1/openapi.json"),
    ] {
        let request = Request::builder().method(&method).uri(path);
        let answer = outside.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(answer.status, 401, "{method} {path}");
        assert_eq!(problem_of(&answer), "unauthorized");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"towpath\""
        );
    }
    for wrong in ["Bearer", "Bearer wrong", TOKEN, &format!("Basic {TOKEN}")] {
        assert_eq!(with_token(&outside, wrong).await.status, 401, "{wrong}");
    }
    for right in [TOKEN, OLD_TOKEN] {
        let answer = with_token(&outside, &format!("Bearer {right}")).await;
        assert_eq!(answer.status, 200);
    }
    outside.end().await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_said() {
    let outside = Outside::start().await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/send",
        "/v1/groups/a/b",
        "/v1/send/x",
    ] {
        let request = outside.request(&Method::GET, path).body(Full::default());
        let answer = outside.send(request.unwrap()).await;
        assert_eq!(
            (answer.status, problem_of(&answer).as_str()),
            (404, "unknown-path"),
            "{path}"
        );
    }
    for (method, path, allow) in [
        (Method::GET, "/v1/send", "POST"),
        (Method::POST, "/v1/groups", "GET, HEAD"),
        (Method::DELETE, "/v1/openapi.json", "GET, HEAD"),
        (Method::OPTIONS, "/v1/send", "POST"),
    ] {
        let request = outside.request(&method, path).body(Full::default());
        let answer = outside.send(request.unwrap()).await;
        assert_eq!(
            (answer.status, problem_of(&answer).as_str()),
            (405, "wrong-method")
        );
        assert_eq!(answer.header("allow"), allow);
    }
    outside.end().await;
}

#[tokio::test]
async fn media_types_that_are_not_known_are_said() {
    let outside = Outside::start().await;
    let body = json!({"channel": "jobs", "content": 1}).to_string();
    for (header, value, status, kind) in [
        ("content-type", "text/plain", 415, "unsupported-media-type"),
        (
            "content-type",
            "application/x-www-form-urlencoded",
            415,
            "unsupported-media-type",
        ),
        (
            "content-type",
            "application/x-ndjson",
            415,
            "unsupported-media-type",
        ),
        ("content-encoding", "gzip", 415, "unsupported-media-type"),
        ("accept", "text/html", 406, "not-acceptable"),
        ("accept", "application/x-ndjson", 406, "not-acceptable"),
    ] {
        let request = outside
            .request(&Method::POST, "/v1/send")
            .header(header, value);
        let request = request.body(Full::new(Bytes::from(body.clone()))).unwrap();
        let answer = outside.send(request).await;
        assert_eq!(
            (answer.status, problem_of(&answer).as_str()),
            (status, kind),
            "{value}"
        );
    }
    let request = outside
        .request(&Method::POST, "/v1/send")
        .header("content-type", "application/json; charset=utf-8");
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    assert_eq!(outside.send(request).await.status, 200);
    outside.end().await;
}

#[tokio::test]
async fn a_body_larger_than_is_read_is_refused_before_it_is_sent() {
    let limits = ApiLimits {
        body_bytes_max: 1000,
        ..ApiLimits::default()
    };
    let outside = Outside::start_with(Limits::default(), limits).await;
    let large = json!({"channel": "jobs", "content": "x".repeat(1000)});
    let answer = outside.post("/v1/send", &large).await;
    assert_eq!(
        (answer.status, problem_of(&answer).as_str()),
        (413, "body-too-large")
    );
    assert_eq!(answer.json()["expected"], "at most 1000 bytes");
    outside.end().await;
}

const REPLY: &str = "reply.00000000000000000000000000000000!0000000000000000";

/// Holds a refusal of `/v1/send` against the key and the value that it names.
async fn misfit(outside: &Outside, body: Value, key: &str, value: Option<&str>) {
    let problem = outside.refused("/v1/send", &body).await;
    assert_eq!(problem["status"], 422, "{problem}");
    assert_eq!(problem["key"], key, "{problem}");
    if let Some(value) = value {
        assert_eq!(problem["value"], value, "{problem}");
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_named_shown_and_explained() {
    let outside = Outside::start().await;
    for (body, key, value) in [
        (json!({"channel": 7, "content": 1}), "channel", Some("7")),
        (
            json!({"channel": "a b", "content": 1}),
            "channel",
            Some("\"a b\""),
        ),
        (
            json!({"channel": "a", "contents": 1}),
            "contents",
            Some("1"),
        ),
        (json!({"channel": "a"}), "content", None),
        (json!({"channel": "a", "text": "t"}), "content", None),
        (json!({"channel": REPLY}), "content", None),
        (json!({"channel": REPLY, "content": 1}), "content", None),
    ] {
        misfit(&outside, body, key, value).await;
    }
    let problem = outside.refused("/v1/send", &json!({"content": 1})).await;
    assert_eq!(problem["value"], "{\"content\":1}");
    assert!(
        problem["detail"].as_str().unwrap().contains("`channel`"),
        "{problem}"
    );
    let answer = outside.get("/v1/groups/a%20b").await;
    assert_eq!(answer.status, 422);
    let problem = answer.json();
    assert_eq!(
        (&problem["key"], &problem["value"]),
        (&json!("group"), &json!("a b"))
    );
    let expected = problem["expected"].as_str().unwrap();
    assert!(expected.contains("ASCII letters"), "{problem}");
    outside.end().await;
}

#[tokio::test]
async fn a_part_of_a_reply_that_does_not_fit_is_named() {
    let outside = Outside::start().await;
    for (part, value, key) in [
        ("json", json!(1), "text"),
        ("bytes", json!("%"), "bytes"),
        ("close", json!({"code": 99}), "close.code"),
        (
            "close",
            json!({"code": 1000, "reason": "x".repeat(124)}),
            "close.reason",
        ),
        ("deny", json!({"status": 200}), "deny.status"),
        (
            "accept",
            json!({"headers": [["a b", "c"]]}),
            "accept.headers[0]",
        ),
        (
            "accept",
            json!({"headers": [["a", "c\r\nd"]]}),
            "accept.headers[0]",
        ),
        (
            "completion",
            json!({"attempt": 1, "outcome": "done"}),
            "completion.outcome.done",
        ),
    ] {
        let mut body = json!({"channel": REPLY, "text": "t"});
        body[part] = value;
        misfit(&outside, body, key, None).await;
    }
    outside.end().await;
}

#[tokio::test]
async fn a_session_that_does_not_travel_is_refused() {
    let outside = Outside::start().await;
    let session = "A".repeat(24 << 10);
    let body = json!({"channel": REPLY, "completion": {"attempt": 1,
        "outcome": {"done": {"session": session}}}});
    let problem = outside.refused("/v1/send", &body).await;
    assert_eq!(problem["status"], 413);
    assert_eq!(problem["key"], "completion.outcome.done.session");
    assert_eq!(problem["expected"], "at most 16384 bytes");
    outside.end().await;
}

#[tokio::test]
async fn a_problem_does_not_repeat_all_that_it_was_told() {
    let outside = Outside::start().await;
    let long = "x".repeat(1 << 20);
    let mut unknown = json!({"channel": "jobs.run"});
    unknown[&long] = json!(1);
    for body in [
        unknown,
        json!({"channel": long, "content": 1}),
        json!({"channel": "jobs.run", "bytes": long.replace('x', "-")}),
    ] {
        let problem = outside.refused("/v1/send", &body).await;
        assert_eq!(problem["status"], 422);
        let len = problem.to_string().len();
        assert!(len < 4 << 10, "{len} bytes");
    }
    outside.end().await;
}
