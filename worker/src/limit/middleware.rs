//! The middleware: which events count, and against which bucket.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::task;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use super::bucket::{Bucket, Rate};
use super::identities::Identities;
use super::over::Over;
use crate::error::BoxError;
use crate::{Context, Error, PlaceKind, Result, wall};

/// Policy violation (RFC 6455 §7.4.1).
const POLICY: u16 = 1008;

type Key = Arc<dyn Fn(&Context) -> Option<String> + Send + Sync>;

/// A middleware that lets through what a rate allows: a token bucket.
///
/// `burst` events pass at once; then tokens come back at the rate. Only frames
/// of the peer count, not connect, disconnect, or events of the application;
/// only handshakes count for [`connects`](Self::connects). Over the limit the
/// connection is closed with 1008, unless it is said otherwise; a handshake is
/// answered with 429 and `Retry-After`. Both are counted in
/// `towpath_rate_limited_total`.
///
/// ```
/// use towpath_worker::{Rate, RateLimit, Result, Socket, Text, websocket};
///
/// async fn echo(Text(text): Text, socket: Socket) -> Result {
///     socket.text(text).await
/// }
///
/// let echo = websocket()
///     .receive(echo)
///     .middleware(RateLimit::per_connection(Rate::per_second(10), 20))
///     .middleware(
///         RateLimit::per_identity(|event| event.identity(), Rate::per_minute(300), 100)
///             .answer(),
///     )
///     .middleware(RateLimit::connects_per_address(Rate::per_minute(30), 30));
/// ```
#[derive(Clone)]
pub struct RateLimit {
    bucket: Bucket,
    over: Over,
    counts: PlaceKind,
    whose: Whose,
    name: &'static str,
}

/// Whose the buckets are.
#[derive(Clone)]
enum Whose {
    /// The conversation's: it travels along.
    Connection,
    /// Everybody's who is named so, in this process.
    Named(Key, Arc<Identities>),
}

impl RateLimit {
    /// A limit for each connection, or for each of its streams if it stands
    /// around the stream of a demultiplexer.
    ///
    /// The bucket travels with the conversation, so the limit holds whichever
    /// worker takes the next event, as exactly as the workers' clocks agree.
    #[must_use]
    pub fn per_connection(rate: Rate, burst: u32) -> Self {
        Self {
            bucket: Bucket::new(rate, burst),
            over: Over::Close(POLICY),
            counts: PlaceKind::Receive,
            whose: Whose::Connection,
            name: "connection",
        }
    }

    /// A limit for all connections of one identity together, as the function
    /// names it: `|event| event.identity()` is the subject of the token. Events
    /// that it names nobody for pass.
    ///
    /// The buckets are in the memory of each worker process, so N processes
    /// together allow up to N times the rate, and a restart fills them. Of
    /// 10 000 identities the one that was not heard of for longest is forgotten
    /// for a new one, and begins with a full bucket again; see
    /// [`identities_max`](Self::identities_max).
    #[must_use]
    pub fn per_identity(
        identity: impl Fn(&Context) -> Option<String> + Send + Sync + 'static,
        rate: Rate,
        burst: u32,
    ) -> Self {
        let whose = Whose::Named(Arc::new(identity), Arc::default());
        Self {
            whose,
            name: "identity",
            ..Self::per_connection(rate, burst)
        }
    }

    /// A limit for handshakes, by whatever the function names them; as
    /// [`per_identity`](Self::per_identity). Put it outside of what
    /// authenticates, or only those who are let in are counted.
    #[must_use]
    pub fn connects(
        origin: impl Fn(&Context) -> Option<String> + Send + Sync + 'static,
        rate: Rate,
        burst: u32,
    ) -> Self {
        Self {
            counts: PlaceKind::Connect,
            name: "connects",
            ..Self::per_identity(origin, rate, burst)
        }
    }

    /// A limit for the handshakes from each client address; an IPv6 address
    /// counts by its network (/64), of which one client has all addresses.
    /// Behind a proxy every client has the proxy's: name them by the header
    /// field that it sets, with [`connects`](Self::connects).
    #[must_use]
    pub fn connects_per_address(rate: Rate, burst: u32) -> Self {
        Self::connects(address, rate, burst)
    }

