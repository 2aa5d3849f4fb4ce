//! Long polls.

use std::io::Write;
use std::time::Duration;

use http_body_util::Full;
use serde_json::json;
use tokio::io::AsyncReadExt;
use towpath_interface_server::ApiLimits;
use towpath_layer_core::{ChannelLayer, Limits};

use super::outsider::{Outside, TOKEN, channel, content};
use crate::client::Raw;
use crate::rig::within;

/// A poll for `jobs.run`, written by hand.
fn request() -> String {
    let body = r#"{"channels":["jobs.run"]}"#;
    format!(
        "POST /v1/receive HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Lets the server look at every connection a few times.
async fn turns(outside: &Outside) {
    for _ in 0..3 {
        outside.read("/v1/groups").await;
    }
}

#[tokio::test]
async fn a_poll_returns_what_comes_and_nothing_twice() {
    let outside = Outside::start().await;
    let body = json!({"channels": ["jobs.run", "jobs.other", "jobs.run"], "max": 10});
    let sending = async {
        for (name, value) in [("jobs.other", 1), ("jobs.run", 2), ("jobs.run", 3)] {
            let message = content(&json!(value)).into();
            outside.layer.send(&channel(name), message).await.unwrap();
        }
    };
    let (first, ()) = tokio::join!(outside.done("/v1/receive", &body), sending);
    let mut contents = Vec::new();
    let mut answer = first;
    while contents.len() < 3 {
        let messages = answer["messages"].as_array().unwrap().clone();
        contents.extend(
            messages
                .iter()
                .map(|message| message["content"].as_i64().unwrap()),
        );
        if contents.len() < 3 {
            answer = outside.done("/v1/receive", &body).await;
        }
    }
    contents.sort_unstable();
    assert_eq!(contents, [1, 2, 3]);
    let empty = json!({"channels": ["jobs.run"], "timeout": 0});
    assert_eq!(
        outside.done("/v1/receive", &empty).await,
        json!({"messages": []})
    );
    outside.end().await;
}

#[tokio::test]
async fn a_client_that_has_left_before_its_poll_was_looked_at_loses_nothing() {
    let outside = Outside::start().await;
    for round in 0..20 {
        // Nothing is awaited, so the server sees it all at once.
        let mut gone = std::net::TcpStream::connect(outside.address).unwrap();
        gone.write_all(request().as_bytes()).unwrap();
        drop(gone);
        let message = content(&json!(round)).into();
        let sent = outside.layer.send(&channel("jobs.run"), message).await;
        sent.unwrap();
        let body = json!({"channels": ["jobs.run"]});
        let answer = outside.done("/v1/receive", &body).await;
        assert_eq!(answer["messages"][0]["content"], round);
    }
    outside.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_while_its_poll_waits_loses_nothing() {
    let outside = Outside::start().await;
    for round in 0..20 {
        let mut gone = Raw::connect(outside.address).await;
        gone.write(request().as_bytes()).await;
        turns(&outside).await;
        drop(gone);
        turns(&outside).await;
        let message = content(&json!(round)).into();
        let sent = outside.layer.send(&channel("jobs.run"), message).await;
        sent.unwrap();
        let body = json!({"channels": ["jobs.run"]});
        let answer = outside.done("/v1/receive", &body).await;
        assert_eq!(answer["messages"][0]["content"], round);
    }
    outside.end().await;
}

#[tokio::test]
async fn the_bounds_of_a_poll_are_said() {
    let outside = Outside::start_with(
        Limits::default(),
        ApiLimits {
            poll_timeout_max: Duration::from_secs(2),
            ..ApiLimits::default()
        },
    )
    .await;
    let reply = "reply.00000000000000000000000000000000!0000000000000000";
    let many: Vec<String> = (0..65).map(|number| format!("c.{number}")).collect();
    for (body, key) in [
        (json!({"channels": []}), "channels"),
        (json!({"channels": many}), "channels"),
        (json!({"channels": ["a", reply]}), "channels[1]"),
        (json!({"channels": ["a", "b c"]}), "channels[1]"),
        (json!({"channels": ["a"], "max": 0}), "max"),
        (json!({"channels": ["a"], "max": 101}), "max"),
        (json!({"channels": ["a"], "timeout": 3}), "timeout"),
        (json!({"channels": ["a"], "timeout": "soon"}), "timeout"),
    ] {
        let problem = outside.refused("/v1/receive", &body).await;
        assert_eq!(
            (&problem["status"], &problem["key"]),
            (&json!(422), &json!(key)),
            "{problem}"
        );
    }
    outside.end().await;
}

#[tokio::test]
async fn no_more_is_taken_than_an_answer_may_hold() {
    let limits = Limits {
        message_size_max: 8 << 20,
        envelope_size_max: 0,
        ..Limits::default()
    };
    let outside = Outside::start_with(limits, ApiLimits::default()).await;
    for number in 0..6 {
        let message = content(&json!(number)).into();
        outside
            .layer
            .send(&channel("jobs.run"), message)
            .await
            .unwrap();
    }
    let body = json!({"channels": ["jobs.run"], "max": 100});
    let answer = outside.done("/v1/receive", &body).await;
    assert_eq!(answer["messages"].as_array().unwrap().len(), 4);
    let answer = outside.done("/v1/receive", &body).await;
    assert_eq!(answer["messages"].as_array().unwrap().len(), 2);
    outside.end().await;
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let outside = Outside::start().await;
    let mut sender = outside.connect().await;
    for _ in 0..3 {
        let request = outside.request(&http::Method::GET, "/v1/groups");
        let request = request.body(Full::default()).unwrap();
        within(sender.ready()).await.unwrap();
        let response = within(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        within(http_body_util::BodyExt::collect(response))
            .await
            .unwrap();
    }
    outside.end().await;
}

#[tokio::test]
async fn a_connection_that_stands_still_is_closed() {
    let outside = Outside::start_with(
        Limits::default(),
        ApiLimits {
            request_timeout: Duration::from_secs(1),
            ..ApiLimits::default()
        },
    )
    .await;
    let mut idle = Raw::connect(outside.address).await;
    let mut half = Raw::connect(outside.address).await;
    half.write(b"POST /v1/send HTTP/1.1\r\nContent-Le").await;
    let mut waiting = Raw::connect(outside.address).await;
    let head = format!(
        "POST /v1/send HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: 9\r\n\r\n{{"
    );
    waiting.write(head.as_bytes()).await;
    let mut said = String::new();
    within(waiting.stream.read_to_string(&mut said))
        .await
        .unwrap();
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    idle.ended().await;
    half.ended().await;
    outside.end().await;
}

#[tokio::test]
async fn every_body_that_is_late_is_answered() {
    let limits = ApiLimits {
        request_timeout: Duration::from_secs(1),
        ..ApiLimits::default()
    };
    let outside = Outside::start_with(Limits::default(), limits).await;
    let head = format!(
        "POST /v1/send HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: 9\r\n\r\n{{"
    );
    let mut late = Vec::new();
    for _ in 0..200 {
        let mut raw = Raw::connect(outside.address).await;
        raw.write(head.as_bytes()).await;
        late.push(raw);
    }
    for mut raw in late {
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    }
    outside.end().await;
}

#[tokio::test]
async fn an_idle_connection_has_as_long_as_a_head() {
    let limits = ApiLimits {
        header_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_hours(1),
        ..ApiLimits::default()
    };
    let outside = Outside::start_with(Limits::default(), limits).await;
    let mut idle = Raw::connect(outside.address).await;
    let request = format!(
        "HEAD /v1/groups HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    idle.write(request.as_bytes()).await;
    let head = idle.head().await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    idle.ended().await;
    outside.end().await;
}
