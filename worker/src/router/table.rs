//! The routes as a worker looks them up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use towpath_layer_core::{ChannelKind, ChannelName, Content, Event, EventKind};

use super::error::{RouteError, RouteErrors};
use super::filter::CompiledFilter;
use super::pin::pin;
use super::template::PathPattern;
use super::websocket::Websocket;
use super::{ChannelEntry, EVENT_CHANNELS, Entry, Router, SocketEntry};
use crate::States;
use crate::context::Params;
use crate::handler::Consume;
use crate::meter::Meter;
use crate::place::{Place, PlaceKind};

/// All routes, ready for use.
#[derive(Debug)]
pub(crate) struct Routes {
    sockets: Vec<Arc<SocketRoute>>,
    channels: HashMap<ChannelName, Vec<Arc<ChannelRoute>>>,
}

/// The consumers of one path.
#[derive(Debug)]
pub(crate) struct SocketRoute {
    pub(crate) meter: Meter,
    pattern: PathPattern,
    filter: CompiledFilter,
    /// Said to later events, if only the connect event can tell.
    pub(crate) pin: Option<u64>,
    consumers: Websocket,
    pub(crate) ignored_frame: Once,
}

/// A consumer of one channel of the application.
#[derive(Debug)]
pub(crate) struct ChannelRoute {
    pub(crate) meter: Meter,
    filter: CompiledFilter,
    pub(crate) consumer: Arc<dyn Consume>,
}

impl Routes {
    pub(crate) fn new(router: &Router, states: &States) -> Result<Self, RouteErrors> {
        let mut errors = Vec::new();
        let mut routes = Self {
            sockets: Vec::new(),
            channels: HashMap::new(),
        };
        for entry in &router.entries {
            let added = match entry {
                Entry::Socket(entry) => routes.add_socket(entry, states),
                Entry::Channel(entry) => routes.add_channel(entry, states),
            };
            errors.extend(added.err().into_iter().flatten());
        }
        if errors.is_empty() {
            Ok(routes)
        } else {
            Err(RouteErrors(errors))
        }
    }

    fn add_socket(&mut self, entry: &SocketEntry, states: &States) -> Result<(), Vec<RouteError>> {
        let label = format!("{}{}", entry.path.label(), entry.filter);
        let fail = |reason| vec![RouteError::new(&label, reason)];
        let pattern = entry.path.compile().map_err(fail)?;
        let filter = entry.filter.compile_for_events().map_err(fail)?;
        let mut errors = Vec::new();
        for (kind, consumer) in entry.consumers.consumers() {
            let place = Place {
                kind,
                params: pattern.names(),
                states,
                this: None,
                in_stream: false,
            };
            if let Err(reason) = consumer.check(&place) {
                errors.push(RouteError::new(&label, reason));
            }
        }
        if let Some(name) = entry.consumers.repeated_event() {
            let reason = format!("the event {name:?} has two consumers");
            errors.push(RouteError::new(&label, reason));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        self.sockets.push(Arc::new(SocketRoute {
            meter: Meter::new(&label),
            pin: filter.looks_at_handshake().then(|| pin(&label)),
            pattern,
            filter,
            consumers: entry.consumers.clone(),
            ignored_frame: Once::default(),
        }));
        Ok(())
    }

    fn add_channel(
        &mut self,
        entry: &ChannelEntry,
        states: &States,
    ) -> Result<(), Vec<RouteError>> {
        let label = format!("{}{}", entry.name, entry.filter);
        let fail = |reason: String| vec![RouteError::new(&label, reason)];
        let name = ChannelName::new(&entry.name).map_err(|error| fail(error.to_string()))?;
        if matches!(name.kind(), ChannelKind::Reply { .. }) {
            return Err(fail("nobody receives from a reply channel".to_owned()));
        }
        if EVENT_CHANNELS.contains(&name.as_str()) {
            let reason = "connections are routed by their path: use route";
            return Err(fail(reason.to_owned()));
        }
        let filter = entry.filter.compile_for_content().map_err(fail)?;
        let place = Place {
            kind: PlaceKind::Custom,
            params: &[],
            states,
            this: None,
            in_stream: false,
        };
        entry.consumer.check(&place).map_err(fail)?;
        let route = ChannelRoute {
            meter: Meter::new(&label),
            filter,
            consumer: Arc::clone(&entry.consumer),
        };
        self.channels.entry(name).or_default().push(Arc::new(route));
        Ok(())
    }

    /// The first route that takes an event of a conversation whose route is
    /// known by that pin, if by any; and the parameters of its path.
    pub(crate) fn socket(
        &self,
        event: &Event,
        pin: Option<u64>,
    ) -> Option<(&Arc<SocketRoute>, Params)> {
        self.sockets.iter().find_map(|route| {
            let pinned = pin.is_some() && route.pin == pin;
            let takes = if pinned {
                route.filter.takes_later_event(event)
            } else {
                route.filter.takes_event(event)
            };
            if !takes {
                return None;
            }
            Some((route, route.pattern.matches(&event.path)?))
        })
    }

    /// The first route that takes a message.
    pub(crate) fn channel(
        &self,
        channel: &ChannelName,
        content: &Content,
    ) -> Option<&Arc<ChannelRoute>> {
        let mut routes = self.channels.get(channel)?.iter();
        routes.find(|route| route.filter.takes_content(content))
    }
}

impl SocketRoute {
    pub(crate) fn consumer(&self, kind: &EventKind) -> Option<&Arc<dyn Consume>> {
        self.consumers.consumer(kind)
    }
}

/// Says yes once, so that a warning about a route is written once.
#[derive(Debug, Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) fn first(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}
