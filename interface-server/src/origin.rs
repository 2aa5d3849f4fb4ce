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
        Origins::List(list) => list.iter().any(|pattern| matches(pattern, origin)),
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

/// Whether an origin is one of a pattern: an origin, or `//` and a host, which
/// leaves the scheme and, without one, the port open. A host that begins with
/// `*.` is also all of its subdomains.
fn matches(pattern: &str, origin: &str) -> bool {
    let Some(origin) = parse(origin) else {
        return false;
    };
    if let Some(authority) = pattern.strip_prefix("//") {
        let (host, authority) = host_pattern(authority);
        return parse_authority(authority).is_some_and(|known| {
            let port = known.port_u16();
            port.is_none_or(|port| origin.port == Some(port)) && host.takes(&origin.host)
        });
    }
    let Some((scheme, authority)) = pattern.split_once("://") else {
        return false;
    };
    let (host, authority) = host_pattern(authority);
    parse(&format!("{scheme}://{authority}")).is_some_and(|known| {
        known.scheme == origin.scheme && known.port == origin.port && host.takes(&origin.host)
    })
}

/// The hosts of a pattern.
enum Hosts {
    One(String),
    /// With all subdomains.
    Domain(String),
}

impl Hosts {
    fn takes(&self, host: &str) -> bool {
        match self {
            Self::One(known) => known == host,
            Self::Domain(domain) => {
                let before = host.strip_suffix(&**domain);
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
        }
    }
}

/// The hosts of a pattern, and the pattern without its star.
fn host_pattern(authority: &str) -> (Hosts, &str) {
    let (domain, rest) = match authority.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, authority),
    };
    let host = parse_authority(rest).map(|known| known.host().to_ascii_lowercase());
    let host = host.unwrap_or_default();
    let hosts = if domain {
        Hosts::Domain(host)
    } else {
        Hosts::One(host)
    };
    (hosts, rest)
}

/// Whether a text can stand in [`Origins::List`]: an origin as a browser writes
/// it, or a pattern of origins.
#[must_use]
pub fn is_origin_pattern(text: &str) -> bool {
    let (scheme, authority) = match text.strip_prefix("//") {
        Some(authority) => ("http", authority),
        None => match text.split_once("://") {
            Some(split) => split,
            None => return false,
        },
    };
    let (_, authority) = host_pattern(authority);
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    !scheme.is_empty() && scheme.bytes().all(is_scheme) && parse_authority(authority).is_some()
}

/// Whether a page came from the host that it asks, on whatever port: what the
/// check keeps from foreign pages is a user's cookies, and those know no ports
/// either.
fn is_same_host(origin: &str, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let (Some(origin), Some(host)) = (parse(origin), host.to_str().ok().and_then(parse_authority))
    else {
        return false;
    };
    origin.host == host.host().to_ascii_lowercase()
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
    fn same_host_compares_parsed_hosts_whatever_their_ports() {
        let same = Origins::SameHost;
        check(&same, "example.org", &[], true);
        check(&same, "example.org", &["https://example.org"], true);
        check(&same, "example.org", &["http://example.org:80"], true);
        check(&same, "Example.org", &["https://example.ORG"], true);
        check(&same, "localhost:8000", &["http://localhost:8000"], true);
        check(&same, "localhost:4000", &["http://localhost:5173"], true);
        check(&same, "localhost:4000", &["https://localhost"], true);
        check(&same, "example.org", &["https://example.org:444"], true);
        check(&same, "[::1]:8000", &["http://[::1]:8001"], true);
        check(&same, "localhost:4000", &["http://127.0.0.1:4000"], false);
        for foreign in [
            "https://example.org.evil.com",
            "https://evilexample.org",
            "https://evil.com/example.org",
            "https://example.org:",
            "https://example.org:444:",
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
    fn a_pattern_leaves_scheme_port_and_subdomains_open() {
        let allowed = |pattern: &str, origin: &str| {
            assert!(is_origin_pattern(pattern), "{pattern}");
            let list = Origins::List(vec![pattern.to_owned()]);
            is_allowed(&list, &headers("other", &[origin]))
        };
        for (pattern, origin) in [
            ("//example.org", "http://example.org"),
            ("//example.org", "https://example.org:8443"),
            ("//example.org:81", "http://example.org:81"),
            ("//*.example.org", "https://example.org"),
            ("//*.example.org", "https://a.b.Example.org"),
            ("https://*.example.org", "https://a.example.org:443"),
        ] {
            assert!(allowed(pattern, origin), "{pattern} {origin}");
        }
        for (pattern, origin) in [
            ("//example.org", "https://a.example.org"),
            ("//example.org:81", "http://example.org"),
            ("//*.example.org", "https://evilexample.org"),
            ("//*.example.org", "https://example.org.evil.com"),
            ("https://*.example.org", "http://a.example.org"),
            ("https://example.org", "https://example.org:444"),
            ("//example.org", "null"),
            ("//example.org", "file://"),
        ] {
            assert!(!allowed(pattern, origin), "{pattern} {origin}");
        }
        for bad in [
            "",
            "//",
            "example.org",
            "://example.org",
            "https://",
            "//a b",
            "https://a/b",
        ] {
            assert!(!is_origin_pattern(bad), "{bad}");
        }
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
