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

/// Where subprotocols are offered.
const SUBPROTOCOLS_HEADER: &str = "sec-websocket-protocol";

/// What the offered subprotocol begins with that is a token.
pub(crate) const TOKEN_PREFIX: &str = "base64url.bearer.phx.";

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
    /// subprotocol becomes a header, where the mount takes tokens; elsewhere
    /// consumers see none.
    ///
    /// # Errors
    ///
    /// 403 if it asks for a version that is not spoken, or its token cannot be
    /// read.
    pub(crate) fn of(
        mount: Arc<Mount>,
        carries: Carries,
        handshake: &mut Handshake,
    ) -> Result<Self, Refusal> {
        let serializer = version(&handshake.query_string, &mount.serializers)?;
        if carries == Carries::TextAndBytes {
            if mount.auth_token {
                take_token(handshake)?;
            }
            check_subprotocols(&mount, &handshake.subprotocols)?;
        }
        if !mount.auth_token {
            drop_tokens(handshake);
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
fn check_subprotocols(mount: &Mount, offered: &[ByteString]) -> Result<(), Refusal> {
    let known = |offered: &ByteString| mount.speaks(offered);
    if mount.subprotocols.is_empty() || offered.is_empty() || offered.iter().any(known) {
        return Ok(());
    }
    let body = "none of the offered subprotocols is spoken here\n";
    Err(Refusal::new(StatusCode::FORBIDDEN, body))
}

fn version(query: &[u8], spoken: &[Serializer]) -> Result<Serializer, Refusal> {
    let mut asked = None;
    for (name, value) in form_urlencoded::parse(query) {
        match &*name {
            "vsn" => asked = Some(value),
            // The name of a list, or of a part of a map.
            name if name.starts_with("vsn[") => return Err(unknown_version("a list", spoken)),
            _ => {}
        }
    }
    let known = negotiate(asked.as_deref()).filter(|known| spoken.contains(known));
    known.ok_or_else(|| unknown_version(&asked.unwrap_or_default(), spoken))
}

fn unknown_version(asked: &str, spoken: &[Serializer]) -> Refusal {
    tracing::warn!(
        vsn = asked.escape_debug().to_string(),
        "a client's version is none of ours"
    );
    let body = match spoken {
        [Serializer::V1] => "vsn: 1.0.0 is spoken here\n",
        [Serializer::V2] => "vsn: 2.0.0 is spoken here\n",
        _ => "vsn: 1.0.0 and 2.0.0 are spoken here\n",
    };
    Refusal::new(StatusCode::FORBIDDEN, body)
}

/// Takes a token out of the offered subprotocols: exactly one may be one.
fn take_token(handshake: &mut Handshake) -> Result<(), Refusal> {
    let offered = &mut handshake.subprotocols;
    if offered.iter().filter(|offered| is_token(offered)).count() != 1 {
        return Ok(());
    }
    let Some(at) = offered.iter().position(|offered| is_token(offered)) else {
        return Ok(());
    };
    let token = offered.remove(at);
    let encoded = token.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
    let body = "the offered token is not the base64 of a text\n";
    let token = decoded(encoded).ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, body))?;
    drop_tokens(handshake);
    handshake.headers.push((TOKEN_HEADER, token.into_bytes()));
    Ok(())
}

/// Leaves no token behind, in whatever way it came.
fn drop_tokens(handshake: &mut Handshake) {
    handshake.subprotocols.retain(|offered| !is_token(offered));
    for (name, value) in &mut handshake.headers {
        if *name == SUBPROTOCOLS_HEADER {
            *value = without_tokens(value);
        }
    }
    handshake.headers.retain(|(name, value)| match &**name {
        SUBPROTOCOLS_HEADER => !value.is_empty(),
        name => *name != *TOKEN_HEADER,
    });
}

fn is_token(offered: &str) -> bool {
    offered.starts_with(TOKEN_PREFIX)
}

/// A list of subprotocols without those that are tokens.
fn without_tokens(list: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(list);
    let names = text.split(',').map(str::trim);
    let names: Vec<&str> = names.filter(|name| !is_token(name)).collect();
    names.join(", ").into()
}

/// In spite of its name the token comes in the standard alphabet; others may
/// read the name.
fn decoded(encoded: &str) -> Option<ByteString> {
    let alphabets = [&STANDARD, &URL_SAFE];
    let mut decoded = alphabets
        .into_iter()
        .filter_map(|alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(encoded).ok());
    ByteString::try_from(decoded.next()?).ok()
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
            let both = [Serializer::V1, Serializer::V2];
            assert_eq!(version(query.as_bytes(), &both).ok(), serializer, "{query}");
        }
    }

    #[test]
    fn a_version_that_is_not_spoken_is_refused_by_name() {
        let newer = [Serializer::V2];
        assert_eq!(version(b"vsn=2.0.0", &newer).ok(), Some(Serializer::V2));
        let refusal = version(b"", &newer).unwrap_err();
        assert_eq!(refusal.status, 403);
        assert_eq!(&refusal.body[..], b"vsn: 2.0.0 is spoken here\n");
    }

    #[test]
    fn a_token_becomes_a_header_and_is_offered_no_more() {
        // "???>>" in one alphabet and in the other.
        for token in ["Pz8/Pj4", "Pz8/Pj4=", "Pz8_Pj4", "Pz8_Pj4="] {
            let offered = format!("{TOKEN_PREFIX}{token}");
            let mut handshake = handshake("", &["phoenix", &*offered]);
            let header = |name: &str, value: &str| (name.into(), Bytes::from(value.to_owned()));
            handshake.headers = vec![
                header(SUBPROTOCOLS_HEADER, &format!("{offered},phoenix")),
                header("x-phoenix-authtoken", "another"),
                header(SUBPROTOCOLS_HEADER, &offered),
            ];
            take_token(&mut handshake).unwrap();
            assert_eq!(handshake.subprotocols, ["phoenix"]);
            let left = [
                header(SUBPROTOCOLS_HEADER, "phoenix"),
                header("x-phoenix-authtoken", "???>>"),
            ];
            assert_eq!(handshake.headers, left);
        }
        let mut twice = handshake("", &["base64url.bearer.phx.YQ", "base64url.bearer.phx.Yg"]);
        take_token(&mut twice).unwrap();
        assert_eq!((twice.subprotocols.len(), twice.headers.len()), (2, 0));
        for garbage in ["*", "a", "/w"] {
            let garbage = format!("{TOKEN_PREFIX}{garbage}");
            let mut garbage = handshake("", &[&*garbage]);
            assert_eq!(take_token(&mut garbage).unwrap_err().status, 403);
        }
    }
}
