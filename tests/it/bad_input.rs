//! What bad input gets: the error that a person or a peer sees, while two
//! bystanders talk on and notice nothing.

mod command;
mod configuration;
mod entry;
mod flood;
mod frames;
mod handshake;
mod person;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::chat::Person;
use crate::process::{PATIENCE, Process};
use crate::serve::get;

/// A process, and two people in a room of it who are not to be touched.
struct Scene {
    process: Process,
    address: String,
    operator: String,
    ada: Person,
    ben: Person,
    lines: usize,
}

impl Scene {
    /// The room that the bystanders are in.
    const ROOM: &str = "quiet";

    async fn start(variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_on("memory", variables).await
    }

    async fn start_on(layer: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--layer", layer];
        let process = Process::start_with(&arguments, variables)?;
        let address = process.address().await?;
        let operator = process.operator().await?;
        let mut ada = Person::enter(&address, Self::ROOM, "Ada").await?;
        let ben = Person::enter(&address, Self::ROOM, "Ben").await?;
        ensure!(ada.next().await? == json!({"type": "joined", "name": "Ada"}));
        let mut scene = Self {
            process,
            address,
            operator,
            ada,
            ben,
            lines: 0,
        };
        for person in [&mut scene.ada, &mut scene.ben] {
            ensure!(person.next().await? == json!({"type": "joined", "name": "Ben"}));
        }
        scene.untouched().await?;
        // So it is seen that the counter is the one that is asked for.
        ensure!(scene.connects().await? == 2);
        Ok(scene)
    }

    /// The bystanders talk: each line reaches both, and nothing else has
    /// reached them since the last.
    async fn untouched(&mut self) -> Result<()> {
        for speaker in ["Ada", "Ben"] {
            self.lines += 1;
            let text = format!("line {}", self.lines);
            let said = json!({"type": "message", "name": speaker, "text": text});
            match speaker {
                "Ada" => self.ada.say(&text).await?,
                _ => self.ben.say(&text).await?,
            }
            for person in [&mut self.ada, &mut self.ben] {
                let heard = person.next().await;
                let heard =
                    heard.with_context(|| format!("{}:\n{}", person.name, self.process.log()))?;
                ensure!(heard == said, "{} hears {heard}", person.name);
            }
        }
        Ok(())
    }

    /// The sum of the operator's metrics whose line begins so.
    async fn metric(&self, begin: &str) -> Result<u64> {
        let (status, metrics) = get(&self.operator, "/metrics").await?;
        ensure!(status == StatusCode::OK, "{status}");
        let values = metrics
            .lines()
            .filter(|line| line.starts_with(begin))
            .filter_map(|line| line.rsplit(' ').next());
        values.map(|value| Ok(value.parse::<u64>()?)).sum()
    }

    /// Connect events that the layer was handed.
    async fn connects(&self) -> Result<u64> {
        self.metric("towpath_events_total{channel=\"websocket.connect\"}")
            .await
    }

    /// Sockets closed with a code.
    async fn closes(&self, code: &str) -> Result<u64> {
        self.metric(&format!("towpath_closes_total{{code=\"{code}\"}}"))
            .await
    }

    /// Waits until only the bystanders' sockets are open.
    async fn alone(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let wait = async {
            while self.metric("towpath_connections ").await? != 2 {
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        timeout_at(deadline, wait)
            .await
            .context("somebody else is still connected")?
    }
}
