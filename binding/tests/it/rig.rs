//! Bindings that run on a layer in memory, and clients that collect frames.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use towpath_binding::{Action, Binding, Bindings, Fields};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Frame, GroupName, Limits, LocalId, SystemClock, SystemEntropy,
};
use towpath_layer_memory::MemoryLayer;
use towpath_testkit::CollectingSink;
use towpath_worker::{Context, Result};

use crate::database::Database;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Todo {
    pub(crate) id: i64,
    pub(crate) list: String,
    pub(crate) title: String,
    pub(crate) done: bool,
    #[serde(rename = "order")]
    pub(crate) place: Option<i64>,
}

/// Each list has a group; all lists together have one.
pub(crate) struct Todos;

impl Binding for Todos {
    type Model = Todo;
    type Identity = Context;
    const TABLE: &'static str = "todo";
    const STREAM: &'static str = "todos";
    const FIELDS: Fields = Fields::AllBut(&["list", "secret"]);
    const MODEL: &'static str = "app.todo";

    fn group_names(&self, todo: &Todo) -> Vec<String> {
        vec!["all".to_owned(), format!("list.{}", todo.list)]
    }

    fn members(&self, todo: &Todo) -> Vec<(&'static str, Value)> {
        match todo.title.as_str() {
            "loud" => vec![("shout", json!(todo.title.to_uppercase()))],
            _ => Vec::new(),
        }
    }

    async fn subscribe(&self, _: &Context) -> Result<Vec<String>> {
        Ok(vec!["all".to_owned()])
    }

    async fn has_permission(&self, _: &Context, _: Action, _: Option<&Value>) -> bool {
        true
    }
}

/// Running bindings, and who hears of them.
pub(crate) struct Rig {
    pub(crate) database: Database,
    pub(crate) layer: Arc<dyn ChannelLayer>,
    sink: Arc<CollectingSink>,
    takers: Vec<(CancellationToken, JoinHandle<()>)>,
}

/// A connection that collects.
pub(crate) struct Client {
    local: LocalId,
    sink: Arc<CollectingSink>,
}

impl Rig {
    /// The to-do lists, installed, with a taker that runs.
    pub(crate) async fn todos(database: Database) -> Self {
        let bindings = database.bindings().add(Todos);
        let mut rig = Self::installed(database, &bindings).await;
        rig.start(&bindings).await;
        rig
    }

    pub(crate) async fn installed(database: Database, bindings: &Bindings) -> Self {
        bindings.install().await.unwrap();
        let limits = Limits::default();
        let layer = MemoryLayer::new(
            limits.clone(),
            Arc::new(SystemClock::new()),
            Arc::new(SystemEntropy),
        );
        Self::on(database, layer, &limits).await
    }

    pub(crate) async fn on(
        database: Database,
        layer: Arc<dyn ChannelLayer>,
        limits: &Limits,
    ) -> Self {
        let sink = Arc::new(CollectingSink::new(limits));
        layer.attach(sink.clone()).await.unwrap();
        Self {
            database,
            layer,
            sink,
            takers: Vec::new(),
        }
    }

    pub(crate) async fn start(&mut self, bindings: &Bindings) {
        let taker = bindings.start(Arc::clone(&self.layer)).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(taker.run(stop.clone()));
        self.takers.push((stop, task));
    }

    /// Stops the taker that was started first, in good order.
    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.takers.remove(0);
        stop.cancel();
        task.await.unwrap();
    }

    /// Ends the taker that was started first where it is.
    pub(crate) async fn abort(&mut self) {
        let (_, task) = self.takers.remove(0);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }

    /// A client that is a member of a group, and hears of the end.
    pub(crate) async fn client(&self, group: &str) -> Client {
        let local = self.sink.open();
        let channel = ChannelName::reply(self.layer.node(), local);
        for group in [group, "list.end"] {
            let group = GroupName::new(group).unwrap();
            self.layer
                .group_add(&group, &channel, Bytes::new())
                .await
                .unwrap();
        }
        Client {
            local,
            sink: Arc::clone(&self.sink),
        }
    }

    /// Writes what every client is told of, behind all that was written before.
    pub(crate) async fn end(&self) {
        let end = "INSERT INTO todo (id, list, title) VALUES (-1, 'end', 'end')";
        self.database.run(end).await;
    }
}

impl Client {
    /// The next frame; panics if none comes.
    pub(crate) async fn frame(&self) -> Value {
        match self.sink.next(self.local).await.frame {
            Some(Frame::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a text frame: {other:?}"),
        }
    }

    /// The payload of the next frame.
    pub(crate) async fn payload(&self) -> Value {
        self.frame().await["payload"].take()
    }

    /// All that came before the end.
    pub(crate) async fn until_end(&self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let payload = self.payload().await;
            if payload["data"]["title"] == "end" {
                return all;
            }
            all.push(payload);
        }
    }

    /// What came before the end, as `action:pk`.
    pub(crate) async fn actions(&self) -> Vec<String> {
        let all = self.until_end().await;
        let short = |it: &Value| format!("{}:{}", it["action"].as_str().unwrap(), it["pk"]);
        all.iter().map(short).collect()
    }

    pub(crate) fn nothing(&self) {
        assert_eq!(self.sink.replies(self.local), []);
    }
}
