//! Whatever a client sends gets an answer and touches nobody else.

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rmpv::Value as Packed;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::runtime::Builder;

use super::outsider::{Outside, TOKEN};
use crate::client::Raw;
use crate::rig::within;

const PATHS: [&str; 11] = [
    "/v1/send",
    "/v1/group-send",
    "/v1/topic-broadcast",
    "/v1/topic-disconnect",
    "/v1/add",
    "/v1/discard",
    "/v1/cancel",
    "/v1/batch",
    "/v1/receive",
    "/v1/groups",
    "/v1/groups/%ff/members/%21?limit=%00",
];

/// Values in which known keys stand in wrong places.
fn value() -> impl Strategy<Value = Packed> {
    let text = prop_oneof![
        "[a-z]{0,8}",
        Just("jobs.run".to_owned()),
        Just("1s".to_owned()),
        Just("reply.00000000000000000000000000000000!0000000000000000".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Packed::Nil),
        any::<bool>().prop_map(Packed::from),
        any::<i64>().prop_map(Packed::from),
        any::<f64>().prop_map(Packed::from),
        text.prop_map(Packed::from),
        vec(any::<u8>(), 0..8).prop_map(Packed::Binary),
    ];
    let key = proptest::sample::select(vec![
        "channel",
        "content",
        "text",
        "bytes",
        "json",
        "event",
        "tick",
        "close",
        "accept",
        "deny",
        "taken",
        "completion",
        "delay",
        "group",
        "meta",
        "operations",
        "send",
        "group_send",
        "add",
        "discard",
        "cancel",
        "key",
        "channels",
        "max",
        "name",
        "code",
        "reason",
        "attempt",
        "outcome",
        "done",
        "session",
        "groups",
        "headers",
        "status",
        "topic",
        "payload",
        "except",
        "socket",
        "joined",
        "push",
        "answer",
        "response",
        "reference",
    ]);
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Packed::Array),
            vec((key.clone().prop_map(Packed::from), inner), 0..6).prop_map(Packed::Map),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let packed = |value: Packed| rmp_serde::to_vec(&value).unwrap();
    let text = |value: Packed| serde_json::to_vec(&value).unwrap_or_default();
    prop_oneof![
        vec(any::<u8>(), 0..64),
        value().prop_map(packed),
        value().prop_map(text),
    ]
}

#[test]
fn no_body_makes_it_fail() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let outside = runtime.block_on(Outside::start());
    let case = (0..PATHS.len(), any::<bool>(), body());
    let mut runner = TestRunner::new(Config::with_cases(500));
    let run = runner.run(&case, |(path, packed, body)| {
        // A poll that is in order would wait for nothing.
        let path = PATHS[path];
        let media_type = if packed {
            "application/msgpack"
        } else {
            "application/json"
        };
        let request = outside
            .request(
                if path.contains("groups") {
                    &Method::GET
                } else {
                    &Method::POST
                },
                path,
            )
            .header("content-type", media_type)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let answer = runtime.block_on(outside.send(request));
        prop_assert!(answer.status < 500, "{answer:?}");
        Ok(())
    });
    run.unwrap();
    runtime.block_on(async {
        outside
            .done("/v1/send", &json!({"channel": "after", "content": 1}))
            .await;
        outside.end().await;
    });
}

#[tokio::test]
async fn bodies_as_deep_as_they_come_are_refused() {
    let outside = Outside::start().await;
    let depth = 200_000;
    for (media_type, body) in [
        ("application/json", vec![b'['; depth]),
        ("application/json", b"{\"a\":".repeat(depth)),
        ("application/msgpack", vec![0x91; depth]),
        (
            "application/msgpack",
            [&[0x81, 0xa1, b'a'][..]; 1].concat().repeat(depth),
        ),
        ("application/msgpack", vec![0xdd, 0xff, 0xff, 0xff, 0xff]),
    ] {
        let request = outside
            .request(&Method::POST, "/v1/batch")
            .header("content-type", media_type)
            .body(Full::new(Bytes::from(body)));
        let answer = outside.send(request.unwrap()).await;
        assert!(matches!(answer.status, 400 | 422), "{answer:?}");
    }
    outside.end().await;
}

#[tokio::test]
async fn what_is_not_http_ends_its_own_connection_alone() {
    let outside = Outside::start().await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\r\n\r\n\r\n\r\nGARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/send HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/send HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ] {
        let mut raw = Raw::connect(outside.address).await;
        // The server may hang up on what it has read enough of.
        let _or_refused = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, garbage).await;
        let _or_refused = tokio::io::AsyncWriteExt::shutdown(&mut raw.stream).await;
        raw.ended().await;
    }
    let mut chunked = Raw::connect(outside.address).await;
    let head = format!(
        "POST /v1/send HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nZZ\r\n"
    );
    chunked.write(head.as_bytes()).await;
    let mut said = String::new();
    within(chunked.stream.read_to_string(&mut said))
        .await
        .unwrap();
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    outside
        .done("/v1/send", &json!({"channel": "after", "content": 1}))
        .await;
    outside.end().await;
}
