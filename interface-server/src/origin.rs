//! Whether a page may open a socket here.
//!
//! A browser lets any page open a socket to any host and says in `Origin`
//! where the page came from; it is the server that must refuse.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;

use crate::config::Origins;

/// Whether the request's `Origin` is one of `origins`. A request without one
/// does not come from a page, and is allowed.
pub(crate) fn is_allowed(origins: &Origins, headers: &HeaderMap) -> bool {
    let mut found = headers.get_all(ORIGIN).iter();
    let origin = match (found.next(), found.next()) {
        (None, _) => return true,
        (Some(origin), None) => origin,
        // Two parsers could see two origins: nobody honest sends this.
        (Some(_), Some(_)) => return matches!(origins, Origins::Any),
    };
    let Ok(origin) = origin.to_str() else {
        return matches!(origins, Origins::Any);
    };
    match origins {
        Origins::Any => true,
        Origins::List(list) => list.iter().any(|one| same_origin(one, origin)),
        Origins::SameHost => is_same_host(origin, headers),
    }
}

/// Scheme, host and port of an origin.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    scheme: String,
    host: String,
    port: Option<u16>,
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

fn parse(origin: &str) -> Option<Place> {
    let (scheme, rest) = origin.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let authority = parse_authority(rest)?;
    Some(Place {
        port: authority.port_u16().or_else(|| default_port(&scheme)),
        host: authority.host().to_ascii_lowercase(),
        scheme,
    })
}

fn parse_authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    // `user@host`, an empty port and one that is no port are not origins.
    let behind = text.strip_prefix(authority.host())?;
    let plain = behind.is_empty() || authority.port_u16().is_some();
    (plain && !authority.host().is_empty()).then_some(authority)
}

fn same_origin(one: &str, other: &str) -> bool {
    match (parse(one), parse(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

fn is_same_host(origin: &str, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let (Some(origin), Some(host)) = (parse(origin), host.to_str().ok().and_then(parse_authority))
    else {
        return false;
    };
    // `Host` leaves out the default port, and does not say the scheme: behind
    // a proxy only the page's own scheme tells which port was meant.
    let port = host.port_u16().or_else(|| default_port(&origin.scheme));
    origin.host == host.host().to_ascii_lowercase() && origin.port == port
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(host: &str, origins: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        for origin in origins {
            headers.append(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(origins: &Origins, host: &str, origin: &[&str], allowed: bool) {
        let headers = headers(host, origin);
        assert_eq!(is_allowed(origins, &headers), allowed, "{host} {origin:?}");
    }

    #[test]
    fn same_host_compares_parsed_host_and_port() {
        let same = Origins::SameHost;
        check(&same, "example.org", &[], true);
        check(&same, "example.org", &["https://example.org"], true);
        check(&same, "example.org", &["http://example.org:80"], true);
        check(&same, "Example.org", &["https://example.ORG"], true);
        check(&same, "localhost:8000", &["http://localhost:8000"], true);
        check(&same, "[::1]:8000", &["http://[::1]:8000"], true);
        for foreign in [
            "https://example.org.evil.com",
            "https://evilexample.org",
            "https://evil.com/example.org",
            "https://example.org:444",
            "https://example.org:",
            "https://example.org@evil.com",
            "https://evil.com@example.org",
            "https://sub.example.org",
            "https://example.org/",
            "https://example.org#",
            "https://example.org?",
            "//example.org",
            "example.org",
            "null",
            "",
            "https://",
            "https://example.org:99999",
            "file://",
        ] {
            check(&same, "example.org", &[foreign], false);
        }
    }

    #[test]
    fn a_doubled_origin_is_foreign() {
        let twice = ["https://example.org", "https://example.org"];
        check(&Origins::SameHost, "example.org", &twice, false);
        let list = Origins::List(vec!["https://example.org".to_owned()]);
        check(&list, "example.org", &twice, false);
    }

    #[test]
    fn a_list_holds_exact_origins() {
        let list = Origins::List(vec!["https://example.org".to_owned()]);
        check(&list, "other", &["https://example.org"], true);
        check(&list, "other", &["https://example.org:443"], true);
        check(&list, "other", &["http://example.org"], false);
        check(&list, "other", &["https://example.org.evil.com"], false);
        check(&Origins::Any, "other", &["null"], true);
    }
}
