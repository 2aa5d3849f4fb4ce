//! One connection of a client.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::deadline::Deadline;
use super::handle::Api;

/// The head of a request, in bytes; a larger one is answered with 431.
const HEAD_SIZE_MAX: usize = 64 << 10;

/// Header fields of a request.
const HEADERS_MAX: usize = 100;

/// Serves requests until the client leaves, is late, or the server stops: then
/// the request that runs is the last.
pub(super) async fn serve(api: Arc<Api>, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a client's socket takes no option");
    }
    let deadline = Deadline::after(api.limits.request_timeout);
    let service = {
        let (api, deadline) = (Arc::clone(&api), deadline.clone());
        service_fn(move |request| {
            let (api, deadline) = (Arc::clone(&api), deadline.clone());
            async move { Ok::<_, Infallible>(Box::pin(api.answer(request, deadline)).await) }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(api.limits.header_timeout)
        .max_buf_size(HEAD_SIZE_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            () = api.stop.cancelled(), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a client's connection ended early");
                }
                return;
            }
            () = deadline.passed() => {
                tracing::debug!("a client's connection stood still and is closed");
                return;
            }
        }
    }
}
