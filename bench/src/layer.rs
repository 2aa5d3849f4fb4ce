//! A channel layer without sockets: messages a second from send to receive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use tokio::task::JoinSet;
use towpath::Layers;
use towpath::config::{Config, Layer, LayerKind};
use towpath::layer::{ChannelLayer, ChannelName, Content, SendError};

/// Its capacity is that of the events of an interface server.
const CHANNEL: &str = "websocket.bench";

/// Payload of one message, in bytes.
const PAYLOAD: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure this Redis, too; what is on it under `towpath:` is emptied.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Messages in a run; a tenth of it where one waits for the other.
    #[arg(long, default_value_t = 200_000)]
    messages: usize,
    /// Messages in a batch, and senders that send one by one.
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Runs; figures are their medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// One sender, many at a time.
    Batches,
    /// Many senders, one at a time each.
    Singles,
    /// One sender that waits until each is received.
    PingPong,
}

const SHAPES: [(Shape, &str); 3] = [
    (Shape::Batches, "batches"),
    (Shape::Singles, "one by one, many at once"),
    (Shape::PingPong, "one after the other"),
];

/// Measures and prints a Markdown table.
pub(crate) fn run(options: &Options) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(measure(options))
}

#[expect(clippy::print_stdout, reason = "the table is the result")]
async fn measure(options: &Options) -> Result<()> {
    let mut backends = vec![("memory", Layer::default())];
    if let Some(url) = &options.redis {
        let kind = LayerKind::Redis;
        backends.push((
            "redis",
            Layer {
                kind,
                url: Some(url.clone()),
                ..Layer::default()
            },
        ));
    }
    println!("| layer | how | messages a second | range |");
    println!("|---|---|--:|--:|");
    for (name, layer) in backends {
        let (sender, receiver) = open(layer).await?;
        for (shape, label) in SHAPES {
            let mut rates = Vec::new();
            for _ in 0..options.rounds.max(1) {
                rates.push(rate(shape, options, &sender, &receiver).await?);
            }
            rates.sort_by(f64::total_cmp);
            let (Some(least), Some(most)) = (rates.first(), rates.last()) else {
                continue;
            };
            let median = rates.get(rates.len() / 2).unwrap_or(most);
            println!("| {name} | {label} | {median:.0} | {least:.0} to {most:.0} |");
        }
        sender.close().await;
        receiver.close().await;
    }
    Ok(())
}

type Shared = Arc<dyn ChannelLayer>;

/// Two nodes on Redis; on memory, where one process is all, one.
async fn open(layer: Layer) -> Result<(Shared, Shared)> {
    let spans = layer.kind == LayerKind::Redis;
    let mut config = Config::default();
    config.layers.insert("default".to_owned(), layer);
    let sender = Arc::clone(Layers::open(&config).await?.default_layer());
    sender.flush().await?;
    let receiver = if spans {
        Arc::clone(Layers::open(&config).await?.default_layer())
    } else {
        Arc::clone(&sender)
    };
    Ok((sender, receiver))
}

async fn rate(shape: Shape, options: &Options, sender: &Shared, receiver: &Shared) -> Result<f64> {
    let messages = match shape {
        Shape::Batches | Shape::Singles => options.messages,
        Shape::PingPong => options.messages / 10,
    };
    let begin = Instant::now();
    match shape {
        Shape::Batches => {
            let sending = send(sender, messages, options.batch);
            let (sent, received) =
                tokio::join!(sending, receive(receiver, messages, options.batch));
            sent.and(received)?;
        }
        Shape::Singles => {
            let sending = send_singly(sender, messages, options.batch);
            let (sent, received) =
                tokio::join!(sending, receive(receiver, messages, options.batch));
            sent.and(received)?;
        }
        Shape::PingPong => ping_pong(sender, receiver, messages).await?,
    }
    Ok(per_second(messages, begin.elapsed()))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_second(messages: usize, took: Duration) -> f64 {
    messages as f64 / took.as_secs_f64()
}

fn channel() -> Result<ChannelName> {
    Ok(ChannelName::new(CHANNEL)?)
}

async fn send(layer: &Shared, messages: usize, batch: usize) -> Result<()> {
    let content = Content::encode(&"x".repeat(PAYLOAD))?;
    let name = channel()?;
    let mut left = messages;
    while left > 0 {
        let batch = vec![(name.clone(), content.clone().into()); batch.min(left)];
        for sent in layer.send_many(batch).await {
            match sent {
                Ok(()) => left -= 1,
                Err(SendError::ChannelFull { channel }) => layer.room(&channel).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

async fn send_singly(layer: &Shared, messages: usize, senders: usize) -> Result<()> {
    let mut tasks = JoinSet::new();
    for number in 0..senders {
        let layer = Arc::clone(layer);
        let share = messages / senders + usize::from(number < messages % senders);
        tasks.spawn(async move { send(&layer, share, 1).await });
    }
    while let Some(sent) = tasks.join_next().await {
        sent??;
    }
    Ok(())
}

async fn receive(layer: &Shared, messages: usize, batch: usize) -> Result<()> {
    let mut receiver = layer.receiver(vec![channel()?])?;
    let mut buffer = Vec::new();
    let mut left = messages;
    while left > 0 {
        left -= receiver.receive_many(&mut buffer, batch.min(left)).await?;
        buffer.clear();
    }
    receiver.close().await.context("giving back")
}

async fn ping_pong(sender: &Shared, receiving: &Shared, messages: usize) -> Result<()> {
    let mut receiver = receiving.receiver(vec![channel()?])?;
    let mut buffer = Vec::new();
    for _ in 0..messages {
        send(sender, 1, 1).await?;
        let received = receiver.receive_many(&mut buffer, 1).await?;
        if received != 1 {
            return Err(anyhow!("{received} messages for one"));
        }
        buffer.clear();
    }
    receiver.close().await.context("giving back")
}
