//! Who a consumer is called for.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::refusal::refuse_new;
use super::{Authenticator, Claims, TokenError};
use crate::extract::short_name;
use crate::place::CONVERSATION;
use crate::{Context, Error, FromContext, Place, Result, wall};

/// Who is behind the connection, by a signed token; it dereferences to the
/// claims. [`Authenticator<T>`](Authenticator) says how, and is looked for at
/// start-up.
///
/// | | without a token | with a bad one | with one that is not enough |
/// |---|---|---|---|
/// | connect | 401 | 401 | 403 |
/// | later | close 4401, an error frame on a stream | close 4401 once it has expired | close 4403 |
/// | disconnect | the consumer does not run | it runs | it runs |
///
/// Take it at connect, too: there the token is verified. `Option<Auth<T>>` lets
/// in who has no token; a bad one is refused all the same.
///
/// A connection on which nothing happens is not looked at: a tick to a consumer
/// that takes `Auth` closes one whose token has expired.
pub struct Auth<T> {
    claims: Claims<T>,
    context: Context,
}

impl<T> Auth<T> {
    pub(super) fn new(claims: Claims<T>, context: &Context) -> Self {
        Self {
            claims,
            context: context.clone(),
        }
    }

    /// All that the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims<T> {
        &self.claims
    }

    /// Whom the token is about (`sub`).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims.subject()
    }

    /// How long the token is still valid; zero within the leeway at its end.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        self.claims.expires_at().saturating_sub(wall::now())
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Auth<T> {
    /// Replaces the token by a newer one of the same subject, from this event
    /// on, unless the event fails. Tokens that name no subject cannot be told
    /// apart by it: then compare the claims that say who it is.
    ///
    /// # Errors
    ///
    /// As [`Authenticator::admit`]; the token that was there stays valid.
    pub fn refresh(&mut self, token: &str) -> Result {
        let authenticator = authenticator::<T>(&self.context)?;
        let claims = authenticator.verify(token).and_then(|claims| {
            if claims.subject() == self.subject() {
                Ok(claims)
            } else {
                Err(TokenError::OtherSubject)
            }
        });
        let claims = claims.map_err(|error| refuse_new(&self.context, error))?;
        authenticator.keep(&self.context, &claims);
        self.claims = claims;
        Ok(())
    }
}

impl<T> Deref for Auth<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.claims
    }
}

/// Without what the token says.
impl<T> fmt::Debug for Auth<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Auth").field(&self.claims).finish()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> FromContext for Auth<T> {
    fn check(place: &Place<'_>) -> Result<(), String> {
        Option::<Self>::check(place)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        let authenticator = authenticator::<T>(context)?;
        let known = authenticator.authenticate(context)?;
        known.ok_or_else(|| authenticator.refuse(context, TokenError::Missing))
    }
}

/// For connections that need no token: nothing without one. A bad one is
/// refused.
impl<T: DeserializeOwned + Send + Sync + 'static> FromContext for Option<Auth<T>> {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Auth", CONVERSATION, "a channel has no connection")?;
        match place.states().get::<Authenticator<T>>() {
            Some(_) => Ok(()),
            None => Err(missing::<T>()),
        }
    }

    async fn from_context(context: &Context) -> Result<Self> {
        authenticator::<T>(context)?.authenticate(context)
    }
}

fn authenticator<T: Send + Sync + 'static>(context: &Context) -> Result<Arc<Authenticator<T>>> {
    let found = context.states().get();
    found.ok_or_else(|| Error::internal(missing::<T>()))
}

fn missing<T>() -> String {
    let claims = short_name::<T>();
    format!(
        "the application has no Authenticator<{claims}>: \
         add .state(Authenticator::<{claims}>::new(keys))"
    )
}
