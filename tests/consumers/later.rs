//! What happens later: events, ticks, jobs on channels of the application.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Later {
    ticks: u32,
    pending: Option<DelayKey>,
}

impl WebsocketConsumer for Later {
    async fn connect(_: &Socket) -> Result<Self> {
        let pending = None;
        Ok(Self { ticks: 0, pending })
    }

    async fn receive_text(&mut self, text: &str, socket: &Socket) -> Result {
        match text {
            "tick" => socket.tick_every(Duration::from_millis(100), "tick").await,
            "soon" => {
                let delay = Duration::from_millis(200);
                socket
                    .event_after(delay, "soon", "it is time")
                    .await
                    .map(drop)
            }
            "much later" => {
                let delay = Duration::from_hours(1);
                self.pending = Some(socket.event_after(delay, "late", "").await?);
                socket.text("waiting").await
            }
            "cancel" => {
                let cancelled = match self.pending.take() {
                    Some(key) => socket.layer().cancel(&key).await?,
                    None => false,
                };
                socket.json(&cancelled).await
            }
            number => {
                let number = number.parse()?;
                let job = Job {
                    number,
                    reply_to: socket.reply_channel().clone(),
                };
                let delay = Duration::from_millis(100);
                socket
                    .layer()
                    .send_after(delay, "jobs.multiply", &job)
                    .await?;
                socket.layer().send("jobs.square", &job).await
            }
        }
    }

    async fn event(&mut self, event: Application, socket: &Socket) -> Result {
        if event.name != "tick" {
            return socket
                .text(format!(
                    "{}: {}",
                    event.name,
                    event.content.decode::<String>()?
                ))
                .await;
        }
        self.ticks += 1;
        if self.ticks == 3 {
            socket.stop_ticking("tick").await?;
        }
        socket.text(format!("tick {}", self.ticks)).await
    }
}

/// Work that is not done on a connection.
#[derive(Debug)]
pub(crate) struct Jobs {
    pub(crate) factor: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    number: u64,
    reply_to: ChannelName,
}

impl Consumer for Jobs {
    fn methods(&self, methods: Methods<Self>) -> Methods<Self> {
        methods
            .on("jobs.square", Self::square)
            .on("jobs.multiply", Self::multiply)
    }
}

impl Jobs {
    async fn square(Payload(job): Payload<Job>, layer: Layer) -> Result {
        let square = format!("squared {}", job.number * job.number);
        layer.reply(&job.reply_to, Reply::text(square)).await
    }

    async fn multiply(this: This<Self>, Payload(job): Payload<Job>, layer: Layer) -> Result {
        let product = format!("multiplied {}", job.number * this.factor);
        layer.reply(&job.reply_to, Reply::text(product)).await
    }
}
