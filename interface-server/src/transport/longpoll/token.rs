//! What a session is known by to its client: where it lives, and a secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::request::Parts;
use towpath_layer_core::{ChannelKind, ChannelName};

/// The header that counts more than the query.
pub(super) const HEADER: &str = "x-phoenix-longpoll-token";

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

impl Token {
    /// The token that a request carries, if it carries one that can be one.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        if let Some(value) = parts.headers.get(HEADER) {
            return Self::read(value.as_bytes());
        }
        let query = parts.uri.query().unwrap_or_default();
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let (_, token) = fields.find(|(name, _)| name == "token")?;
        Self::read(token.as_bytes())
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
