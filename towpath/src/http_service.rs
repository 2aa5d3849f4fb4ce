//! A user's own pages beside the sockets.

use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};
use towpath_interface_server::{BoxError, HttpService};
use towpath_worker::Topics;

/// Any tower service over HTTP requests as the interface server takes it.
pub(crate) fn boxed<S, B>(service: S) -> HttpService
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Future + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service.map_err(Into::into);
    let service = service
        .map_response(|response| response.map(|body| body.map_err(Into::into).boxed_unsync()));
    BoxCloneSyncService::new(service)
}

/// The same, with the topics among what each request carries.
pub(crate) fn with_topics(service: HttpService, topics: &Topics) -> HttpService {
    let topics = topics.clone();
    let service = service.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(topics.clone());
        request
    });
    BoxCloneSyncService::new(service)
}
