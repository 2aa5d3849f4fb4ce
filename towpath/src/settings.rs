//! From the configuration to what the crates behind take.

use std::net::SocketAddr;

use towpath_interface_server as server;
use towpath_worker::WorkerConfig;

use crate::config::{Config, Listener, Loss, Origins, SlowPolicy};

/// What the interface server takes; the operator's listener apart, which it is
/// told in `operator_listen`.
pub(crate) fn server(config: &Config, operator_listen: Option<SocketAddr>) -> server::ServerConfig {
    let section = &config.server;
    server::ServerConfig {
        listen: section.listen,
        operator_listen,
        shards: section.shards,
        origins: match &section.origins {
            Origins::SameHost => server::Origins::SameHost,
            Origins::Any => server::Origins::Any,
            Origins::List(origins) => server::Origins::List(origins.clone()),
        },
        connect_timeout: section.connect_timeout,
        header_timeout: section.header_timeout,
        ping_interval: section.ping_interval,
        pong_timeout: section.pong_timeout,
        frame_size_max: section.frame_size_max,
        message_size_max: section.message_size_max,
        fragments_max: section.fragments_max,
        outbox_bytes_max: section.outbox_bytes_max,
        outbox_frames_max: section.outbox_frames_max,
        slow_policy: match section.slow_policy {
            SlowPolicy::Close => server::SlowPolicy::Close,
            SlowPolicy::Drop => server::SlowPolicy::Drop,
        },
        send_buffer_bytes: section.send_buffer_bytes,
        close_timeout: section.close_timeout,
        drain_timeout: section.drain_timeout,
        consumer_timeout: config.worker.consumer_timeout,
        on_lost: on_event(section.on_lost),
        on_gap: on_event(section.on_gap),
        connections_max: section.connections_max,
        event_queue_max: section.event_queue_max,
        event_queue_bytes_max: section.event_queue_bytes_max,
    }
}

fn on_event(loss: Loss) -> server::OnEvent {
    match loss {
        Loss::Ignore => server::OnEvent::Ignore,
        Loss::Close => server::OnEvent::Close,
    }
}

/// What the worker takes.
pub(crate) fn worker(config: &Config) -> WorkerConfig {
    let section = &config.worker;
    WorkerConfig {
        concurrency: section.concurrency,
        consumer_timeout: section.consumer_timeout,
        taken_after: section.taken_after,
        drain_timeout: section.drain_timeout,
        only: section.only.clone(),
        exclude: section.exclude.clone(),
    }
}

/// Where the operator's listener stands in a process that serves sockets.
pub(crate) fn operator(listener: Listener) -> Option<SocketAddr> {
    match listener {
        Listener::Auto => Some(Listener::AUTO),
        Listener::Off => None,
        Listener::Address(address) => Some(address),
    }
}

/// The bounds of the HTTP interface.
pub(crate) fn api(config: &Config) -> server::ApiLimits {
    let section = &config.api;
    server::ApiLimits {
        connections_max: section.connections_max,
        body_bytes_max: section.body_bytes_max,
        batch_max: section.batch_max,
        header_timeout: section.header_timeout,
        request_timeout: section.request_timeout,
        poll_timeout_max: section.poll_timeout_max,
        stop_timeout: section.stop_timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_crates() {
        let config = Config::default();
        assert_eq!(server(&config, None), server::ServerConfig::default());
        assert_eq!(worker(&config), WorkerConfig::default());
        assert_eq!(api(&config), server::ApiLimits::default());
    }
}
