//! The routes as a worker looks them up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use towpath_layer_core::{ChannelKind, ChannelName, Content, Event, EventKind};

use super::error::{RouteError, RouteErrors};
use super::filter::{CompiledFilter, Filter};
use super::pin::pin;
use super::template::PathPattern;
use super::websocket::Websocket;
use super::{ChannelEntry, EVENT_CHANNELS, Entry, MountEntry, Router, SocketEntry};
use crate::States;
use crate::context::Params;
use crate::handler::Consume;
use crate::meter::Meter;
use crate::place::{Place, PlaceKind};
use crate::topics::TopicPattern;

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
    /// Which topics, if it is of topics.
    topic: Option<TopicPattern>,
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
                Entry::Mount(entry) => routes.add_mount(entry, states),
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
        let mut errors = check(&entry.consumers, None, &pattern, states, &label);
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
            topic: None,
            consumers: entry.consumers.clone(),
            ignored_frame: Once::default(),
        }));
        Ok(())
    }

    /// A socket and each of its topics are routes of their own.
    fn add_mount(&mut self, entry: &MountEntry, states: &States) -> Result<(), Vec<RouteError>> {
        let label = entry.path.label();
        let fail = |reason| vec![RouteError::new(&label, reason)];
        let pattern = entry.path.compile().map_err(fail)?;
        entry.mount.check().map_err(fail)?;
        self.check_not_shadowed(&pattern).map_err(fail)?;
        let mut errors = check(&entry.mount.root, None, &pattern, states, &label);
        let mut routes = vec![(label.clone(), None, &entry.mount.root)];
        let mut before = Vec::new();
        for topic in &entry.mount.topics {
            let label = format!("{label} {}", topic.pattern);
            match topic.compile(&before) {
                Ok(compiled) => before.push(compiled),
                Err(reason) => errors.push(RouteError::new(&label, reason)),
            }
            let joins = Some(PlaceKind::Join);
            errors.extend(check(&topic.consumers, joins, &pattern, states, &label));
            routes.push((label, before.last().cloned(), &topic.consumers));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for (label, topic, consumers) in routes {
            self.sockets.push(Arc::new(SocketRoute {
                meter: Meter::new(&label),
                pattern: entry.path.compile().map_err(fail)?,
                filter: Filter::default().compile_for_events().map_err(fail)?,
                topic,
                pin: None,
                consumers: consumers.clone(),
                ignored_frame: Once::default(),
            }));
        }
        Ok(())
    }

    /// A route before it would take the socket's own events.
    fn check_not_shadowed(&self, pattern: &PathPattern) -> Result<(), String> {
        let path = pattern.example();
        let mut before = self.sockets.iter().filter(|route| route.topic.is_none());
        let shadows = |route: &&Arc<SocketRoute>| {
            let path = path.as_ref();
            path.is_some_and(|path| route.pattern.matches(path).is_some())
        };
        match before.find(shadows) {
            Some(route) => Err(format!(
                "the route {:?} before it takes its path, too",
                route.meter.route()
            )),
            None => Ok(()),
        }
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
            if !route.takes_topic(event.topic.as_deref()) {
                return None;
            }
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
    fn takes_topic(&self, topic: Option<&str>) -> bool {
        match (&self.topic, topic) {
            (Some(pattern), Some(topic)) => pattern.takes(topic),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    pub(crate) fn consumer(&self, kind: &EventKind) -> Option<&Arc<dyn Consume>> {
        self.consumers.consumer(kind)
    }
}

/// What is wrong with the consumers of a route; who answers handshakes is asked
/// for `first`, if that is something else.
fn check(
    consumers: &Websocket,
    first: Option<PlaceKind>,
    pattern: &PathPattern,
    states: &States,
    label: &str,
) -> Vec<RouteError> {
    let mut errors = Vec::new();
    for (kind, consumer) in consumers.consumers() {
        let place = Place {
            kind: match first {
                Some(first) if kind == PlaceKind::Connect => first,
                Some(_) | None => kind,
            },
            params: pattern.names(),
            states,
            this: None,
            in_stream: false,
        };
        if let Err(reason) = consumer.check(&place) {
            errors.push(RouteError::new(label, reason));
        }
    }
    errors
}

/// Says yes once, so that a warning about a route is written once.
#[derive(Debug, Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) fn first(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}
