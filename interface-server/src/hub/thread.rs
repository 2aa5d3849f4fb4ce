//! Runs a shard, on a thread of its own or where it is told to.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::ChannelLayer;

use super::shard::Shard;
use super::{
    Arrival, Hub, cleanup, descriptors, emitter, flusher, inbox, presence, sweeper, ticker, watch,
};
use crate::HttpService;
use crate::config::ServerConfig;
use crate::routes::Routes;
use crate::transport::{http, longpoll, mounted};

/// Tasks that run before the kernel is asked for news: one turn holds them all.
const EVENT_INTERVAL: u32 = 256;

/// What a page's blocking work may still take at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The shards' threads; they end when this is dropped or [`end`](Self::end)ed.
#[derive(Debug)]
pub(crate) struct Threads {
    stop: CancellationToken,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Ends the threads and waits for them.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        let handles = std::mem::take(&mut self.handles);
        let joined = tokio::task::spawn_blocking(move || {
            handles.into_iter().all(|handle| handle.join().is_ok())
        });
        if !joined.await.unwrap_or(false) {
            tracing::error!("a shard has panicked");
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts a hub's shards.
pub(crate) fn start(
    config: Arc<ServerConfig>,
    routes: Routes,
    layer: Arc<dyn ChannelLayer>,
    pages: Option<&HttpService>,
) -> io::Result<(Arc<Hub>, Threads)> {
    descriptors::reserve();
    let (hub, receivers) = Hub::new(config, routes, layer);
    let mut threads = Threads {
        stop: CancellationToken::new(),
        handles: Vec::with_capacity(receivers.len()),
    };
    let (started, ready) = sync_channel(receivers.len());
    for (number, arrivals) in receivers.into_iter().enumerate() {
        let (hub, stop, pages) = (Arc::clone(&hub), threads.stop.clone(), pages.cloned());
        let started = started.clone();
        let main = move || match Builder::new_current_thread()
            .enable_all()
            .event_interval(EVENT_INTERVAL)
            .build_local(LocalOptions::default())
        {
            Ok(runtime) => {
                // Nobody waits for the word if another shard could not start.
                started.send(Ok(())).unwrap_or_default();
                runtime.block_on(run(hub, number, pages, arrivals, stop));
                runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
            }
            Err(error) => started.send(Err(error)).unwrap_or_default(),
        };
        let thread = std::thread::Builder::new().name(format!("towpath-shard-{number}"));
        threads.handles.push(thread.spawn(main)?);
    }
    for _ in &threads.handles {
        ready.recv().map_err(io::Error::other)??;
    }
    Ok((hub, threads))
}

/// Runs one shard until `stop`, on the local tasks of the caller's thread.
pub(crate) async fn run(
    hub: Arc<Hub>,
    number: usize,
    pages: Option<HttpService>,
    arrivals: mpsc::Receiver<Arrival>,
    stop: CancellationToken,
) {
    let shard = Shard::new(Arc::clone(&hub), number, pages);
    let mut loops = JoinSet::new();
    loops.spawn_local(inbox::run(Rc::clone(&shard)));
    loops.spawn_local(flusher::run(Rc::clone(&shard)));
    loops.spawn_local(emitter::run(Rc::clone(&shard)));
    loops.spawn_local(cleanup::run(Rc::clone(&shard)));
    loops.spawn_local(sweeper::run(Rc::clone(&shard)));
    loops.spawn_local(ticker::run(Rc::clone(&shard)));
    loops.spawn_local(watch::run(Rc::clone(&shard)));
    loops.spawn_local(presence::run(Rc::clone(&shard)));
    loops.spawn_local(arrive(Rc::clone(&shard), arrivals));
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        Some(ended) = loops.join_next() => {
            tracing::error!(shard = number, error = ?ended.err(), "a shard has failed");
            hub.failed.cancel();
        }
    }
}

/// Takes arrivals for as long as the shard lives.
async fn arrive(shard: Rc<Shard>, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        match arrival {
            Arrival::Socket {
                stream,
                client,
                seat,
            } => {
                let task = http::serve(Rc::clone(&shard), stream, client, seat);
                shard.sockets.spawn_local(task);
            }
            Arrival::Mounted {
                request,
                upgrade,
                answer,
                seat,
            } => {
                let task = mounted::serve(Rc::clone(&shard), *request, upgrade, answer, seat);
                shard.sockets.spawn_local(task);
            }
            Arrival::Polled {
                request,
                entrance,
                ends,
                answer,
            } => {
                let shard = Rc::clone(&shard);
                shard.sockets.clone().spawn_local(async move {
                    let response = longpoll::serve(&shard, *request, entrance, ends).await;
                    // Whoever asked may be gone.
                    drop(answer.send(response));
                });
            }
            // Whoever asked may have stopped waiting.
            Arrival::Memberships(answer) => {
                shard.renew_presences();
                answer.send(shard.memberships()).unwrap_or_default();
            }
            Arrival::Drain { until, done } => {
                let shard = Rc::clone(&shard);
                let drain = async move {
                    shard.drain(until).await;
                    done.send(()).unwrap_or_default();
                };
                // Its end is told to whoever asked; the shard ends after it.
                drop(tokio::task::spawn_local(drain));
            }
        }
    }
}
