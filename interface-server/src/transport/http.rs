//! A connection's first life: HTTP, until it becomes a WebSocket or ends.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt;

use super::longpoll;
use super::respond;
use super::socket::{self, Guard};
use super::stream::Upgrade;
use crate::BoxBody;
use crate::hub::Seat;
use crate::hub::connection::Decision;
use crate::hub::shard::Shard;
use crate::origin;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{self, Ends};
use crate::routes::Entrance;

/// A request's head, in bytes and in fields; more is answered with 431.
const HEAD_SIZE_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 100;

/// What a peer may still send after its last answer, and for how long, so that
/// the answer is not lost to a reset.
const LINGER_BYTES_MAX: usize = 256 << 10;
const LINGER: Duration = Duration::from_secs(1);

/// Where a request leaves the connection that is to be upgraded.
type Promise = Rc<RefCell<Option<Guard>>>;

/// Serves one accepted connection to its end.
pub(crate) async fn serve(
    shard: Rc<Shard>,
    stream: std::net::TcpStream,
    client: SocketAddr,
    seat: Seat,
) {
    let accepted = TcpStream::from_std(stream);
    let stream = match accepted {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "an accepted socket is of no use");
            return;
        }
    };
    // The future of the HTTP part is large, and gone when the socket idles.
    if let Some((guard, upgrade)) = serve_http(&shard, stream, client).boxed_local().await {
        socket::start(&shard, guard, upgrade, seat);
    }
}

async fn serve_http(
    shard: &Rc<Shard>,
    stream: TcpStream,
    client: SocketAddr,
) -> Option<(Guard, Upgrade)> {
    let ends = Ends {
        client: Some(client),
        server: stream.local_addr().ok(),
    };
    let promise = Promise::default();
    let service = {
        let (shard, promise) = (Rc::clone(shard), Rc::clone(&promise));
        service_fn(move |request| answer(Rc::clone(&shard), Rc::clone(&promise), ends, request))
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shard.config.header_timeout)
        .max_buf_size(HEAD_SIZE_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut draining = Box::pin(shard.draining.cancelled());
    let mut told = false;
    let served = poll_fn(|cx| {
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;
    let parts = connection.into_parts();
    drop(draining);
    let stream = parts.io.into_inner();
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended early");
    } else if let Some(guard) = promise.take() {
        return Some((guard, Upgrade::tcp(stream, parts.read_buf)));
    }
    linger(stream).await;
    None
}

/// Lets the last answer arrive.
async fn linger(mut stream: TcpStream) {
    let rest = async {
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        let mut taken = 0;
        while taken < LINGER_BYTES_MAX {
            match stream.read(&mut rest).await? {
                0 => break,
                read => taken += read,
            }
        }
        Ok::<(), io::Error>(())
    };
    if let Ok(Err(error)) = timeout(LINGER, rest).await {
        tracing::trace!(%error, "the peer left without waiting");
    }
}

fn answer(
    shard: Rc<Shard>,
    promise: Promise,
    ends: Ends,
    request: Request<Incoming>,
) -> LocalBoxFuture<'static, Result<Response<BoxBody>, Infallible>> {
    async move {
        let path = request::decoded_path(request.uri().path());
        let response = match shard.hub.routes.websocket(&path) {
            None => match shard.hub.routes.longpoll(&path) {
                Some(entrance) => longpoll::serve(&shard, request, entrance, ends).await,
                None => page(&shard, request).await,
            },
            Some(entrance) if request::asks_for_websocket(request.headers()) => {
                upgrade(&shard, &promise, ends, request, entrance).await
            }
            Some(_) => respond::refused(Refusal::upgrade_required()),
        };
        Ok(response)
    }
    .boxed_local()
}

/// A page of the application, if it has pages.
async fn page(shard: &Shard, request: Request<Incoming>) -> Response<BoxBody> {
    let Some(pages) = shard.http.borrow().clone() else {
        return respond::refused(Refusal::not_found());
    };
    match pages.oneshot(request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a page failed");
            respond::refused(Refusal::internal())
        }
    }
}

/// Holds the handshake until the connect consumer, or a deadline, has decided.
async fn upgrade(
    shard: &Rc<Shard>,
    promise: &Promise,
    ends: Ends,
    request: Request<Incoming>,
    entrance: Entrance,
) -> Response<BoxBody> {
    let (parts, _body) = request.into_parts();
    if !origin::is_allowed(entrance.origins(&shard.config.origins), &parts.headers) {
        tracing::debug!("a page of a foreign origin was refused");
        return respond::refused(Refusal::forbidden());
    }
    let request = match request::read(&parts, entrance, ends) {
        Ok(request) => request,
        Err(refusal) => return respond::refused(refusal),
    };
    drop(parts);
    let accept_key = request.accept_key.clone();
    let opened = match shard.open(request) {
        Ok(opened) => opened,
        Err(refusal) => return respond::refused(refusal),
    };
    // The peer may leave while it waits: then this future is dropped here.
    let guard = Guard::new(shard, opened.connection);
    let decision = opened
        .decision
        .await
        .unwrap_or(Decision::Refuse(Refusal::forbidden()));
    if matches!(decision, Decision::Accept { .. }) {
        *promise.borrow_mut() = Some(guard);
    }
    respond::decided(decision, &accept_key)
}
