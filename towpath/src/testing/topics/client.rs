//! A client of topics: its socket, and what came for it.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::SinkExt;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use towpath_layer_core::ChannelLayer;
use towpath_worker::Topics;

use super::frame::{self, Mail};
use crate::testing::app::Common;
use crate::testing::socket::{Incoming, Parts, Sink};

/// How often a client says that it is there, as that of Phoenix does.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Messages that no assertion has taken; one more fails the test.
const MAIL_MAX: usize = 1024;

/// A client and all its topics.
pub(super) struct Client {
    pub(super) common: Common,
    pub(super) name: String,
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) topics: Topics,
    sink: Mutex<Sink>,
    inbox: Mutex<Inbox>,
    references: AtomicU64,
    _reader: AbortOnDropHandle<()>,
    _heart: AbortOnDropHandle<()>,
}

/// What came, and was not taken.
struct Inbox {
    incoming: mpsc::Receiver<Incoming>,
    mail: VecDeque<Mail>,
    end: Option<(u16, String)>,
}

/// Why nothing can be found any more.
enum Over {
    Ended,
    Unread(String),
}

impl Inbox {
    /// Takes the first message that fits, once it is there.
    async fn find(&mut self, fits: &mut dyn FnMut(&Mail) -> bool) -> Result<Mail, Over> {
        loop {
            if let Some(mail) = self.take(fits) {
                return Ok(mail);
            }
            if self.end.is_some() {
                return Err(Over::Ended);
            }
            let incoming = self.incoming.recv().await;
            self.put(incoming)?;
        }
    }

    fn take(&mut self, fits: &mut dyn FnMut(&Mail) -> bool) -> Option<Mail> {
        let at = self.mail.iter().position(fits)?;
        self.mail.remove(at)
    }

    /// What has come by now, without waiting.
    fn catch_up(&mut self) -> Result<(), Over> {
        while let Ok(incoming) = self.incoming.try_recv() {
            self.put(Some(incoming))?;
        }
        Ok(())
    }

    fn put(&mut self, incoming: Option<Incoming>) -> Result<(), Over> {
        let unread = |what: String| Over::Unread(format!("{what} is no message of a topic"));
        let mail = match incoming {
            None => {
                self.end = Some((1006, String::new()));
                return Ok(());
            }
            Some(Incoming::Close(code, reason)) => {
                self.end = Some((code, reason));
                return Ok(());
            }
            Some(Incoming::Text(text)) => Mail::read_text(&text).ok_or_else(|| unread(text))?,
            Some(Incoming::Bytes(bytes)) => {
                Mail::read_bytes(&bytes).ok_or_else(|| unread(format!("{bytes:?}")))?
            }
        };
        if self.mail.len() >= MAIL_MAX {
            let why = format!("{MAIL_MAX} messages came that no assertion has taken");
            return Err(Over::Unread(why));
        }
        // Answers to heartbeats are nobody's.
        if mail.topic != "phoenix" {
            self.mail.push_back(mail);
        }
        Ok(())
    }
}

impl Client {
    pub(super) fn new(
        common: Common,
        parts: Parts,
        layer: Arc<dyn ChannelLayer>,
        topics: Topics,
        tasks: &TaskTracker,
    ) -> Arc<Self> {
        Arc::new_cyclic(|client| Self {
            common,
            name: parts.name,
            layer,
            topics,
            sink: Mutex::new(parts.sink),
            inbox: Mutex::new(Inbox {
                incoming: parts.incoming,
                mail: VecDeque::new(),
                end: None,
            }),
            references: AtomicU64::new(1),
            _reader: parts.reader,
            _heart: AbortOnDropHandle::new(tasks.spawn(beat(Weak::clone(client)))),
        })
    }

    /// A reference that no other message of this client has.
    pub(super) fn reference(&self) -> String {
        self.references.fetch_add(1, Ordering::Relaxed).to_string()
    }

    pub(super) async fn send(&self, at: &Location<'_>, message: Message) {
        if let Err(why) = self.try_send(message).await {
            self.fail(at, format_args!("nothing can be sent: {why}"));
        }
    }

    async fn try_send(&self, message: Message) -> Result<(), String> {
        let mut sink = self.sink.lock().await;
        match self.common.within(sink.send(message)).await {
            Some(sent) => sent.map_err(|error| error.to_string()),
            None => Err("the server does not read".to_owned()),
        }
    }

    /// Takes the first message that fits; what else comes waits for others.
    pub(super) async fn expect(
        &self,
        at: &Location<'_>,
        expected: impl fmt::Display,
        mut fits: impl FnMut(&Mail) -> bool,
    ) -> Mail {
        let mut inbox = self.inbox.lock().await;
        let found = self.common.within(inbox.find(&mut fits)).await;
        let patience = self.common.patience;
        let why = match found {
            Some(Ok(mail)) => return mail,
            Some(Err(Over::Unread(why))) => self.fail(at, why),
            Some(Err(Over::Ended)) => "the connection has ended".to_owned(),
            None => format!("it did not come within {patience:?}"),
        };
        let others = Others(&inbox.mail);
        self.fail(at, format_args!("expected {expected}, and {why}{others}"))
    }

    /// Expects that no message comes that fits.
    pub(super) async fn refute(
        &self,
        at: &Location<'_>,
        refuted: impl fmt::Display,
        mut fits: impl FnMut(&Mail) -> bool,
    ) {
        let mut inbox = self.inbox.lock().await;
        let silence = self.common.clock.silence();
        let found = match timeout(silence, inbox.find(&mut fits)).await {
            Ok(found) => found.map(Some),
            Err(_elapsed) => {
                self.common.clock.settle().await;
                inbox.catch_up().map(|()| inbox.take(&mut fits))
            }
        };
        match found {
            Ok(None) | Err(Over::Ended) => {}
            Ok(Some(mail)) => self.fail(at, format_args!("expected no {refuted}, and {mail} came")),
            Err(Over::Unread(why)) => self.fail(at, why),
        }
    }

    /// How the connection ended.
    pub(super) async fn ended(&self, at: &Location<'_>) -> (u16, String) {
        let mut inbox = self.inbox.lock().await;
        let found = self.common.within(inbox.find(&mut |_| false)).await;
        if let Some(Err(Over::Unread(why))) = found {
            self.fail(at, why);
        }
        match inbox.end.clone() {
            Some(end) => end,
            None => self.fail(at, "expected the end of the connection, and it goes on"),
        }
    }

    pub(super) fn note(&self, what: impl fmt::Display) {
        let name = &self.name;
        self.common.record.note(format_args!("{name} → {what}"));
    }

    pub(super) fn fail(&self, at: &Location<'_>, why: impl fmt::Display) -> ! {
        let name = &self.name;
        self.common.record.fail(at, format_args!("{name}: {why}"))
    }
}

/// What came instead.
struct Others<'a>(&'a VecDeque<Mail>);

impl fmt::Display for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mail) in self.0.iter().enumerate() {
            let before = if number == 0 { "; what came:\n" } else { "" };
            writeln!(f, "{before}    {mail}")?;
        }
        Ok(())
    }
}

/// Keeps the connection awake as long as the test has it.
async fn beat(client: Weak<Client>) {
    let mut beats = interval(HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats.tick().await;
    loop {
        beats.tick().await;
        let Some(client) = client.upgrade() else {
            return;
        };
        let payload = serde_json::json!({});
        let text = frame::text(None, &client.reference(), "phoenix", "heartbeat", &payload);
        if let Err(error) = client.try_send(Message::text(text)).await {
            tracing::debug!(error, "a test's client ended early");
            return;
        }
    }
}
