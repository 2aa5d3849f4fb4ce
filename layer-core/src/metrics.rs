//! The names of all metrics, in one table.
//!
//! Whoever measures takes a name from here; the reference page and the
//! descriptions of `/metrics` are made from [`TABLE`].

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, in seconds.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// What it says, with its labels.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident $name:literal $kind:ident $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// Every metric.
        pub const TABLE: &[Metric] =
            &[$(Metric { name: $name, kind: Kind::$kind, help: $help }),*];
    };
}

metrics! {
    CONNECTIONS "towpath_connections" Gauge "Open WebSocket connections.";
    ACCEPT_ERRORS "towpath_accept_errors_total" Counter "Failures to accept a connection, of descriptors mostly.";
    HANDSHAKES "towpath_handshakes_total" Counter "Answered handshakes, by status.";
    CLOSES "towpath_closes_total" Counter "Closed connections, by close code.";
    FRAMES_IN "towpath_frames_received_total" Counter "Data messages received from clients.";
    FRAMES_OUT "towpath_frames_sent_total" Counter "Data messages put in outboxes.";
    OUTBOX_DROPPED "towpath_outbox_dropped_total" Counter "Frames dropped because an outbox was full.";
    EVENTS "towpath_events_total" Counter "Events handed to the layer, by channel.";
    EVENTS_LOST "towpath_events_lost_total" Counter "Events whose worker or backend was lost.";
    COMPLETIONS_STALE "towpath_completions_stale_total" Counter "Completions that came too late to count.";
    REPLIES_DROPPED "towpath_replies_dropped_total" Counter "Replies for connections that are gone.";
    CONSUMERS_RUNNING "towpath_consumers_running" Gauge "Consumers that run now.";
    CONSUMED "towpath_consumed_total" Counter "Messages consumed, by route and outcome.";
    CONSUMER_SECONDS "towpath_consumer_seconds" Histogram "How long consumers ran that did not return at once, by route.";
    TOKENS_REFUSED "towpath_tokens_refused_total" Counter "Connections and events refused for their token, by reason.";
    RATE_LIMITED "towpath_rate_limited_total" Counter "Events over a rate limit, by limit and outcome.";
    LAYER_UP "towpath_layer_up" Gauge "1 while the backend answers, 0 while it does not.";
    LAYER_RECONNECTS "towpath_layer_reconnects_total" Counter "Connections to the backend that were made anew.";
    LAYER_MALFORMED "towpath_layer_malformed_total" Counter "Entries refused because of their version or form.";
    GROUP_DROPPED "towpath_group_dropped_total" Counter "Group messages that a node's inbox refused or that found the node gone.";
    API_REQUESTS "towpath_api_requests_total" Counter "Requests to the layer's HTTP interface, by operation and status.";
    BINDING_CHANGES "towpath_binding_changes_total" Counter "Changes of bound tables that were published, by table.";
    BINDING_DROPPED "towpath_binding_dropped_total" Counter "Changes, or parts of one, that were passed over, by table and why.";
    BINDING_LOST "towpath_binding_lost_total" Counter "Changes that were dropped because nobody took them for too long.";
    BINDING_TAKER "towpath_binding_taker" Gauge "1 while this process takes the changes of a database.";
    BINDING_WAITING "towpath_binding_waiting" Gauge "Changes that wait to be published, about.";
}
