//! Long-poll: a socket in requests (reference §1.13).
//!
//! A session is a connection without a socket, on one shard of one node; its
//! task is in [`session`]. A request may come to any node: it is asked of the
//! session through the layer.

mod answer;
mod ask;
mod body;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod session;
mod token;
mod waiter;

use std::rc::Rc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use tokio::time::timeout;
use towpath_layer_core::{Poll, PollAnswer};

use crate::config::ServerConfig;
use crate::hub::connection::Decision;
use crate::hub::shard::Shard;
use crate::origin;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{self, Ends};
use crate::routes::{Entrance, Mount};
use crate::transport::socket::Guard;
use crate::{BoxBody, BoxError};
use token::Token;

pub(crate) use answer::bad_request;
pub(crate) use session::Session;

/// What a session's client may bring in one request: more is left unread.
const LINES_MAX: usize = 100;

/// The bytes of it, in base64 as they come; more is answered with 400.
const BODY_SIZE_MAX: usize = 8 << 20;

/// How many times as long as its head a request's body may take.
const BODY_TIMES: u32 = 3;

/// Answers a request on a long-poll path.
pub(crate) async fn serve<B>(
    shard: &Rc<Shard>,
    request: Request<B>,
    entrance: Entrance,
    ends: Ends,
) -> Response<BoxBody>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let Some(mount) = entrance.mount.clone() else {
        return bad_request();
    };
    match parts.method {
        Method::GET => {
            let answer = read(shard, &mount, &parts).await;
            match answer {
                Some(answer) => answer,
                None => open(shard, &parts, entrance, ends).await,
            }
        }
        Method::POST => write(shard, &mount, &parts, body).await,
        Method::OPTIONS => answer::preflight(&parts.headers),
        _ => bad_request(),
    }
}

/// What waits for a client, if its session is there.
async fn read(shard: &Rc<Shard>, mount: &Mount, parts: &Parts) -> Option<Response<BoxBody>> {
    let token = Token::of(parts)?;
    let asked = ask::ask(shard, &token, mount.longpoll_window, Poll::Read).await;
    let polled = asked.filter(|polled| polled.status != GONE)?;
    Some(answer::polled(&polled, Some(&token.to_string())))
}

/// The status of a session that is no more, and of what was taken.
const GONE: u16 = 410;
const TAKEN: u16 = 200;

/// Hands on what a client has sent.
async fn write<B>(shard: &Rc<Shard>, mount: &Mount, parts: &Parts, body: B) -> Response<BoxBody>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let Some(token) = Token::of(parts) else {
        return answer::polled(&PollAnswer::status(GONE), None);
    };
    let Some(body) = collect(body, &shard.config).await else {
        return bad_request();
    };
    let content_type = parts.headers.get(CONTENT_TYPE);
    let lines = content_type.is_some_and(|kind| kind == "application/x-ndjson");
    let parcel_size_max = shard.layer.limits().message_size_max;
    let size_max = mount.message_size_max(shard.config.message_size_max);
    let frames = match body::frames(body, lines, size_max.min(parcel_size_max)) {
        Ok(frames) => frames,
        Err(error) => {
            tracing::debug!(%error, "what a client sent cannot be read");
            return bad_request();
        }
    };
    let mut answer = PollAnswer::status(GONE);
    for frames in body::parcels(frames, parcel_size_max) {
        let write = |from| Poll::Write { from, frames };
        let asked = ask::ask(shard, &token, mount.longpoll_window, write).await;
        answer = asked.unwrap_or(PollAnswer::status(GONE));
        if answer.status != TAKEN {
            break;
        }
    }
    answer::polled(&answer, None)
}

/// A request's body, if it comes whole, in time, and is not too large.
pub(crate) async fn collect<B>(body: B, config: &ServerConfig) -> Option<Bytes>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let collecting = Limited::new(body, BODY_SIZE_MAX).collect();
    match timeout(config.header_timeout * BODY_TIMES, collecting).await {
        Ok(Ok(body)) => Some(body.to_bytes()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client's request does not come whole");
            None
        }
        Err(_) => {
            tracing::debug!("a client's request takes too long");
            None
        }
    }
}

/// Opens a session, if its consumer accepts it.
async fn open(
    shard: &Rc<Shard>,
    parts: &Parts,
    entrance: Entrance,
    ends: Ends,
) -> Response<BoxBody> {
    if !origin::is_allowed(entrance.origins(&shard.config.origins), &parts.headers) {
        tracing::debug!("a page of a foreign origin was refused");
        return answer::refused(&Refusal::forbidden());
    }
    match opened(shard, parts, entrance, ends).await {
        Ok(token) => answer::polled(&PollAnswer::status(GONE), Some(&token.to_string())),
        Err(refusal) => answer::refused(&refusal),
    }
}

async fn opened(
    shard: &Rc<Shard>,
    parts: &Parts,
    entrance: Entrance,
    ends: Ends,
) -> Result<Token, Refusal> {
    let mut request = request::poll(parts, entrance, ends)?;
    let query = parts.uri.query().unwrap_or_default();
    if let Some(own) = Token::cut_off(query) {
        request.handshake.query_string = own.into();
    }
    let opened = shard.open(request)?;
    let guard = Guard::new(shard, Rc::clone(&opened.connection));
    let decision = opened.decision.await;
    match decision.unwrap_or(Decision::Refuse(Refusal::forbidden())) {
        Decision::Refuse(refusal) => Err(refusal),
        Decision::Accept { .. } => session::start(shard, guard, &opened.connection),
    }
}
