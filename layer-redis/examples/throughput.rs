//! How many messages go through one shared channel in a second, in one process:
//! `cargo run --release --example throughput [messages] [batch]`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, Limits, SendError, SystemClock, SystemEntropy,
};
use towpath_layer_redis::{RedisLayer, RedisOptions};
use towpath_testkit::redis::RedisServer;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is there to be read")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (messages, batch) = (number(500_000)?, number(128)?);
    let server = RedisServer::launch().await?;
    let (sender, receiver) = (connect(&server).await?, connect(&server).await?);
    let begin = Instant::now();
    let (sent, received) = futures_util::join!(
        send(&*sender, messages, batch),
        receive(&*receiver, messages, batch)
    );
    sent?;
    received?;
    report("batches", messages, begin.elapsed());

    let singles = messages / 4;
    let begin = Instant::now();
    let (sent, received) = futures_util::join!(
        send_singly(&sender, singles, batch),
        receive(&*receiver, singles, batch)
    );
    sent?;
    received?;
    report("one by one, at once", singles, begin.elapsed());

    let trips = 5_000;
    let begin = Instant::now();
    for _ in 0..trips {
        send(&*sender, 1, 1).await?;
        receive(&*receiver, 1, 1).await?;
    }
    println!("one after the other: {:?} each", begin.elapsed() / trips);
    sender.close().await;
    receiver.close().await;
    return Ok(());

    #[expect(clippy::cast_precision_loss, reason = "it is a rough figure")]
    fn report(what: &str, messages: usize, took: Duration) {
        let rate = messages as f64 / took.as_secs_f64();
        println!("{what}: {messages} messages in {took:.2?}, {rate:.0} a second");
    }
}

async fn connect(server: &RedisServer) -> Result<Arc<RedisLayer>> {
    let options = RedisOptions::new(server.url());
    let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
    Ok(RedisLayer::connect(options, Limits::default(), clock, entropy).await?)
}

fn channel() -> Result<ChannelName> {
    Ok(ChannelName::new("websocket.receive")?)
}

async fn send(layer: &dyn ChannelLayer, messages: usize, batch: usize) -> Result<()> {
    let content = Content::encode(&"x".repeat(100))?;
    let name = channel()?;
    let mut left = messages;
    while left > 0 {
        let messages = vec![(name.clone(), content.clone().into()); batch.min(left)];
        for sent in layer.send_many(messages).await {
            match sent {
                Ok(()) => left -= 1,
                Err(SendError::ChannelFull { channel }) => layer.room(&channel).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

async fn send_singly(layer: &Arc<RedisLayer>, messages: usize, at_once: usize) -> Result<()> {
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let layer = Arc::clone(layer);
        senders.spawn(async move {
            for _ in 0..messages / at_once {
                send(&*layer, 1, 1).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    send(&**layer, messages % at_once, 1).await
}

async fn receive(layer: &dyn ChannelLayer, messages: usize, batch: usize) -> Result<()> {
    let mut receiver = layer.receiver(vec![channel()?])?;
    let mut buffer = Vec::new();
    let mut left = messages;
    while left > 0 {
        left -= receiver.receive_many(&mut buffer, batch.min(left)).await?;
        buffer.clear();
    }
    Ok(receiver.close().await?)
}
