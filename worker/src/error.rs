//! Why a consumer failed, and what of it the peer may see.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::{
    Application, Close, Deny, Frame, GroupError, LayerError, SendError, Unavailable,
};

/// What a consumer returns.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is; it decides what becomes of the
/// conversation and what the peer is told.
///
/// | kind | at connect | later |
/// |---|---|---|
/// | `Rejected` | 403 with the reason | close 1008 with the reason |
/// | `BadPayload` | 400 with the reason | close 1008 with the reason |
/// | `Denied` | the given answer | as `Internal` |
/// | `Closed` | accept, then close with the given code | close with the given code |
/// | `Internal` | 500 | close 1011 with an error id |
/// | `Retry` | the event comes once more | the event comes once more |
///
/// A connect consumer that has accepted the connection already is treated as
/// later.
///
/// On a channel of the application there is no peer: every kind is logged and
/// counted, and the message is gone. [`TopicConsumer`](crate::TopicConsumer) says
/// what they mean for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The consumer refused; the peer may see why.
    Rejected,
    /// What the peer sent does not fit; the peer may see where.
    BadPayload,
    /// A handshake is refused with an answer of its own.
    Denied,
    /// The connection ends with a code of the application's.
    Closed,
    /// Anything else: the log has it under an id, the peer sees only the id.
    /// If the cause is nothing but an [`Unavailable`] layer, the event counts
    /// as lost: the session is kept and the conversation goes on.
    Internal,
    /// The event is wanted once more, with the old session.
    Retry,
}

/// Why a consumer failed.
///
/// Every error that implements [`std::error::Error`] becomes an
/// [`Internal`](ErrorKind::Internal) one by `?`; for this, `Error` itself does
/// not implement that trait.
///
/// ```
/// use towpath_worker::{Error, ErrorKind, Result};
///
/// fn age(text: &str) -> Result<u8> {
///     let age = text.parse()?;
///     if age < 18 {
///         return Err(Error::rejected("come back later"));
///     }
///     Ok(age)
/// }
///
/// assert_eq!(age("old").unwrap_err().kind(), ErrorKind::Internal);
/// assert_eq!(age("17").unwrap_err().to_string(), "come back later");
/// ```
pub struct Error {
    // Boxed, so that a `Result` is one word wide.
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    deny: Option<Deny>,
    close: Option<Close>,
    refusal: Option<Frame>,
}

impl Error {
    /// The consumer refuses; the peer may see `reason`.
    #[must_use]
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Rejected, Some(reason.into()), None)
    }

    /// What the peer sent does not fit; the peer may see `reason`.
    #[must_use]
    pub fn bad_payload(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadPayload, Some(reason.into()), None)
    }

    /// A failure of the application; the peer sees an id only.
    #[must_use]
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, Some(reason.into()), None)
    }

    /// Asks for the event once more, with the old session; ten times at most.
    #[must_use]
    pub fn retry() -> Self {
        Self::new(ErrorKind::Retry, Some("retry".to_owned()), None)
    }

    /// Refuses a handshake with an HTTP status from 400 to 599; another one is
    /// an [`Internal`](ErrorKind::Internal) error.
    #[must_use]
    pub fn deny(status: u16, body: impl Into<Bytes>) -> Self {
        Self::deny_with(Deny {
            status,
            headers: Vec::new(),
            body: body.into(),
        })
    }

    /// Refuses a handshake with header fields of its own.
    #[must_use]
    pub fn deny_with(deny: Deny) -> Self {
        if !(400..=599).contains(&deny.status) {
            return Self::internal(format!(
                "a handshake is denied with a status from 400 to 599, not {}",
                deny.status
            ));
        }
        let message = format!("denied with {}", deny.status);
        let mut error = Self::new(ErrorKind::Denied, Some(message), None);
        error.inner.deny = Some(deny);
        error
    }

    /// Ends the connection with a close code (RFC 6455 §7.4.2: 4000 to 4999 are
    /// the application's own) and a reason of at most 123 bytes. At connect the
    /// handshake is accepted first (with the first subprotocol that the peer
    /// offers), so that a page can see the code; like any open connection, this
    /// one is then followed by its disconnect event.
    ///
    /// On a stream of a demultiplexer it ends the whole connection.
    #[must_use]
    pub fn close(code: u16, reason: impl Into<ByteString>) -> Self {
        let reason = reason.into();
        let message = format!("closed with {code}: {reason}");
        let mut error = Self::new(ErrorKind::Closed, Some(message), None);
        error.inner.close = Some(Close { code, reason });
        error
    }

    /// For a type's `event` that takes no event of that name: as
    /// [`internal`](Self::internal). But on a stream of a demultiplexer it only
    /// says that an event which somebody sent to a group or to the connection,
    /// and so to all streams, is for others; it fails if no stream takes it.
    #[must_use]
    pub fn unknown_event(event: &Application) -> Self {
        UnknownEvent(format!("no event {:?} is expected", &*event.name)).into()
    }

    /// A join is refused with that response.
    pub(crate) fn refused_with(response: Frame) -> Self {
        let mut error = Self::rejected("the join is refused");
        error.inner.refusal = Some(response);
        error
    }

    pub(crate) fn is_unknown_event(&self) -> bool {
        self.downcast_ref::<UnknownEvent>().is_some()
    }

    /// The error that middleware passed on, or its own.
    pub(crate) fn from_boxed(error: BoxError) -> Self {
        match error.downcast::<Boxed>() {
            Ok(boxed) => boxed.0,
            Err(other) => Self::new(ErrorKind::Internal, None, Some(other)),
        }
    }

    /// Gives the error a cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    fn new(
        kind: ErrorKind,
        message: Option<String>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message,
                source,
                deny: None,
                close: None,
                refusal: None,
            }),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The cause, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.inner.source.as_deref()?.downcast_ref()
    }

    /// Whether the only cause is that the layer was out of reach.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        if self.kind() != ErrorKind::Internal {
            return false;
        }
        let mut next = self.source();
        while let Some(error) = next {
            if is_unavailable(error) {
                return true;
            }
            next = error.source();
        }
        false
    }

    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.inner.source.as_deref()?;
        Some(source)
    }

    /// The message and all its causes, for the log.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = match self.inner.message {
            Some(_) => self.source(),
            None => self.source().and_then(StdError::source),
        };
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }

    pub(crate) fn take_deny(&mut self) -> Option<Deny> {
        self.inner.deny.take()
    }

    pub(crate) fn take_refusal(&mut self) -> Option<Frame> {
        self.inner.refusal.take()
    }

    pub(crate) fn take_close(&mut self) -> Option<Close> {
        self.inner.close.take()
    }
}

