//! Looks at every connection's deadlines, once a period: no timer for each.

use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use tokio::time::{MissedTickBehavior, interval};
use towpath_layer_core::LocalId;

use super::connection::Connection;
use super::flusher::Urgency;
use super::shard::Shard;
use crate::metrics;
use crate::protocol::close;
use crate::protocol::frame::OutFrame;

/// Connections between two looks at what else is ready.
const SLICE: usize = 512;

/// Sweeps for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    let mut ticks = interval(shard.config.sweep_period());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let all: Vec<LocalId> = shard.connections.borrow().keys().copied().collect();
        for slice in all.chunks(SLICE) {
            let now = shard.now();
            for id in slice {
                if let Some(connection) = shard.connection(*id) {
                    shard.look_at(&connection, now);
                }
            }
            tokio::task::yield_now().await;
        }
        shard.watch.look();
    }
}

impl Shard {
    fn look_at(self: &Rc<Self>, connection: &Rc<Connection>, now: Duration) {
        self.look_at_topics(connection, now);
        if connection.conversation.borrow().is_busy() {
            self.turn(connection, |conversation, turn| {
                conversation.check_deadlines(turn)
            });
            let conversation = connection.conversation.borrow();
            self.watch.note(connection.id, &conversation, now);
        }
        let (closing, open) = {
            let line = connection.line.borrow();
            let overdue = line.close_by.is_some_and(|by| now >= by);
            (overdue, line.write.is_some() && !line.outbox.is_sealed())
        };
        if closing {
            connection.cut();
        } else if open && !connection.paused.get() {
            self.look_at_pulse(connection, now);
        }
    }

    /// Pings a silent peer, and gives up one that stays silent.
    fn look_at_pulse(self: &Rc<Self>, connection: &Rc<Connection>, now: Duration) {
        let heard = connection.heard.get();
        if let Some(phoenix) = &connection.phoenix
            && let Some(timeout) = phoenix.speech.mount.idle_timeout
            && now >= heard + timeout
        {
            let reason = ByteString::from_static("idle");
            self.turn(connection, |conversation, turn| {
                conversation.close(close::PROTOCOL, reason, turn);
            });
            return;
        }
        let pinged = connection.pinged.get().filter(|pinged| *pinged > heard);
        connection.pinged.set(pinged);
        match pinged {
            Some(pinged) if now >= pinged + self.config.pong_timeout => {
                let reason = ByteString::from_static("no pong");
                metrics::closed(close::ABNORMAL);
                self.close(connection, close::GOING_AWAY, &reason, true);
                self.transport_ended(connection, close::ABNORMAL, reason);
            }
            None if now >= heard + self.config.ping_interval => {
                connection.pinged.set(Some(now));
                // An outbox without room has frames that the peer must take first.
                if self
                    .put(connection, OutFrame::ping(), Urgency::Now)
                    .is_err()
                {
                    tracing::debug!(conn_id = %connection.id, "no room for a ping");
                }
            }
            Some(_) | None => {}
        }
    }
}
