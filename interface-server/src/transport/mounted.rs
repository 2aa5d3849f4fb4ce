//! A handshake that came to another server, which this one is mounted in.

use std::rc::Rc;

use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::socket::{self, Guard};
use super::stream::Upgrade;
use crate::hub::Seat;
use crate::hub::connection::Decision;
use crate::hub::shard::Shard;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Request;

/// Decides the handshake, waits for the socket and serves it.
pub(crate) async fn serve(
    shard: Rc<Shard>,
    request: Request,
    upgrade: OnUpgrade,
    mut answer: oneshot::Sender<Decision>,
    seat: Seat,
) {
    let opened = match shard.open(request) {
        Ok(opened) => opened,
        Err(refusal) => {
            // The peer may have left meanwhile, here and below.
            answer.send(Decision::Refuse(refusal)).unwrap_or_default();
            return;
        }
    };
    let guard = Guard::new(&shard, opened.connection);
    let decision = tokio::select! {
        biased;
        decision = opened.decision => decision,
        () = answer.closed() => return,
    };
    let decision = decision.unwrap_or(Decision::Refuse(Refusal::forbidden()));
    let accepted = matches!(decision, Decision::Accept { .. });
    if answer.send(decision).is_err() || !accepted {
        return;
    }
    let upgraded = match timeout(shard.config.header_timeout, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => {
            tracing::debug!(%error, "an upgrade failed");
            return;
        }
        Err(_) => {
            tracing::debug!("an upgrade took too long");
            return;
        }
    };
    match Upgrade::foreign(upgraded, shard.config.send_buffer_bytes) {
        Ok(upgrade) => socket::start(&shard, guard, upgrade, seat),
        Err(error) => tracing::debug!(%error, "a socket could not be moved"),
    }
}
