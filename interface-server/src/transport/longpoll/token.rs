//! What a session is known by to its client: where it lives, and a secret.
//!
//! The name of the node can be read from it. Nodes share no secret by which it
//! could be hidden and still be found by another. Whoever knows it could name
//! other connections there, but a client names topics, never channels, and the
//! HTTP interface asks for its own token: it is of use only to an application
//! that sends to whatever channel a client names.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::request::Parts;
use towpath_layer_core::{ChannelKind, ChannelName};

/// The header that counts more than the query.
pub(super) const HEADER: &str = "x-phoenix-longpoll-token";

/// The name of the parameter in the query.
const PARAMETER: &str = "token";

/// Bytes of a session's secret.
pub(super) const SECRET_LEN: usize = 16;

/// The name of a session. Whoever has it has the session.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) channel: ChannelName,
    pub(super) secret: Bytes,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.secret.to_vec();
        bytes.extend_from_slice(self.channel.as_str().as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// The value of a field of a query, if it is the parameter.
fn value(field: &str) -> Option<Cow<'_, str>> {
    let (name, value) = form_urlencoded::parse(field.as_bytes()).next()?;
    (name == PARAMETER).then_some(value)
}

impl Token {
    /// The token that a request carries, if it carries one that can be one.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        if let Some(value) = parts.headers.get(HEADER) {
            return Self::read(value.as_bytes());
        }
        let query = parts.uri.query().unwrap_or_default();
        let fields = form_urlencoded::parse(query.as_bytes());
        // The client's own parameters stand before it, and may have that name.
        let (_, token) = fields.filter(|(name, _)| name == PARAMETER).last()?;
        Self::read(token.as_bytes())
    }

    /// A query without the token of a session that it ends with: what is left
    /// are the client's own parameters.
    pub(super) fn cut_off(query: &str) -> Option<String> {
        let fields: Vec<&str> = query.split('&').collect();
        let at = fields.iter().rposition(|field| value(field).is_some())?;
        let token = value(fields.get(at)?)?;
        Self::read(token.as_bytes())?;
        let left = fields.iter().enumerate().filter(|(field, _)| *field != at);
        let left: Vec<&str> = left.map(|(_, field)| *field).collect();
        Some(left.join("&"))
    }

    fn read(text: &[u8]) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (secret, channel) = bytes.split_at_checked(SECRET_LEN)?;
        let channel = ChannelName::new(str::from_utf8(channel).ok()?).ok()?;
        let known = matches!(channel.kind(), ChannelKind::Reply { .. });
        known.then(|| Self {
            secret: Bytes::copy_from_slice(secret),
            channel,
        })
    }
}

#[cfg(test)]
mod tests {
    use towpath_layer_core::{LocalId, NodeId, SeededEntropy};

    use super::*;

    fn parts(query: &str, header: Option<&str>) -> Parts {
        let mut request = http::Request::builder().uri(format!("/socket/longpoll?{query}"));
        if let Some(header) = header {
            request = request.header(HEADER, header);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn token(id: u64) -> Token {
        let node = NodeId::random(&SeededEntropy::new(1));
        Token {
            channel: ChannelName::reply(node, LocalId(id)),
            secret: Bytes::from_static(&[7; SECRET_LEN]),
        }
    }

    #[test]
    fn a_token_is_read_from_the_header_before_the_query() {
        let (one, two) = (token(1), token(2));
        let query = format!("vsn=2.0.0&token={one}&");
        assert_eq!(Token::of(&parts(&query, None)), Some(one));
        let header = two.to_string();
        assert_eq!(Token::of(&parts(&query, Some(&header))), Some(two));
        assert_eq!(Token::of(&parts(&query, Some("stale"))), None);
    }

    #[test]
    fn a_parameter_of_the_clients_that_has_the_name_stands_before_it() {
        let session = token(1);
        let query = format!("token=ada&vsn=2.0.0&token={session}");
        assert_eq!(Token::of(&parts(&query, None)), Some(session.clone()));
        let own = Some("token=ada&vsn=2.0.0".to_owned());
        assert_eq!(Token::cut_off(&query), own);
        let other = format!("token={session}&vsn=2.0.0&token=ada");
        assert_eq!(Token::of(&parts(&other, None)), None);
        for query in [&*other, "token=ada&vsn=2.0.0&", "", "&&"] {
            assert_eq!(Token::cut_off(query), None, "{query}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        let shared = Token {
            channel: ChannelName::new("websocket.connect").unwrap(),
            ..token(1)
        };
        for query in [
            "",
            "token=",
            "token=null",
            "token=%FF",
            "token=AAAA",
            &format!("token={shared}"),
        ] {
            assert_eq!(Token::of(&parts(query, None)), None, "{query}");
        }
    }
}
