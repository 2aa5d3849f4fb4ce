//! What is known of a client that asks for a socket.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::Handshake;

use super::Topics;
use crate::{Context, Error, FromContext, Groups, Layer, Result};

/// After this a token stands among the subprotocols.
const TOKEN_PREFIX: &str = "base64url.bearer.phx.";
/// Where a client that cannot offer subprotocols puts it.
const TOKEN_HEADER: &str = "x-phoenix-authtoken";

/// What is known of a client that asks for a socket, besides its parameters.
///
/// ```
/// use towpath_worker::{ConnectInfo, Error, Result};
///
/// fn device(info: &ConnectInfo) -> Result<&str> {
///     info.header("x-device").ok_or_else(|| Error::deny(403, "no device"))
/// }
/// ```
#[derive(Debug)]
pub struct ConnectInfo {
    context: Context,
    handshake: Handshake,
}

impl ConnectInfo {
    pub(super) fn of(context: &Context) -> Result<Self> {
        Ok(Self {
            handshake: context.handshake()?.clone(),
            context: context.clone(),
        })
    }

    /// The first value of a header field, if it is UTF-8; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.handshake.headers.iter();
        let (_, value) = fields.find(|(known, _)| *known == *name)?;
        std::str::from_utf8(value).ok()
    }

    /// Every header field, in the order of arrival.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        let fields = self.handshake.headers.iter();
        fields.map(|(name, value)| (&**name, value))
    }

    /// The peer's address and port.
    #[must_use]
    pub fn client(&self) -> Option<(&str, u16)> {
        let (address, port) = self.handshake.client.as_ref()?;
        Some((address, *port))
    }

    /// The path at which the socket is mounted, percent-decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.context.event().map_or("", |event| &event.path)
    }

    /// The token that the client sent outside of the URL (`authToken`), as
    /// text. It is not verified.
    ///
    /// # Errors
    ///
    /// What denies the handshake with 403 if the token cannot be decoded.
    pub fn auth_token(&self) -> Result<Option<String>> {
        let offered = self.handshake.subprotocols.iter();
        let mut encoded = offered.filter_map(|one| one.strip_prefix(TOKEN_PREFIX));
        match (encoded.next(), encoded.next()) {
            (Some(token), None) => decode(token).map(Some),
            (None, _) => Ok(self.header(TOKEN_HEADER).map(str::to_owned)),
            (Some(_), Some(_)) => Ok(None),
        }
    }

    /// All that is known of the handshake.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// A value of the application, as [`State`](crate::State) has it.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if the application has none of that type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        crate::extract::state_of(&self.context)
    }

    /// What an extractor makes of the event: `Headers`, `Cookies`, `Auth`, ….
    ///
    /// # Errors
    ///
    /// Those of the extractor.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing from the event.
    pub async fn extract<E: FromContext>(&self) -> Result<E> {
        self.context.extract().await
    }

    /// Says who is behind the socket, for logs and rate limits; its topics
    /// inherit it. See [`Context::identify`].
    pub fn identify(&self, identity: &str) {
        self.context.identify(identity);
    }

    /// Topics, to broadcast to.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics::of(&self.context)
    }

    /// The groups of the layer, and the socket's own part in them.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups::of(&self.context)
    }

    /// The layer.
    #[must_use]
    pub fn layer(&self) -> Layer {
        Layer::new(Arc::clone(self.context.layer()))
    }
}

/// Clients use the standard alphabet in spite of the prefix; both are taken,
/// with padding and without.
fn decode(token: &str) -> Result<String> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if token.contains(['-', '_']) {
        &alphabet::URL_SAFE
    } else {
        &alphabet::STANDARD
    };
    let decoded = GeneralPurpose::new(alphabet, LENIENT).decode(token).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Error::deny(403, ByteString::from_static(NOT_BASE64).into_bytes()))
}

const NOT_BASE64: &str = "the token among the subprotocols is not the base64 of a text";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_taken_with_padding_and_without() {
        for encoded in ["Pz8/Pj4", "Pz8/Pj4=", "Pz8_Pj4", "Pz8_Pj4="] {
            assert_eq!(decode(encoded).unwrap(), "???>>", "{encoded}");
        }
        for garbage in ["*", "a", "/w"] {
            let error = decode(garbage).unwrap_err();
            assert_eq!(error.to_string(), "denied with 403", "{garbage}");
        }
    }
}
