//! A client of the interface that knows nothing of Rust: HTTP and JSON. Every
//! answer that it gets, and every request that is served, must be as the
//! served document says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use towpath_interface_server::{ApiLimits, LayerApi, Tokens};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, GroupName, History, InboxEntry, InboxSink, Limits, LocalId,
    Membership, Refused,
};
use towpath_layer_memory::MemoryLayer;

use crate::rig::{layer, within};

pub(super) const TOKEN: &str = "a-token-for-tests-only";
pub(super) const OLD_TOKEN: &str = "the-token-before-it.";

/// What is kept of a topic whose name begins with `kept:`.
const HISTORY: History = History {
    size: 2,
    ttl: Duration::from_mins(1),
};

/// The interface on a layer.
pub(super) struct Outside {
    pub(super) address: SocketAddr,
    pub(super) layer: Arc<MemoryLayer>,
    /// The interface's own node.
    pub(super) node: Arc<MemoryLayer>,
    pub(super) stop: CancellationToken,
    pub(super) running: JoinHandle<()>,
    document: Value,
    /// The operations that have been served.
    pub(super) served: Mutex<BTreeSet<String>>,
}

/// An answer, read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

pub(super) fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

pub(super) fn content(value: &Value) -> Content {
    Content::encode(value).unwrap()
}

/// Notes what it is told.
#[derive(Debug)]
struct Notebook(mpsc::Sender<InboxEntry>);

#[async_trait]
impl InboxSink for Notebook {
    fn deliver(&self, entry: InboxEntry) -> Result<(), Refused> {
        self.0.try_send(entry).unwrap();
        Ok(())
    }

    async fn room(&self) {}

    fn mark_gap(&self) {}

    fn is_live(&self, _: LocalId) -> bool {
        true
    }

    async fn memberships(&self) -> Vec<Membership> {
        Vec::new()
    }
}

impl Outside {
    /// Lets the layer's own node have members; what it is told.
    pub(super) async fn attach(&self) -> mpsc::Receiver<InboxEntry> {
        let (notes, told) = mpsc::channel(1000);
        self.layer.attach(Arc::new(Notebook(notes))).await.unwrap();
        told
    }

    pub(super) async fn start() -> Self {
        Self::start_with(Limits::default(), ApiLimits::default()).await
    }

    pub(super) async fn start_with(limits: Limits, api: ApiLimits) -> Self {
        Self::on(layer(limits), api).await
    }

    /// The interface as a further node of a layer.
    pub(super) async fn on(layer: Arc<MemoryLayer>, limits: ApiLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let tokens = Tokens::new([TOKEN, OLD_TOKEN]).unwrap();
        let node = layer.another_node();
        let same = Arc::clone(&node) as Arc<dyn ChannelLayer>;
        let kept = |topic: &str| topic.starts_with("kept:").then_some(HISTORY);
        let api = LayerApi::new(tokens, limits).histories(kept);
        let serving = api.serve(listener, same, stop.clone());
        let mut outside = Self {
            address,
            layer,
            node,
            stop,
            running: TaskTracker::new().spawn(serving),
            document: Value::Null,
            served: Mutex::default(),
        };
        let request = Request::get("/v1/openapi.json")
            .body(Full::default())
            .unwrap();
        outside.document = outside.send(request).await.json();
        outside
    }

    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    /// A connection on which requests can be made one after the other.
    pub(super) async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        let _running = TaskTracker::new().spawn(connection);
        sender
    }

    /// Sends any request.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let mut sender = self.connect().await;
        let response = within(sender.send_request(request)).await.unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: within(body.collect()).await.unwrap().to_bytes(),
        }
    }

    /// A request with the token, for more to be added.
    pub(super) fn request(&self, method: &Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("authorization", format!("Bearer {TOKEN}"))
    }

    /// Posts JSON.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        let text = Bytes::from(body.to_string());
        let request = self
            .request(&Method::POST, path)
            .header("content-type", "application/json")
            .body(Full::new(text))
            .unwrap();
        let answer = self.send(request).await;
        if answer.status == 200 {
            self.check(&self.schema_of_request(path), body);
        }
        self.check_answer(&Method::POST, path, &answer);
        answer
    }

    /// Posts JSON that must be served; what comes of it.
    pub(super) async fn done(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }

    /// Posts JSON that must be refused; the problem.
    pub(super) async fn refused(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).await;
        assert_ne!(answer.status, 200, "{}", answer.json());
        answer.json()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let request = self.request(&Method::GET, path).body(Full::default());
        let answer = self.send(request.unwrap()).await;
        self.check_answer(&Method::GET, path, &answer);
        answer
    }

    /// Gets what must be there.
    pub(super) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }

    /// Stops the interface and waits for it.
    pub(super) async fn end(self) {
        self.stop.cancel();
        within(self.running).await.unwrap();
    }

    /// Holds an answer against the document.
    fn check_answer(&self, method: &Method, path: &str, answer: &Answer) {
        if answer.status != StatusCode::OK {
            let problem = json!({ "$ref": "#/components/schemas/Problem" });
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.json()["status"], answer.status);
            return self.check(&problem, &answer.json());
        }
        if answer.header("content-type") == "application/json" {
            let operation = self.operation(method, path);
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let content = &operation["responses"]["200"]["content"];
            self.check(&content["application/json"]["schema"], &answer.json());
            self.served.lock().insert(id);
        }
    }

    /// Holds a line of an answer that has no end against the document.
    pub(super) fn check_line(&self, path: &str, line: &Value) {
        let operation = self.operation(&Method::GET, path);
        let content = &operation["responses"]["200"]["content"];
        self.check(&content["application/x-ndjson"]["schema"], line);
        let id = operation["operationId"].as_str().unwrap().to_owned();
        self.served.lock().insert(id);
    }

    fn schema_of_request(&self, path: &str) -> Value {
        let operation = self.operation(&Method::POST, path);
        match operation.get("requestBody") {
            Some(body) => body["content"]["application/json"]["schema"].clone(),
            None => json!({}),
        }
    }

    fn operation(&self, method: &Method, path: &str) -> &Value {
        let paths = self.document["paths"].as_object().unwrap();
        let path = path.split('?').next().unwrap();
        let fits = |template: &&String| {
            let (mut given, mut parts) = (path.split('/'), template.split('/'));
            given.by_ref().count() == parts.by_ref().count()
                && path
                    .split('/')
                    .zip(template.split('/'))
                    .all(|(given, part)| part.starts_with('{') || part == given)
        };
        let template = paths.keys().find(fits).expect("a path of the document");
        &paths[template][method.as_str().to_lowercase()]
    }

    #[track_caller]
    fn check(&self, schema: &Value, value: &Value) {
        let mut schema = schema.clone();
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "{value} is not as the document says: {errors:#?}"
        );
    }
}
