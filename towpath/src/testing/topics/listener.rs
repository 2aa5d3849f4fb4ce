//! All that is broadcast in a topic, whoever is told of it.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::Location;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;
use towpath_worker::{Heard, Subscription, TopicPayload};

use super::frame::Body;
use super::pattern::{Pattern, Shown};
use crate::testing::app::{Common, TestApp};

/// Broadcasts that no assertion has taken; one more fails the test.
const KEPT_MAX: usize = 1024;

/// All that is broadcast in a topic, before any consumer intercepts it and also
/// if it leaves somebody out; made by [`TestApp::subscribe`].
///
/// What comes waits until an assertion takes it, as for a
/// [`JoinedTopic`](super::JoinedTopic).
pub struct TopicListener {
    common: Common,
    topic: String,
    inbox: Mutex<Inbox>,
}

struct Inbox {
    subscription: Subscription,
    kept: VecDeque<Said>,
}

/// One broadcast.
struct Said {
    event: String,
    body: Body,
}

impl Said {
    /// What came next, or why that is no broadcast.
    fn of(heard: Option<Heard>) -> Result<Self, String> {
        match heard {
            Some(Heard::Broadcast { event, payload, .. }) => Ok(Self {
                event: event.to_string(),
                body: body(&payload)?,
            }),
            Some(_) => Err("more was broadcast than the test has read".to_owned()),
            None => Err("the application has ended".to_owned()),
        }
    }
}

fn body(payload: &TopicPayload) -> Result<Body, String> {
    match payload.bytes() {
        Ok(bytes) => Ok(Body::Bytes(bytes.clone())),
        Err(_) => payload
            .json()
            .map(Body::Json)
            .map_err(|error| error.to_string()),
    }
}

impl Inbox {
    /// Takes the first broadcast that fits, once it is there.
    async fn find(&mut self, fits: &mut dyn FnMut(&Said) -> bool) -> Result<Said, String> {
        loop {
            if let Some(said) = self.take(fits) {
                return Ok(said);
            }
            let heard = self.subscription.next().await;
            self.keep(heard)?;
        }
    }

    fn take(&mut self, fits: &mut dyn FnMut(&Said) -> bool) -> Option<Said> {
        let at = self.kept.iter().position(fits)?;
        self.kept.remove(at)
    }

    /// What has come by now, without waiting.
    fn catch_up(&mut self) -> Result<(), String> {
        while let Some(heard) = self.subscription.next().now_or_never() {
            self.keep(heard)?;
        }
        Ok(())
    }

    fn keep(&mut self, heard: Option<Heard>) -> Result<(), String> {
        if self.kept.len() >= KEPT_MAX {
            return Err(format!(
                "{KEPT_MAX} broadcasts came that no assertion has taken"
            ));
        }
        self.kept.push_back(Said::of(heard)?);
        Ok(())
    }
}

impl TestApp {
    /// Hears all that is broadcast in a topic from now on.
    ///
    /// # Panics
    ///
    /// If the layer cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn subscribe(&self, topic: &str) -> impl Future<Output = TopicListener> {
        let at = Location::caller();
        async move {
            let subscription = match self.topics().subscribe(topic).await {
                Ok(subscription) => subscription,
                Err(error) => {
                    let why = format_args!("{topic} cannot be subscribed to: {error}");
                    self.common.record.fail(at, why)
                }
            };
            TopicListener {
                common: self.common.clone(),
                topic: topic.to_owned(),
                inbox: Mutex::new(Inbox {
                    subscription,
                    kept: VecDeque::new(),
                }),
            }
        }
    }
}

impl TopicListener {
    /// Waits for a broadcast; gives what it carries.
    ///
    /// # Panics
    ///
    /// If it does not come in time, here and below.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing, here and below.
    #[track_caller]
    pub fn assert_broadcast(
        &self,
        event: &str,
        pattern: impl Pattern,
    ) -> impl Future<Output = Value> {
        let at = Location::caller();
        async move {
            let expected = format!("{event} {}", Shown(&pattern));
            let said = self.expect(at, expected, |said| {
                said.event == event && said.body.carries(&pattern)
            });
            said.await.into_json()
        }
    }

    /// Waits for a broadcast of bytes.
    #[track_caller]
    pub fn assert_broadcast_bytes(&self, event: &str) -> impl Future<Output = Bytes> {
        let at = Location::caller();
        async move {
            let expected = format!("{event} of bytes");
            let said = self.expect(at, expected, |said| {
                said.event == event && said.body.json().is_none()
            });
            said.await.into_bytes()
        }
    }

    /// Expects that no such broadcast comes; one of bytes is one if the pattern
    /// asks for nothing, as `json!({})` does.
    ///
    /// # Panics
    ///
    /// If one comes.
    #[track_caller]
    pub fn refute_broadcast(&self, event: &str, pattern: impl Pattern) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let mut inbox = self.inbox.lock().await;
            let mut fits = |said: &Said| said.event == event && said.body.may_be(&pattern);
            let silence = self.common.clock.silence();
            let found = match timeout(silence, inbox.find(&mut fits)).await {
                Ok(found) => found.map(Some),
                Err(_elapsed) => {
                    self.common.clock.settle().await;
                    inbox.catch_up().map(|()| inbox.take(&mut fits))
                }
            };
            match found {
                Ok(None) => {}
                Ok(Some(said)) => {
                    let refuted = Shown(&pattern);
                    let why = format_args!("expected no {event} {refuted}, and {said} came");
                    self.fail(at, why)
                }
                Err(why) => self.fail(at, why),
            }
        }
    }

    async fn expect(
        &self,
        at: &Location<'_>,
        expected: impl fmt::Display,
        mut fits: impl FnMut(&Said) -> bool,
    ) -> Body {
        let mut inbox = self.inbox.lock().await;
        let found = self.common.within(inbox.find(&mut fits)).await;
        let why = match found {
            Some(Ok(said)) => return said.body,
            Some(Err(why)) => why,
            None => format!("it did not come within {:?}", self.common.patience),
        };
        let others: String = inbox
            .kept
            .iter()
            .map(|said| format!("\n    {said}"))
            .collect();
        self.fail(at, format_args!("expected {expected}, and {why}{others}"))
    }

    fn fail(&self, at: &Location<'_>, why: impl fmt::Display) -> ! {
        let topic = &self.topic;
        self.common.record.fail(at, format_args!("{topic}: {why}"))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.event, self.body)
    }
}

impl fmt::Debug for TopicListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicListener")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
