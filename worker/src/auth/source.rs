//! Where in a handshake a token is looked for.

use bytestring::ByteString;
use cookie::Cookie;
use towpath_layer_core::Handshake;

/// The subprotocol after which a token stands, and which is then accepted.
pub(super) const SUBPROTOCOL: &str = "bearer";

/// Where a token is looked for, in the order of the fields; the first place
/// that has one counts.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    pub(super) header: bool,
    pub(super) query: Option<String>,
    pub(super) cookie: Option<String>,
    pub(super) subprotocol: bool,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            header: true,
            query: Some("token".to_owned()),
            cookie: None,
            subprotocol: true,
        }
    }
}

/// A token as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) token: String,
    /// Whether it stood among the subprotocols.
    pub(super) among_subprotocols: bool,
}

impl Sources {
    pub(super) fn find(&self, handshake: &Handshake) -> Option<Found> {
        let header = || from_header(handshake).filter(|_| self.header);
        let query = || from_query(handshake, self.query.as_deref()?);
        let cookie = || from_cookie(handshake, self.cookie.as_deref()?);
        let token = header().or_else(query).or_else(cookie);
        if let Some(token) = token {
            return Some(Found {
                token,
                among_subprotocols: false,
            });
        }
        let token = from_subprotocols(&handshake.subprotocols).filter(|_| self.subprotocol)?;
        Some(Found {
            token: token.to_string(),
            among_subprotocols: true,
        })
    }
}

/// The text of each header field of a name.
pub(crate) fn fields<'a>(
    handshake: &'a Handshake,
    name: &'a str,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let fields = handshake.headers.iter();
    let fields = fields.filter(move |(known, _)| *known == *name);
    fields.filter_map(|(_, value)| std::str::from_utf8(value).ok())
}

fn from_header(handshake: &Handshake) -> Option<String> {
    let mut tokens = fields(handshake, "authorization").filter_map(|value| {
        let (scheme, token) = value.trim().split_once(' ')?;
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        is_bearer.then(|| token.trim().to_owned())
    });
    tokens.next()
}

fn from_query(handshake: &Handshake, name: &str) -> Option<String> {
    let query = &handshake.query_string;
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(query).ok()?;
    let found = pairs.into_iter().find(|(known, _)| known == name);
    found
        .map(|(_, token)| token)
        .filter(|token| !token.is_empty())
}

fn from_cookie(handshake: &Handshake, name: &str) -> Option<String> {
    let mut cookies = fields(handshake, "cookie").flat_map(Cookie::split_parse);
    let found = cookies.find_map(|cookie| cookie.ok().filter(|cookie| cookie.name() == name));
    found
        .map(|cookie| cookie.value().to_owned())
        .filter(|token| !token.is_empty())
}

/// A page cannot set header fields, but it can offer `["bearer", token]`.
fn from_subprotocols(offered: &[ByteString]) -> Option<&ByteString> {
    let position = offered.iter().position(|one| *one == SUBPROTOCOL)?;
    offered.get(position + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(headers: &[(&str, &'static str)], query: &'static str) -> Handshake {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| ((*name).into(), (*value).into()));
        Handshake {
            headers: headers.collect(),
            query_string: query.into(),
            ..Handshake::default()
        }
    }

    #[track_caller]
    fn check(sources: &Sources, handshake: &Handshake, token: Option<&str>) {
        let found = sources.find(handshake).map(|found| found.token);
        assert_eq!(found.as_deref(), token);
    }

    #[test]
    fn the_header_comes_before_the_query_and_the_cookie() {
        let all = Sources {
            cookie: Some("session".to_owned()),
            ..Sources::default()
        };
        let authorization = ("authorization", "bEARER  a.b.c");
        let cookie = ("cookie", "x=1; session=cookie");
        check(
            &all,
            &handshake(&[authorization, cookie], "token=query"),
            Some("a.b.c"),
        );
        check(
            &all,
            &handshake(&[cookie], "x=1&token=query"),
            Some("query"),
        );
        check(&all, &handshake(&[cookie], "token="), Some("cookie"));
        let basic = ("authorization", "Basic YTpi");
        check(&all, &handshake(&[basic], "token=query"), Some("query"));
        check(&all, &handshake(&[basic], ""), None);
    }

    #[test]
    fn a_place_that_was_not_named_is_not_looked_at() {
        let cookie = ("cookie", "token=cookie");
        check(&Sources::default(), &handshake(&[cookie], ""), None);
        let none = Sources {
            header: false,
            query: None,
            cookie: None,
            subprotocol: false,
        };
        let mut all = handshake(&[("authorization", "Bearer a"), cookie], "token=query");
        all.subprotocols = vec![SUBPROTOCOL.into(), "b".into()];
        check(&none, &all, None);
    }

    #[test]
    fn a_token_can_stand_among_the_subprotocols() {
        let mut offers = handshake(&[], "");
        offers.subprotocols = vec!["chat".into(), SUBPROTOCOL.into(), "a.b.c".into()];
        let found = Sources::default().find(&offers).unwrap();
        assert!(found.among_subprotocols && found.token == "a.b.c");
        offers.subprotocols.truncate(2);
        assert_eq!(Sources::default().find(&offers), None);
    }
}
