//! The decoders of long-poll requests, for fuzzers alone.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Uri};
use towpath_layer_core::Frame;

use super::body;
use super::token::{HEADER, Token};

/// The body of a request: the bytes of its frames.
#[must_use]
pub fn longpoll_body(body: Bytes, lines: bool) -> Option<usize> {
    let frames = body::frames(body, lines, usize::MAX).ok()?;
    Some(frames.iter().map(Frame::len).sum())
}

/// A session's token in the header.
#[must_use]
pub fn token_in_header(token: &[u8]) -> Option<usize> {
    let token = HeaderValue::from_bytes(token).ok()?;
    read(Request::builder().uri("/").header(HEADER, token))
}

/// A session's token in the query.
#[must_use]
pub fn token_in_query(token: &[u8]) -> Option<usize> {
    let uri = [b"/?token=", token].concat();
    read(Request::builder().uri(Uri::try_from(uri).ok()?))
}

fn read(request: http::request::Builder) -> Option<usize> {
    let (parts, ()): (Parts, ()) = request.body(()).ok()?.into_parts();
    let token = Token::of(&parts)?;
    Some(token.secret.len() + token.channel.as_str().len())
}
