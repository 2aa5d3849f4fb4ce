//! What the log says of consumers.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use towpath_worker::{Context, Error, Result, Router, Text, TraceLayer, websocket};
use tracing_subscriber::fmt::MakeWriter;

use crate::stage::Stage;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    fn lines_with(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains(part));
        lines.map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn each_consumer_leaves_one_line_without_a_payload() {
    async fn connect(context: Context) {
        context.identify("ada");
    }
    async fn receive(Text(text): Text) -> Result {
        tracing::info!("at work");
        match &*text {
            "hush slow" => {
                sleep(Duration::from_secs(1)).await;
                Ok(())
            }
            "hush no" => Err(Error::rejected("no")),
            _ => Ok(()),
        }
    }
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let router = Router::new()
        .route("/room/{id}", websocket().connect(connect).receive(receive))
        .middleware(TraceLayer::new().slow(Duration::from_millis(500)));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/room/7");
    peer.connect().await.done();
    peer.text("hush").await.done();
    peer.text("hush no").await.done();
    peer.text("hush slow").await.done();

    let returned = log.lines_with("a consumer has returned");
    assert_eq!(returned.len(), 3, "{returned:#?}");
    for (line, said) in returned.iter().zip([
        ["kind=connect", "order=0", "outcome=\"done\""],
        ["kind=receive", "order=1", "outcome=\"done\""],
        ["kind=receive", "order=2", "outcome=\"rejected\""],
    ]) {
        for part in said
            .iter()
            .chain(&["path=\"/room/7\"", "identity=\"ada\"", "took_ms=0"])
        {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    let slow = log.lines_with("a consumer was slow");
    assert_eq!(slow.len(), 1, "{slow:#?}");
    assert!(
        slow[0].contains(" WARN ") && slow[0].contains("took_ms=1000"),
        "{slow:#?}"
    );
    let within = log.lines_with("at work");
    assert!(
        within.iter().all(|line| line.contains("identity=\"ada\"")),
        "{within:#?}"
    );
    assert!(log.lines_with("hush").is_empty());
}
