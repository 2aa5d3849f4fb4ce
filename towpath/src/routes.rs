//! The routes of an application, as an interface server needs to know them.

use towpath_interface_server::{PhoenixMount, Routes, RoutesError, TopicRoute};
use towpath_worker::{Router, SocketMount, TopicSpec};

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
        max_topics: mount.max_topics,
        auth_token: mount.auth_token,
        ..PhoenixMount::new(mount.path)
    }
}

fn topic(topic: TopicSpec) -> TopicRoute {
    TopicRoute {
        pattern: topic.pattern,
        intercepts: topic.intercepts,
    }
}
