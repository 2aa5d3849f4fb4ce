//! What clients may change, and what they are told when they may not.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use towpath_binding::{Action, Binding, Bindings, Fields};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Event, EventKind, Frame, GroupName, Limits, LocalId, Outcome,
    SystemClock, SystemEntropy,
};
use towpath_layer_memory::MemoryLayer;
use towpath_testkit::CollectingSink;
use towpath_worker::{Context, Error, Path, Result, Router, States, Worker, WorkerConfig};

use crate::database::Database;
use crate::on_both;
use crate::rig::Todo;

on_both!(
    a_client_creates_a_row,
    a_client_updates_only_what_it_sends,
    a_client_deletes_a_row,
    a_field_that_is_not_listed_is_never_touched,
    a_value_of_another_type_writes_nothing,
    the_path_reaches_the_binding,
    who_may_not_is_told_and_nothing_is_written,
    a_key_in_another_form_finds_no_row,
    what_makes_no_sense_is_answered_with_an_error,
    a_constraint_is_the_database_s_last_word,
    a_value_is_never_sql,
    a_change_of_one_client_is_told_to_all,
    a_listed_key_can_be_chosen,
);

/// The to-do list of the path; on `/shut` nothing is permitted.
struct Lists;

impl Binding for Lists {
    type Model = Todo;
    type Identity = Path<String>;
    const TABLE: &'static str = "todo";
    const STREAM: &'static str = "todos";
    const FIELDS: Fields = Fields::Only(&["title", "done", "order"]);

    fn group_names(&self, todo: &Todo) -> Vec<String> {
        vec![format!("list.{}", todo.list)]
    }

    fn set_by_server(
        &self,
        Path(list): &Path<String>,
        action: Action,
    ) -> Vec<(&'static str, Value)> {
        match action {
            Action::Create => vec![("list", json!(list))],
            Action::Update | Action::Delete => Vec::new(),
        }
    }

    async fn subscribe(&self, Path(list): &Path<String>) -> Result<Vec<String>> {
        match list.as_str() {
            "nowhere" => Err(Error::rejected("no such list")),
            list => Ok(vec![format!("list.{list}")]),
        }
    }

    async fn has_permission(
        &self,
        list: &Path<String>,
        action: Action,
        pk: Option<&Value>,
    ) -> bool {
        assert_eq!(pk.is_none(), action == Action::Create);
        list.0 != "shut"
    }
}

struct Keyed;

impl Binding for Keyed {
    type Model = Value;
    type Identity = Context;
    const TABLE: &'static str = "note";
    const STREAM: &'static str = "notes";
    const FIELDS: Fields = Fields::Only(&["key", "body", "data", "size"]);

    fn group_names(&self, _: &Value) -> Vec<String> {
        vec!["notes".to_owned()]
    }

    async fn subscribe(&self, _: &Context) -> Result<Vec<String>> {
        Ok(vec!["notes".to_owned()])
    }

    async fn has_permission(&self, _: &Context, _: Action, _: Option<&Value>) -> bool {
        true
    }
}

/// A worker with the bindings' streams, and connections that the test plays.
struct Stage {
    database: Database,
    bindings: Bindings,
    layer: Arc<MemoryLayer>,
    sink: Arc<CollectingSink>,
    stop: CancellationToken,
}

struct Peer {
    layer: Arc<MemoryLayer>,
    sink: Arc<CollectingSink>,
    local: LocalId,
    path: String,
    order: u64,
    session: Bytes,
}

impl Stage {
    async fn new(database: Database) -> Self {
        let bindings = database.bindings().add(Lists).add(Keyed);
        let limits = Limits::default();
        let clock = Arc::new(SystemClock::new());
        let layer = MemoryLayer::new(limits.clone(), clock, Arc::new(SystemEntropy));
        let sink = Arc::new(CollectingSink::new(&limits));
        layer.attach(sink.clone()).await.unwrap();
        let router = Router::new().route("/{list}", bindings.demultiplexer());
        let config = WorkerConfig::default();
        let worker = Worker::new(config, &router, layer.another_node(), States::new()).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(worker.run(stop.clone()));
        database
            .run("INSERT INTO todo (id, list, title, secret) VALUES (1, 'home', 'rest', 'x')")
            .await;
        Self {
            database,
            bindings,
            layer,
            sink,
            stop,
        }
    }

