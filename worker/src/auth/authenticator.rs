//! How the connections of an application are authenticated.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::claims::Registered;
use super::refusal::{refuse, refuse_new};
use super::source::{SUBPROTOCOL, Sources};
use super::{Auth, Claims, Keys, TokenError};
use crate::{Context, Error, PlaceKind, Result, wall};

type Permits<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// How connections are authenticated whose tokens carry a `T`; handed to the
/// application by `App::state`, and used by [`Auth<T>`](Auth) and
/// [`AuthLayer<T>`](super::AuthLayer).
///
/// A token is looked for in the handshake, and the first that is found counts:
///
/// | where | who can send it | mind |
/// |---|---|---|
/// | `Authorization: Bearer …` | programs and apps | a page cannot set it |
/// | `?token=…` | everybody | URLs stand in the logs of proxies: keep such tokens short-lived |
/// | a cookie, if it is named | pages of the same site | browsers send it from foreign pages too: `server.origins` keeps those out |
/// | subprotocols `bearer, …` | pages | the connection then speaks the subprotocol `bearer` |
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use towpath_worker::{Auth, Authenticator, Keys, Result, Router, Socket, States, websocket};
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     name: String,
/// }
///
/// async fn receive(user: Auth<User>, socket: Socket) -> Result {
///     socket.text(format!("hello, {}", user.name)).await
/// }
///
/// async fn connect(_: Auth<User>) {}
///
/// let authenticator = Authenticator::<User>::new(Keys::hs256([7; 32])?).cookie("session");
/// let router = Router::new().route("/", websocket().connect(connect).receive(receive));
/// router.check(&States::new().with(authenticator))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Authenticator<T> {
    keys: Keys,
    sources: Sources,
    closes: bool,
    permits: Vec<Permits<T>>,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Authenticator<T> {
    /// Takes tokens that these keys have signed, from the header
    /// `Authorization`, the query parameter `token`, or the subprotocols.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            sources: Sources::default(),
            closes: false,
            permits: Vec::new(),
        }
    }

    /// Takes tokens from a query parameter of that name, in place of `token`.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.sources.query = Some(name.into());
        self
    }

    /// Takes no tokens from the query, so that none stands in a proxy's log.
    #[must_use]
    pub fn without_query(mut self) -> Self {
        self.sources.query = None;
        self
    }

    /// Takes no tokens from the subprotocols.
    #[must_use]
    pub fn without_subprotocol(mut self) -> Self {
        self.sources.subprotocol = false;
        self
    }

    /// Takes tokens from a cookie, too. Browsers send cookies wherever a page
    /// comes from: what keeps foreign pages out is `server.origins`, which is
    /// then not `*`.
    #[must_use]
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.sources.cookie = Some(name.into());
        self
    }

    /// Lets in only those whose claims pass; the others get 403, or 4403. It is
    /// asked at every event, so that what it looks at may change; all of them
    /// have to agree.
    #[must_use]
    pub fn authorize(mut self, permits: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.permits.push(Arc::new(permits));
        self
    }

    /// Accepts a connection that is to be refused, and closes it at once with
    /// 4401 or 4403 and the reason: a page is told nothing of an answer other
    /// than 101.
    #[must_use]
    pub fn accept_and_close(mut self) -> Self {
        self.closes = true;
        self
    }

    /// The keys, for making tokens.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Authenticates a connection by a token that came some other way, in its
    /// first message for example: from this event on it is as if the handshake
    /// had carried it, unless the event fails.
    ///
    /// # Errors
    ///
    /// [`Error`] with the [`TokenError`] as its cause (`downcast_ref`). With `?`
    /// the connection is closed with 4401 or 4403, a stream of a demultiplexer
    /// gets an error frame; an application that answers otherwise keeps the
    /// connection, which is then whose it was before.
    pub fn admit(&self, context: &Context, token: &str) -> Result<Auth<T>> {
        let admitted = self.try_admit(context, token);
        admitted.map_err(|error| refuse_new(context, error))
    }

    fn try_admit(&self, context: &Context, token: &str) -> Result<Auth<T>, TokenError> {
        let claims = self.verify(token)?;
        self.keep(context, &claims);
        Ok(Auth::new(claims, context))
    }

    /// Verifies a token, and asks whether its claims are enough.
    pub(super) fn verify(&self, token: &str) -> Result<Claims<T>, TokenError> {
        let claims = self.keys.verify(token)?;
        self.ask(&claims)?;
        Ok(claims)
    }

    /// Lets claims travel with the conversation.
    pub(super) fn keep(&self, context: &Context, claims: &Claims<T>) {
        let before = subject_before::<T>(context);
        let json = Bytes::copy_from_slice(claims.json().as_bytes());
        context.keep_slot(&slot::<T>(), json);
        match claims.subject() {
            Some(subject) => context.identify(subject),
            // Whom the token before was about is not who is here now.
            None if before.is_some() && before == context.identity() => context.identify(""),
            None => {}
        }
    }

    /// Who the event is from, if that is known: by the handshake's token, or by
    /// what travels with the conversation since.
    pub(super) fn authenticate(&self, context: &Context) -> Result<Option<Auth<T>>> {
        let known = self
            .known(context)
            .map_err(|error| self.refuse(context, error))?;
        if let Some(claims) = known {
            return Ok(Some(Auth::new(claims, context)));
        }
        if context.kind() != PlaceKind::Connect {
            return Ok(None);
        }
        let Some(found) = self.sources.find(context.handshake()?) else {
            return Ok(None);
        };
        if found.among_subprotocols {
            context.prefer_subprotocol(SUBPROTOCOL);
        }
        let admitted = self.try_admit(context, &found.token);
        admitted
            .map(Some)
            .map_err(|error| self.refuse(context, error))
    }

    /// What travels with the conversation. Whoever is gone was who he was.
    fn known(&self, context: &Context) -> Result<Option<Claims<T>>, TokenError> {
        let json = String::from_utf8(context.slot(&slot::<T>()).into()).unwrap_or_default();
        if json.is_empty() {
            return Ok(None);
        }
        let json = RawValue::from_string(json).map_err(|_| TokenError::Malformed)?;
        let claims: Claims<T> = Claims::read(json)?;
        if context.kind() != PlaceKind::Disconnect {
            if self.keys.is_over(claims.expires_at(), wall::now()) {
                return Err(TokenError::Expired);
            }
            self.ask(&claims)?;
        }
        Ok(Some(claims))
    }

    fn ask(&self, claims: &Claims<T>) -> Result<(), TokenError> {
        if self.permits.iter().all(|permits| permits(claims)) {
            Ok(())
        } else {
            Err(TokenError::NotPermitted)
        }
    }

    pub(super) fn refuse(&self, context: &Context, error: TokenError) -> Error {
        refuse(context, error, self.closes)
    }
}

/// Where the claims travel. Each type has its own place: what was verified for
/// one says nothing about another.
fn slot<T>() -> String {
    format!("auth:{}", std::any::type_name::<T>())
}

/// Whom the token was about that travelled until now.
fn subject_before<T>(context: &Context) -> Option<String> {
    let json = String::from_utf8(context.slot(&slot::<T>()).into()).ok()?;
    serde_json::from_str::<Registered>(&json)
        .ok()?
        .into_subject()
}

impl<T> Clone for Authenticator<T> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            sources: self.sources.clone(),
            closes: self.closes,
            permits: self.permits.clone(),
        }
    }
}

impl<T> fmt::Debug for Authenticator<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("keys", &self.keys)
            .field("sources", &self.sources)
            .field("closes", &self.closes)
            .finish_non_exhaustive()
    }
}
