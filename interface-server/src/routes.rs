//! Which paths are WebSocket paths.

use regex::RegexSet;

/// The paths on which the workers' router expects sockets.
#[derive(Debug, Clone)]
pub struct Routes {
    paths: RegexSet,
}

/// A path that is not a regular expression.
#[derive(Debug, thiserror::Error)]
#[error("a route's path cannot be read: {reason}")]
pub struct RoutesError {
    reason: String,
}

impl Routes {
    /// Reads anchored regular expressions, one for each route.
    ///
    /// # Errors
    ///
    /// [`RoutesError`] if one of them is malformed or too large.
    ///
    /// # Examples
    ///
    /// ```
    /// use towpath_interface_server::Routes;
    ///
    /// let routes = Routes::new(["^/chat/[^/]+$".to_owned()])?;
    /// assert!(routes.matches("/chat/lobby"));
    /// # Ok::<(), towpath_interface_server::RoutesError>(())
    /// ```
    pub fn new(paths: impl IntoIterator<Item = String>) -> Result<Self, RoutesError> {
        RegexSet::new(paths)
            .map(|paths| Self { paths })
            .map_err(|error| RoutesError {
                reason: error.to_string(),
            })
    }

    /// Whether a path, percent-decoded, is a WebSocket path.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.paths.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_routed_if_any_route_has_it() {
        let routes = Routes::new(["^/a$".to_owned(), "^/b/.+$".to_owned()]).unwrap();
        assert!(routes.matches("/a") && routes.matches("/b/1"));
        assert!(!routes.matches("/a/") && !routes.matches("/"));
        Routes::new(["(".to_owned()]).unwrap_err();
    }
}