    async fn peer(&self, path: &str) -> Peer {
        let mut peer = Peer {
            layer: self.layer.clone(),
            sink: self.sink.clone(),
            local: self.sink.open(),
            path: path.to_owned(),
            order: 0,
            session: Bytes::new(),
        };
        assert_eq!(
            peer.event(EventKind::Connect(Box::default())).await,
            Vec::<Value>::new()
        );
        peer
    }

    /// The row of that key, as text that both databases write alike.
    async fn row(&self, id: i64) -> String {
        let sql = format!(
            "SELECT (SELECT list || ' ' || title || ' ' || CAST(CASE WHEN done THEN 1 ELSE 0 END AS TEXT) \
             || ' ' || coalesce(CAST(\"order\" AS TEXT), '-') || ' ' || coalesce(secret, '-') \
             FROM todo WHERE id = {id})"
        );
        self.database
            .text(&sql)
            .await
            .unwrap_or_else(|| "gone".to_owned())
    }

    async fn rows(&self) -> i64 {
        self.database.number("SELECT count(*) FROM todo").await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Peer {
    /// Emits an event; gives the frames that came before it was complete.
    async fn event(&mut self, kind: EventKind) -> Vec<Value> {
        let channel = ChannelName::new(kind.channel()).unwrap();
        let event = Event {
            reply_channel: ChannelName::reply(self.layer.node(), self.local),
            path: self.path.as_str().into(),
            topic: None,
            order: self.order,
            attempt: self.order + 1,
            session: self.session.clone(),
            kind,
        };
        self.order += 1;
        self.layer.send(&channel, event.into()).await.unwrap();
        let mut frames = Vec::new();
        loop {
            let reply = self.sink.next(self.local).await;
            if let Some(Frame::Text(text)) = &reply.frame {
                frames.push(serde_json::from_str(text).unwrap());
            }
            let Some(completion) = reply.completion else {
                continue;
            };
            match completion.outcome {
                Outcome::Done { session } => {
                    self.session = session.unwrap_or_else(|| self.session.clone());
                }
                other => panic!("{other:?}"),
            }
            return frames;
        }
    }

    async fn send(&mut self, payload: Value) -> Vec<Value> {
        self.send_to("todos", payload).await
    }

    async fn send_to(&mut self, stream: &str, payload: Value) -> Vec<Value> {
        let text = json!({"stream": stream, "payload": payload}).to_string();
        self.event(EventKind::Receive(Frame::Text(text.into())))
            .await
    }

    /// Sends what is done without a word.
    async fn done(&mut self, payload: Value) {
        assert_eq!(self.send(payload).await, Vec::<Value>::new());
    }

    /// Sends what is refused; gives the error.
    async fn refused(&mut self, payload: Value) -> (String, String) {
        let frames = self.send(payload).await;
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert_eq!(frames[0]["stream"], "todos");
        let part = |name: &str| frames[0]["error"][name].as_str().unwrap().to_owned();
        (part("code"), part("reason"))
    }
}

async fn a_client_creates_a_row(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    peer.done(
        json!({"action": "create", "data": {"title": "é ' \" \\", "done": true, "order": 7}}),
    )
    .await;
    let id = stage
        .database
        .number("SELECT id FROM todo WHERE \"order\" = 7")
        .await;
    assert_eq!(stage.row(id).await, "home é ' \" \\ 1 7 -");
    peer.done(json!({"action": "create", "data": {"title": "plain"}}))
        .await;
    assert_eq!(stage.rows().await, 3);
}

async fn a_client_updates_only_what_it_sends(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    peer.done(json!({"action": "update", "pk": 1, "data": {"done": true}}))
        .await;
    assert_eq!(stage.row(1).await, "home rest 1 - x");
    peer.done(json!({"action": "update", "pk": 1, "data": {"title": "t", "order": 3}}))
        .await;
    assert_eq!(stage.row(1).await, "home t 1 3 x");
    peer.done(json!({"action": "update", "pk": 1, "data": {"order": null}}))
        .await;
    assert_eq!(stage.row(1).await, "home t 1 - x");
}

async fn a_client_deletes_a_row(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    peer.done(json!({"action": "delete", "pk": 1})).await;
    assert_eq!(stage.row(1).await, "gone");
    let (code, reason) = peer.refused(json!({"action": "delete", "pk": 1})).await;
    assert_eq!(
        (code.as_str(), reason.as_str()),
        ("rejected", "there is no row with that pk")
    );
}

async fn a_field_that_is_not_listed_is_never_touched(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    for field in [
        "secret",
        "id",
        "list",
        "nothing",
        "rowid",
        "title\" = 'x' --",
        "Title",
    ] {
        let data = json!({"title": "new", (field): "y"});
        for payload in [
            json!({"action": "update", "pk": 1, "data": data}),
            json!({"action": "create", "data": data}),
        ] {
            let (code, reason) = peer.refused(payload).await;
            assert_eq!(code, "bad_payload");
            assert_eq!(reason, format!("field {field:?} cannot be set"));
        }
    }
    assert_eq!(stage.row(1).await, "home rest 0 - x");
    assert_eq!(stage.rows().await, 1);
}

async fn a_value_of_another_type_writes_nothing(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    for (field, value) in [
        ("done", json!("yes")),
        ("done", json!(1)),
        ("title", json!(7)),
        ("title", Value::Null),
        ("title", json!({"a": 1})),
        ("order", json!("first")),
        ("order", json!(1.5)),
        ("order", json!(u64::MAX)),
    ] {
        let data = json!({"title": "new", (field): value});
        for payload in [
            json!({"action": "update", "pk": 1, "data": data}),
            json!({"action": "create", "data": data}),
        ] {
            let (code, reason) = peer.refused(payload).await;
            assert_eq!(code, "bad_payload", "{data}");
            assert!(
                reason.starts_with(&format!("field {field}: invalid ")),
                "{reason}"
            );
        }
    }
    assert_eq!(stage.row(1).await, "home rest 0 - x");
    assert_eq!(stage.rows().await, 1);
}

async fn the_path_reaches_the_binding(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/work").await;
    peer.done(json!({"action": "create", "data": {"title": "plan", "order": 9}}))
        .await;
    let id = stage
        .database
        .number("SELECT id FROM todo WHERE \"order\" = 9")
        .await;
    assert_eq!(stage.row(id).await, "work plan 0 9 -");
    let channel = ChannelName::reply(stage.layer.node(), peer.local);
    let groups = stage.layer.channel_groups(&channel).await.unwrap();
    let names: Vec<&str> = groups.iter().map(GroupName::as_str).collect();
    assert_eq!(names, ["list.work", "notes"]);
}

async fn who_may_not_is_told_and_nothing_is_written(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/shut").await;
    for payload in [
        json!({"action": "create", "data": {"title": "x"}}),
        json!({"action": "update", "pk": 1, "data": {"title": "x"}}),
        json!({"action": "delete", "pk": 1}),
        // Permission comes first: nothing is learned of the fields.
        json!({"action": "update", "pk": 1, "data": {"secret": "x"}}),
    ] {
        let action = payload["action"].as_str().unwrap().to_owned();
        let (code, reason) = peer.refused(payload).await;
        assert_eq!(
            (code, reason),
            ("rejected".to_owned(), format!("you may not {action} this"))
        );
    }
    assert_eq!(stage.row(1).await, "home rest 0 - x");
    assert_eq!(stage.rows().await, 1);
}

/// A permission would not know the row by it, but the database would.
async fn a_key_in_another_form_finds_no_row(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    for pk in [json!("1"), json!(1.0), json!("1.0")] {
        for payload in [
            json!({"action": "update", "pk": pk, "data": {"title": "x"}}),
            json!({"action": "delete", "pk": pk}),
        ] {
            let (code, reason) = peer.refused(payload).await;
            assert_eq!(code, "bad_payload", "{reason}");
            assert!(reason.contains("id: "), "{reason}");
        }
    }
    assert_eq!(stage.row(1).await, "home rest 0 - x");
}

async fn what_makes_no_sense_is_answered_with_an_error(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    for (payload, expected) in [
        (
            json!({"action": "drop", "pk": 1}),
            "action is one of create, update, delete",
        ),
        (
            json!({"action": "update", "data": {"title": "x"}}),
            "update needs a pk",
        ),
        (json!({"action": "delete"}), "delete needs a pk"),
        (json!({"action": "update", "pk": 1}), "update needs data"),
        (
            json!({"action": "create", "pk": 2, "data": {}}),
            "create has no pk",
        ),
        (json!({"pk": 1}), "missing field `action`"),
        (json!([]), "invalid length 0"),
        (
            json!({"action": "delete", "pk": 1, "more": 1}),
            "unknown field `more`",
        ),
    ] {
        let (code, reason) = peer.refused(payload).await;
        assert_eq!(code, "bad_payload");
        assert!(reason.contains(expected), "{reason}");
    }
    let (code, _) = peer.refused(json!({"action": "delete", "pk": 99})).await;
    assert_eq!(code, "rejected");
    let (code, _) = peer.refused(json!({"action": "delete", "pk": "one"})).await;
    assert!(code == "rejected" || code == "bad_payload", "{code}");
    // The connection lives.
    peer.done(json!({"action": "delete", "pk": 1})).await;
}

async fn a_constraint_is_the_database_s_last_word(database: Database) {
    database
        .run("CREATE UNIQUE INDEX place ON todo (\"order\")")
        .await;
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    peer.done(json!({"action": "update", "pk": 1, "data": {"order": 1}}))
        .await;
    for data in [json!({"title": "twice", "order": 1}), json!({"order": 2})] {
        let (code, reason) = peer
            .refused(json!({"action": "create", "data": data}))
            .await;
        assert_eq!(
            (code.as_str(), reason.as_str()),
            ("rejected", "a constraint of the table forbids it")
        );
    }
    assert_eq!(stage.rows().await, 1);
}

async fn a_value_is_never_sql(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    let evil = "'; DROP TABLE todo; --";
    peer.done(json!({"action": "update", "pk": 1, "data": {"title": evil}}))
        .await;
    assert_eq!(stage.row(1).await, format!("home {evil} 0 - x"));
    let (code, _) = peer
        .refused(json!({"action": "delete", "pk": "1 OR 1 = 1"}))
        .await;
    assert!(code == "rejected" || code == "bad_payload", "{code}");
    assert_eq!(stage.rows().await, 1);
}

async fn a_change_of_one_client_is_told_to_all(database: Database) {
    let stage = Stage::new(database).await;
    stage.bindings.install().await.unwrap();
    let taker = stage
        .bindings
        .start(stage.layer.another_node())
        .await
        .unwrap();
    tokio::spawn(taker.run(stage.stop.clone()));
    let mut one = stage.peer("/home").await;
    let two = stage.peer("/home").await;
    let frames = one
        .send(json!({"action": "update", "pk": 1, "data": {"done": true}}))
        .await;
    for (peer, mut frames) in [(&one, frames), (&two, Vec::new())] {
        if frames.is_empty() {
            match peer.sink.next(peer.local).await.frame {
                Some(Frame::Text(text)) => frames.push(serde_json::from_str(&text).unwrap()),
                other => panic!("{other:?}"),
            }
        }
        let expected = json!({
            "action": "update", "pk": 1, "model": "todo",
            "data": {"title": "rest", "done": true, "order": null},
        });
        assert_eq!(frames, [json!({"stream": "todos", "payload": expected})]);
    }
}

async fn a_listed_key_can_be_chosen(database: Database) {
    let stage = Stage::new(database).await;
    let mut peer = stage.peer("/home").await;
    let key = "b4a1c0de-0000-4000-8000-00000000cafe";
    let data = json!({"key": key, "body": {"a": ["é", null]}, "data": "\\x00ff", "size": 0.1});
    let create = json!({"action": "create", "data": data});
    assert_eq!(
        peer.send_to("notes", create.clone()).await,
        Vec::<Value>::new()
    );
    assert_eq!(
        peer.send_to("notes", create).await[0]["error"]["code"],
        "rejected"
    );
    let sql = format!(
        "SELECT count(*) FROM note WHERE key = '{key}' AND size = 0.1 AND length(data) = 2"
    );
    assert_eq!(stage.database.number(&sql).await, 1);
    let update = json!({"action": "update", "pk": key, "data": {"body": "text"}});
    assert_eq!(peer.send_to("notes", update).await, Vec::<Value>::new());
    let body = stage
        .database
        .text("SELECT CAST(body AS TEXT) FROM note")
        .await;
    assert_eq!(body.as_deref(), Some("\"text\""));
    let empty = json!({"action": "create", "data": {}});
    let frames = peer.send_to("notes", empty).await;
    if !stage.database.is_sqlite() {
        assert_eq!(frames[0]["error"]["code"], "rejected");
    }
}

#[tokio::test]
async fn a_refused_subscription_refuses_the_connection() {
    let stage = Stage::new(Database::sqlite().await).await;
    let local = stage.sink.open();
    let event = Event {
        reply_channel: ChannelName::reply(stage.layer.node(), local),
        path: "/nowhere".into(),
        topic: None,
        order: 0,
        attempt: 1,
        session: Bytes::new(),
        kind: EventKind::Connect(Box::default()),
    };
    let channel = ChannelName::new("websocket.connect").unwrap();
    stage.layer.send(&channel, event.into()).await.unwrap();
    let deny = stage.sink.next(local).await.deny.unwrap();
    assert_eq!(deny.status, 403);
}