fn is_unavailable(error: &(dyn StdError + 'static)) -> bool {
    error.is::<Unavailable>()
        || matches!(error.downcast_ref(), Some(SendError::Unavailable(_)))
        || matches!(error.downcast_ref(), Some(GroupError::Unavailable(_)))
        || matches!(error.downcast_ref(), Some(LayerError::Unavailable(_)))
}

/// An event that its type does not take.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UnknownEvent(pub(crate) String);

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// An [`Error`] behind the trait that it does not implement itself.
#[derive(Debug)]
struct Boxed(Error);

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Boxed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// For tower's own layers, which know errors in this form.
impl From<Error> for BoxError {
    fn from(error: Error) -> Self {
        Box::new(Boxed(error))
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(ErrorKind::Internal, None, Some(Box::new(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.inner.message, &self.inner.source) {
            (Some(message), _) => f.write_str(message),
            (None, Some(source)) => source.fmt(f),
            (None, None) => f.write_str("failed"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("reason", &self.chain())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the room is not there")]
    struct NoRoom(#[source] SendError);

    fn unavailable() -> Unavailable {
        Unavailable {
            backend: "redis",
            outcome_unknown: false,
            source: "connection refused".into(),
        }
    }

    #[test]
    fn an_unavailable_layer_is_found_behind_other_errors() {
        let plain = Error::from(SendError::Unavailable(unavailable()));
        let wrapped = Error::from(NoRoom(SendError::Unavailable(unavailable())));
        let other = Error::from(NoRoom(SendError::Closed));
        assert!(plain.is_unavailable() && wrapped.is_unavailable());
        assert!(!other.is_unavailable());
        assert!(
            !Error::rejected("no")
                .caused_by(unavailable())
                .is_unavailable()
        );
    }

    #[test]
    fn the_chain_has_each_cause_once() {
        let error = Error::from(NoRoom(SendError::Closed));
        assert_eq!(error.chain(), "the room is not there: the layer is closed");
        let error = Error::internal("no answer").caused_by(NoRoom(SendError::Closed));
        assert_eq!(
            error.chain(),
            "no answer: the room is not there: the layer is closed"
        );
    }

    #[test]
    fn a_handshake_is_not_denied_with_a_success() {
        assert_eq!(Error::deny(204, "").kind(), ErrorKind::Internal);
        assert_eq!(Error::deny(429, "later").kind(), ErrorKind::Denied);
    }
}
