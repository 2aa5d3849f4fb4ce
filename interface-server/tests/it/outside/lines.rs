//! A client that subscribes to a topic.

use http::Method;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::Value;

use super::outsider::Outside;
use crate::rig::within;

/// The lines of a subscription.
pub(super) struct Lines {
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    pub(super) async fn of(outside: &Outside, path: &str) -> Self {
        let request = outside.request(&Method::GET, path).body(Full::default());
        let mut sender = outside.connect().await;
        let response = within(sender.send_request(request.unwrap())).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let mut lines = Self {
            body: response.into_body(),
            read: Vec::new(),
        };
        // From the first line on nothing is missed.
        assert_eq!(lines.line().await.as_deref(), Some(""));
        lines
    }

    pub(super) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            let frame = within(self.body.frame()).await?.unwrap();
            self.read.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    /// The next one that says something.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            let line = self.line().await?;
            if !line.is_empty() {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
    }
}
