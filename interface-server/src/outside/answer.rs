//! Answers.

use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::call::Call;
use super::encoding::Encoding;
use super::problem::Problem;
use crate::BoxBody;
use crate::transport::respond::body;

/// It is done, and there is nothing to say of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {}

/// A value as the client wants it.
pub(super) fn value<T: Serialize>(call: &Call, value: &T) -> Result<Response<BoxBody>, Problem> {
    let written = call.writes.write(value)?;
    Ok(with(call.writes, body(written.into())))
}

/// A body that is written already.
pub(super) fn with(encoding: Encoding, body: BoxBody) -> Response<BoxBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static(encoding.media_type());
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
