//! The routes of an application, as an interface server needs to know them.

use towpath_interface_server::{
    Origins, PhoenixMount, Routes, RoutesError, Serializer, TopicRoute,
};
use towpath_worker::{Router, SocketMount, TopicSpec, Vsn};

/// All paths and mounts of a router.
pub(crate) fn of(router: &Router) -> Result<Routes, RoutesError> {
    let routes = Routes::new(router.paths())?;
    let mut mounts = router.mounts().into_iter().map(mount);
    mounts.try_fold(routes, Routes::mount)
}

fn mount(mount: SocketMount) -> PhoenixMount {
    PhoenixMount {
        topics: mount.topics.into_iter().map(topic).collect(),
        websocket: mount.websocket,
        longpoll: mount.longpoll,
        longpoll_window: mount.longpoll_window,
        max_topics: mount.max_topics,
        serializers: mount.versions.into_iter().map(serializer).collect(),
        message_size_max: mount.message_size_max,
        auth_token: mount.auth_token,
        subprotocols: mount.subprotocols,
        origins: origins(mount.origins),
        idle_timeout: mount.idle_timeout,
        path: mount.path,
    }
}

fn serializer(version: Vsn) -> Serializer {
    match version {
        Vsn::V1 => Serializer::V1,
        Vsn::V2 => Serializer::V2,
    }
}

/// The pages that a mount names itself.
fn origins(origins: Vec<String>) -> Option<Origins> {
    match &*origins {
        [] => None,
        [all] if all == "*" => Some(Origins::Any),
        _ => Some(Origins::List(origins)),
    }
}

fn topic(topic: TopicSpec) -> TopicRoute {
    TopicRoute {
        pattern: topic.pattern,
        intercepts: topic.intercepts,
    }
}
