//! Extractors: what a consumer may take as arguments.

mod connection;
mod cookies;
mod frame;
mod groups;
mod layer;
mod outbox;
mod params;
mod path;
mod payload;
pub(crate) mod session;
mod socket;
mod state;

use std::future::Future;

use crate::{Context, Place, Result};

pub use connection::{Connection, Disconnected, Headers, Query};
pub use cookies::Cookies;
pub(crate) use frame::read_json;
pub use frame::{Json, Text};
pub use groups::Groups;
pub use layer::Layer;
pub use outbox::Outbox;
pub use path::Path;
pub use payload::Payload;
pub use session::Session;
pub use socket::Socket;
pub use state::State;
pub(crate) use state::get as state_of;

/// A type that can be an argument of a consumer.
///
/// ```
/// use towpath_worker::{Context, Error, FromContext, Result};
///
/// /// Who is behind the connection, from the handshake's headers.
/// struct User(String);
///
/// impl FromContext for User {
///     async fn from_context(context: &Context) -> Result<Self> {
///         let headers = &context.handshake()?.headers;
///         let found = headers.iter().find(|(name, _)| *name == "x-user");
///         match found.map(|(_, value)| std::str::from_utf8(value)) {
///             Some(Ok(user)) => Ok(Self(user.to_owned())),
///             _ => Err(Error::rejected("who are you?")),
///         }
///     }
/// }
/// ```
pub trait FromContext: Sized + Send + 'static {
    /// Whether the type can be an argument at that place; asked at start-up.
    ///
    /// # Errors
    ///
    /// What the type needs and the place does not have.
    fn check(place: &Place<'_>) -> Result<(), String> {
        let _ = place;
        Ok(())
    }

    /// Makes a value of an event; the consumer does not run if it cannot.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing from the event.
    fn from_context(context: &Context) -> impl Future<Output = Result<Self>> + Send;
}

impl FromContext for Context {
    async fn from_context(context: &Context) -> Result<Self> {
        Ok(context.clone())
    }
}

/// Shows a type without its path, as its author wrote it.
pub(crate) fn short_name<T>() -> String {
    let name = std::any::type_name::<T>();
    name.split_inclusive(['<', '>', ',', ' ', '(', ')', '&', '['])
        .map(|part| part.rsplit("::").next().unwrap_or(part))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_shown_as_it_was_written() {
        let name = short_name::<Path<(String, std::collections::HashMap<u8, Vec<u8>>)>>();
        assert_eq!(name, "Path<(String, HashMap<u8, Vec<u8>>)>");
    }
}
