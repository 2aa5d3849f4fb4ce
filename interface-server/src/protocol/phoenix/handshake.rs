//! What a client of Phoenix asks for when it connects (§1.1, §1.2, §1.10).

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use bytestring::ByteString;
use http::StatusCode;
use towpath_layer_core::Handshake;

use super::serializer::{Carries, Serializer};
use super::vsn::negotiate;
use crate::protocol::refusal::Refusal;
use crate::routes::Mount;

/// The header in which a token reaches the consumers, whatever it came in.
const TOKEN_HEADER: ByteString = ByteString::from_static("x-phoenix-authtoken");

/// What the offered subprotocol begins with that is a token.
const TOKEN_PREFIX: &str = "base64url.bearer.phx.";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// What a socket speaks.
#[derive(Debug, Clone)]
pub(crate) struct Speech {
    pub(crate) mount: Arc<Mount>,
    pub(crate) serializer: Serializer,
    pub(crate) carries: Carries,
}

impl Speech {
    /// What a client of a mount asks for. A token that it offers as a
    /// subprotocol becomes a header.
    ///
    /// # Errors
    ///
    /// 403 if it asks for an unknown version, or its token cannot be read.
    pub(crate) fn of(
        mount: Arc<Mount>,
        carries: Carries,
        handshake: &mut Handshake,
    ) -> Result<Self, Refusal> {
        let serializer = version(&handshake.query_string)?;
        if mount.auth_token && carries == Carries::TextAndBytes {
            take_token(handshake)?;
        }
        if carries == Carries::TextAndBytes {
            check_subprotocols(&mount.subprotocols, &handshake.subprotocols)?;
        }
        Ok(Self {
            mount,
            serializer,
            carries,
        })
    }
}

/// A client that offers subprotocols offers one that is spoken, if the mount
/// says which are.
fn check_subprotocols(spoken: &[String], offered: &[ByteString]) -> Result<(), Refusal> {
    let known = |offered: &ByteString| spoken.iter().any(|spoken| **spoken == **offered);
    if spoken.is_empty() || offered.is_empty() || offered.iter().any(known) {
        return Ok(());
    }
    let body = "none of the offered subprotocols is spoken here\n";
    Err(Refusal::new(StatusCode::FORBIDDEN, body))
}

fn version(query: &[u8]) -> Result<Serializer, Refusal> {
    let mut asked = None;
    for (name, value) in form_urlencoded::parse(query) {
        match &*name {
            "vsn" => asked = Some(value),
            // The name of a list, or of a part of a map.
            name if name.starts_with("vsn[") => return Err(unknown_version("a list")),
            _ => {}
        }
    }
    negotiate(asked.as_deref()).ok_or_else(|| unknown_version(&asked.unwrap_or_default()))
}

fn unknown_version(asked: &str) -> Refusal {
    tracing::warn!(
        vsn = asked.escape_debug().to_string(),
        "a client's version is none of ours"
    );
    let body = "vsn: 1.0.0 and 2.0.0 are spoken here\n";
    Refusal::new(StatusCode::FORBIDDEN, body)
}

/// Takes a token out of the offered subprotocols: exactly one may be one.
fn take_token(handshake: &mut Handshake) -> Result<(), Refusal> {
    let offered = &mut handshake.subprotocols;
    let is_token = |offered: &ByteString| offered.starts_with(TOKEN_PREFIX);
    if offered.iter().filter(|offered| is_token(offered)).count() != 1 {
        return Ok(());
    }
    let Some(at) = offered.iter().position(is_token) else {
        return Ok(());
    };
    let token = offered.remove(at);
    let encoded = token.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
    let token = decoded(encoded)
        .ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "the offered token is not base64\n"))?;
    handshake.headers.retain(|(name, _)| *name != TOKEN_HEADER);
    handshake.headers.push((TOKEN_HEADER, token));
    Ok(())
}

/// In spite of its name the token comes in the standard alphabet; others may
/// read the name.
fn decoded(encoded: &str) -> Option<Bytes> {
    let alphabets = [&STANDARD, &URL_SAFE];
    let mut decoded = alphabets
        .into_iter()
        .filter_map(|alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(encoded).ok());
    decoded.next().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(query: &'static str, subprotocols: &[&str]) -> Handshake {
        Handshake {
            query_string: Bytes::from_static(query.as_bytes()),
            subprotocols: subprotocols
                .iter()
                .map(|one| ByteString::from(*one))
                .collect(),
            ..Handshake::default()
        }
    }

    #[test]
    fn a_version_is_chosen_by_the_query() {
        for (query, serializer) in [
            ("", Some(Serializer::V1)),
            ("vsn=2.0.0&", Some(Serializer::V2)),
            ("a=b&vsn=1.0.0", Some(Serializer::V1)),
            ("vsn=123.1.1", None),
            ("vsn[]=2.0.0", None),
            ("vsn%5B%5D=2.0.0", None),
        ] {
            assert_eq!(version(query.as_bytes()).ok(), serializer, "{query}");
        }
    }

    #[test]
    fn a_token_becomes_a_header_and_is_offered_no_more() {
        // The bytes fb ff are +/8 in one alphabet and -_8 in the other.
        for offered in ["base64url.bearer.phx.+/8", "base64url.bearer.phx.-_8="] {
            let mut handshake = handshake("", &["phoenix", offered]);
            take_token(&mut handshake).unwrap();
            assert_eq!(handshake.subprotocols, ["phoenix"]);
            let token = (TOKEN_HEADER, Bytes::from_static(b"\xfb\xff"));
            assert_eq!(handshake.headers, [token]);
        }
        let mut twice = handshake("", &["base64url.bearer.phx.YQ", "base64url.bearer.phx.Yg"]);
        take_token(&mut twice).unwrap();
        assert_eq!((twice.subprotocols.len(), twice.headers.len()), (2, 0));
        let mut garbage = handshake("", &["base64url.bearer.phx.a"]);
        assert_eq!(take_token(&mut garbage).unwrap_err().status, 403);
    }
}
