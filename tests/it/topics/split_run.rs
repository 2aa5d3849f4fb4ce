//! One of two workers is killed while everybody in every topic counts.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use towpath_testkit::redis::RedisServer;

use super::CROWD;
use super::client::{Client, Heard, PATIENCE, Reply};
use crate::machine;
use crate::process::Process;

const TOPICS: usize = 30;
const MEMBERS: usize = 10;
const CLIENTS: usize = TOPICS * MEMBERS;

/// What each has counted before the worker is killed, and counts after it.
const BEFORE: u64 = 5;
const AFTER: u64 = 10;

/// Short, so that a dead worker is soon missed.
const LEASE: (&str, &str) = ("TOWPATH__LAYERS__DEFAULT__LEASE", "3s");

#[tokio::test]
async fn topics_keep_their_state_when_a_worker_is_killed_and_no_socket_closes() -> Result<()> {
    let _machine = machine::alone().await;
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let arguments = ["interface", "--layer", &url, "--listen", "127.0.0.1:0"];
    let interface = Process::start_program(CROWD, &arguments, &[LEASE])?;
    let address = interface.address().await?;
    let (killed, _other) = (worker(&url).await?, worker(&url).await?);

    let (begun, mut begins) = mpsc::channel(CLIENTS);
    let (over, kill) = watch::channel(false);
    let mut members = Vec::new();
    for number in 0..CLIENTS {
        members.push(Member::join(&address, format!("count:{}", number / MEMBERS)).await?);
    }
    let mut counting = JoinSet::new();
    for member in members.drain(..) {
        counting.spawn(member.count(begun.clone(), kill.clone()));
    }
    for _ in 0..CLIENTS {
        tokio::select! {
            biased;
            Some(ended) = counting.join_next() => bail!("one counts no more: {:?}", ended?.err()),
            one = begins.recv() => ensure!(one.is_some()),
        }
    }
    killed.kill().await?;
    over.send_replace(true);

    while let Some(member) = counting.join_next().await {
        members.push(member??);
    }
    let lost: u64 = members.iter().map(|member| member.lost).sum();
    let counted: u64 = members.iter().map(|member| member.count).sum();
    eprintln!("{CLIENTS} clients counted {counted}; {lost} events died with the worker");
    ensure!(lost > 0, "the worker had nothing in its hands");
    everybody_hears(&mut members).await
}

async fn worker(url: &str) -> Result<Process> {
    let worker = Process::start_program(CROWD, &["worker", "--layer", url], &[LEASE])?;
    worker.logged("the worker receives").await?;
    Ok(worker)
}

/// One in each topic speaks, and all the others hear it.
async fn everybody_hears(members: &mut [Member]) -> Result<()> {
    for number in 0..TOPICS {
        let topic = format!("count:{number}");
        let mut together: Vec<_> = members
            .iter_mut()
            .filter(|one| one.topic == topic)
            .collect();
        ensure!(together.len() == MEMBERS);
        together[0].push("shout").await?;
        for member in together {
            // What it counted last may still be answered.
            while member.hears("phx_reply", "shout").await? {}
        }
    }
    Ok(())
}

/// A client in a topic.
struct Member {
    client: Client,
    topic: String,
    joined: u64,
    count: u64,
    lost: u64,
}

impl Member {
    async fn join(address: &str, topic: String) -> Result<Self> {
        let mut client = Client::connect(address).await?;
        let joined = client.join(&topic, &json!({})).await?;
        let mut member = Self {
            client,
            topic,
            joined,
            count: 0,
            lost: 0,
        };
        let (reference, reply) = member.reply().await?;
        ensure!(reference == joined && reply.status == "ok", "{reply:?}");
        Ok(member)
    }

    /// Counts, with one message in flight and one behind it: they are handled in
    /// order, so that a message was lost whose successor is answered.
    async fn count(mut self, begun: mpsc::Sender<()>, kill: watch::Receiver<bool>) -> Result<Self> {
        let (mut said, mut after) = (VecDeque::new(), 0);
        while after < AFTER {
            while said.len() < 2 {
                said.push_back(self.push("bump").await?);
            }
            let was_killed = *kill.borrow();
            let (reference, reply) = self.reply().await?;
            ensure!(said.contains(&reference), "answered twice: {reply:?}");
            while said.pop_front() != Some(reference) {
                self.lost += 1;
            }
            let count = reply.response["count"].as_u64();
            ensure!(
                reply.status == "ok" && count == Some(self.count + 1),
                "{reply:?}"
            );
            ensure!(self.lost <= 1, "{} events were lost", self.lost);
            self.count += 1;
            after += u64::from(was_killed);
            if self.count == BEFORE {
                begun.send(()).await?;
            }
        }
        Ok(self)
    }

    async fn push(&mut self, event: &str) -> Result<u64> {
        let payload = json!({});
        self.client
            .push(self.joined, &self.topic, event, &payload)
            .await
    }

    /// The next answer, and to which message.
    async fn reply(&mut self) -> Result<(u64, Reply)> {
        let heard = self.next().await?;
        ensure!(heard.event == "phx_reply", "{heard:?}");
        let reference = heard.reference().context("an answer to nothing")?;
        Ok((reference, heard.payload()?))
    }

    /// Whether the next message is the first of these, and not the second.
    async fn hears(&mut self, first: &str, second: &str) -> Result<bool> {
        let heard = self.next().await?;
        ensure!(heard.event == first || heard.event == second, "{heard:?}");
        Ok(heard.event == first)
    }

    async fn next(&mut self) -> Result<Heard> {
        let heard = timeout(PATIENCE, self.client.next()).await;
        heard.context("nothing arrives")?
    }
}