    /// How many identities are known at a time; 0 counts as 1. Each takes about
    /// 150 bytes and its name.
    #[must_use]
    pub fn identities_max(mut self, len_max: usize) -> Self {
        if let Whose::Named(key, _) = self.whose {
            self.whose = Whose::Named(key, Arc::new(Identities::new(len_max)));
        }
        self
    }

    /// Closes the connection with that code over the limit; 4429 for example,
    /// which a page can tell from other reasons.
    #[must_use]
    pub fn close_with(mut self, code: u16) -> Self {
        self.over = Over::Close(code);
        self
    }

    /// Answers what is over the limit with an error frame, and drops it:
    /// `{"error": {"code": "rate_limited", "reason": …, "retry_after_ms": …}}`,
    /// with the `stream` on one of a demultiplexer.
    #[must_use]
    pub fn answer(mut self) -> Self {
        self.over = Over::Answer;
        self
    }

    /// Drops what is over the limit; the metrics count it.
    #[must_use]
    pub fn discard(mut self) -> Self {
        self.over = Over::Drop;
        self
    }

    /// Takes a token for an event, or says how long until there is one.
    fn take(&self, context: &Context) -> Result<(), Duration> {
        if context.kind() != self.counts {
            return Ok(());
        }
        let now = u64::try_from(wall::now().as_micros()).unwrap_or(u64::MAX);
        match &self.whose {
            Whose::Connection => self.take_from_slot(context, now),
            Whose::Named(key, identities) => match key(context) {
                Some(name) => identities.change(name, |full_at| self.bucket.take(full_at, now)),
                None => Ok(()),
            },
        }
    }

    fn take_from_slot(&self, context: &Context, now: u64) -> Result<(), Duration> {
        let Bucket { interval_us, burst } = self.bucket;
        let stream = context.framing().stream.unwrap_or_default();
        // Limits that differ have buckets of their own.
        let slot = format!("rate:{interval_us}:{burst}:{stream}");
        let full_at = <[u8; 8]>::try_from(&*context.slot(&slot)).map_or(0, u64::from_be_bytes);
        let next = self.bucket.take(full_at, now)?;
        context.keep_slot(&slot, Bytes::copy_from_slice(&next.to_be_bytes()));
        Ok(())
    }
}

/// The network of the client, as far as one client can choose in it.
fn address(context: &Context) -> Option<String> {
    let (host, _) = context.handshake().ok()?.client.as_ref()?;
    match host.parse() {
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => Some(address.to_string()),
            None => Some(format!("{:x}", address.to_bits() >> 64)),
        },
        Ok(IpAddr::V4(_)) | Err(_) => Some(host.to_string()),
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("limit", &self.name)
            .field("bucket", &self.bucket)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RateLimit {
    type Service = RateLimited<S>;

    fn layer(&self, inner: S) -> RateLimited<S> {
        RateLimited {
            limit: self.clone(),
            inner,
        }
    }
}

/// A consumer behind a [`RateLimit`].
#[derive(Debug, Clone)]
pub struct RateLimited<S> {
    limit: RateLimit,
    inner: S,
}

impl<S> Service<Context> for RateLimited<S>
where
    S: Service<Context, Response = ()>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = Error;
    type Future = BoxFuture<'static, Result>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> task::Poll<Result> {
        self.inner.poll_ready(cx).map_err(boxed)
    }

    fn call(&mut self, context: Context) -> Self::Future {
        match self.limit.take(&context) {
            Ok(()) => {
                let passed = self.inner.call(context);
                Box::pin(async move { passed.await.map_err(boxed) })
            }
            Err(lacks) => {
                let (over, name) = (self.limit.over, self.limit.name);
                Box::pin(over.end(context, name, lacks))
            }
        }
    }
}

fn boxed<E: Into<BoxError>>(error: E) -> Error {
    Error::from_boxed(error.into())
}
