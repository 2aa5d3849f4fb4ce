//! Takes the changes of a database and publishes them, in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use towpath_layer_core::ChannelLayer;

use crate::bound::Plan;
use crate::change::{Memory, Stored};
use crate::config::FeedConfig;
use crate::feed::{Feed, Source};
use crate::pace::Backoff;
use crate::publish::{Interrupted, Publisher};
use crate::{BindingError, meter};

const AGAIN_LEAST: Duration = Duration::from_millis(50);
const AGAIN_MOST: Duration = Duration::from_secs(2);

/// When all have lost the database, whoever stood by lets the last taker come
/// back first, for it alone knows what it published and could not note. Two
/// tries lie closer together than this.
const COME_BACK: Duration = Duration::from_secs(3);

/// How long a taker that stops may take for its last words to the database.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// Takes and publishes until it is stopped, whatever becomes of the database
/// meanwhile; ends by itself only when the layer is closed.
pub(crate) async fn run<S: Source>(
    source: S,
    plan: Arc<Plan>,
    layer: Arc<dyn ChannelLayer>,
    config: &FeedConfig,
    stop: &CancellationToken,
) {
    let mut publisher = Publisher::new(layer, plan, config.changes_per_second_max);
    let mut memory: Option<Memory> = None;
    let mut again = Backoff::new(AGAIN_LEAST, AGAIN_MOST);
    let mut down = false;
    let mut stands_by = false;
    loop {
        let taken = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            taken = take(&source, config, &mut stands_by) => taken,
        };
        let ended = match taken {
            Ok((mut feed, stored)) => {
                tracing::info!("this process takes the changes of the database");
                (down, again) = (false, Backoff::new(AGAIN_LEAST, AGAIN_MOST));
                let memory = memory.insert(Memory::resume(memory.as_ref(), &stored));
                meter::taker(true);
                let ended = serve(&mut feed, memory, &mut publisher, stop).await;
                meter::taker(false);
                if timeout(LEAVE_MAX, feed.leave()).await.is_err() {
                    tracing::debug!("the claim on the changes ends by itself");
                }
                ended
            }
            Err(error) => Err(Interrupted::Lost(error)),
        };
        match ended {
            Ok(()) | Err(Interrupted::Stopped) => return,
            Err(Interrupted::Lost(error)) => {
                if !std::mem::replace(&mut down, true) {
                    tracing::warn!(
                        error = chain(&error),
                        "the changes cannot be taken; trying on"
                    );
                }
            }
        }
        let wait = again.next();
        if stop.run_until_cancelled(sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Waits until this process is the one that takes the changes.
async fn take<S: Source>(
    source: &S,
    config: &FeedConfig,
    stands_by: &mut bool,
) -> Result<(S::Feed, Stored), BindingError> {
    let mut feed = source.connect().await?;
    if *stands_by {
        sleep(COME_BACK).await;
    }
    loop {
        if let Some(stored) = feed.claim().await? {
            *stands_by = false;
            return Ok((feed, stored));
        }
        if !std::mem::replace(stands_by, true) {
            tracing::info!("another process takes the changes; this one stands by");
        }
        sleep(config.standby_interval).await;
    }
}

fn chain(error: &BindingError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Publishes what there is and what comes, until the claim is lost or it is
/// stopped; then what was published is noted.
async fn serve<F: Feed>(
    feed: &mut F,
    memory: &mut Memory,
    publisher: &mut Publisher,
    stop: &CancellationToken,
) -> Result<(), Interrupted> {
    loop {
        let batch = feed.read(memory.position).await?;
        report_lost(memory, batch.lost);
        meter::waiting(batch.waiting);
        if batch.changes.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                changed = feed.changed() => changed?,
            }
            continue;
        }
        let mut ended = Ok(());
        for change in &batch.changes {
            ended = publisher.publish(feed, change, stop).await;
            if ended.is_err() {
                break;
            }
            memory.position = change.position;
        }
        if let Err(Interrupted::Lost(error)) = ended {
            return Err(Interrupted::Lost(error));
        }
        feed.done(memory.position).await?;
        ended?;
    }
}

fn report_lost(memory: &mut Memory, lost: Option<i64>) {
    let Some(lost) = lost else { return };
    let more = u64::try_from(lost - memory.lost).unwrap_or(0);
    memory.lost = lost;
    if more > 0 {
        meter::lost(more);
        tracing::error!(
            changes = more,
            "changes were dropped unpublished: nobody took them for too long (kept_rows_max)"
        );
    }
}
