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

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Body;
use towpath_layer_core::{Poll, PollAnswer};

use crate::hub::connection::Decision;
use crate::hub::shard::Shard;
use crate::origin;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{self, Ends};
use crate::routes::{Entrance, Mount};
use crate::transport::socket::Guard;
use crate::{BoxBody, BoxError};
use token::Token;

pub(crate) use session::Session;

/// What a session's client may bring in one request: more is left unread.
const LINES_MAX: usize = 100;

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
        return answer::bad_request();
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
        _ => answer::bad_request(),
    }
}

/// What waits for a client, if its session is there.
async fn read(shard: &Rc<Shard>, mount: &Mount, parts: &Parts) -> Option<Response<BoxBody>> {
    let token = Token::of(parts)?;
    let asked = ask::ask(shard, &token, mount.longpoll_window, Poll::Read).await;
    let polled = asked.filter(|polled| polled.status != GONE)?;
    Some(answer::polled(&polled, Some(&token.to_string())))
}

/// The status of a session that is no more.
const GONE: u16 = 410;

/// Hands on what a client has sent.
async fn write<B>(shard: &Rc<Shard>, mount: &Mount, parts: &Parts, body: B) -> Response<BoxBody>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let Some(token) = Token::of(parts) else {
        return answer::polled(&PollAnswer::status(GONE), None);
    };
    let limit = shard.config.message_size_max;
    let Ok(body) = http_body_util::Limited::new(body, limit).collect().await else {
        return answer::bad_request();
    };
    let content_type = parts.headers.get(CONTENT_TYPE);
    let lines = content_type.is_some_and(|kind| kind == "application/x-ndjson");
    let size_max = mount.message_size_max(limit);
    let frames = match body::frames(body.to_bytes(), lines, size_max) {
        Ok(frames) => frames,
        Err(error) => {
            tracing::debug!(%error, "what a client sent cannot be read");
            return answer::bad_request();
        }
    };
    let write = |from| Poll::Write { from, frames };
    let asked = ask::ask(shard, &token, mount.longpoll_window, write).await;
    let answer = asked.unwrap_or(PollAnswer::status(GONE));
    answer::polled(&answer, None)
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
