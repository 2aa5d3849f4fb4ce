//! From a request to its answer.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::ChannelLayer;
use towpath_layer_core::metrics::API_REQUESTS;

use super::answer::{Done, value, with};
use super::call::Call;
use super::deadline::Deadline;
use super::encoding::Encoding;
use super::histories::Histories;
use super::limits::ApiLimits;
use super::problem::{Kind, Problem};
use super::receivers::Receivers;
use super::routes::{Found, Operation, find};
use super::token::Tokens;
use super::{batch, document, groups, receive, send, statistics, subscribe, topics};
use crate::BoxBody;
use crate::transport::respond::body;

/// What a late body's answer has before the connection ends.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// What all requests share.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) tokens: Tokens,
    pub(super) limits: ApiLimits,
    pub(super) receivers: Receivers,
    pub(super) histories: Histories,
    /// Ends polls early.
    pub(super) stop: CancellationToken,
}

impl Api {
    /// Answers a request, whatever it is.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        deadline: Deadline,
    ) -> Response<BoxBody> {
        // A late body is answered with 408 before the connection ends.
        deadline.extend(self.limits.request_timeout + ANSWER_GRACE);
        let found = find(request.method(), request.uri().path());
        let id = match &found {
            Found::Route(route, _) => route.operation.id(),
            Found::OtherMethods(_) | Found::Nothing => "none",
        };
        let result = self.serve(request, found, deadline.clone()).await;
        let response = result.unwrap_or_else(|problem| problem.respond());
        // From now on the client has as long again to take it.
        deadline.extend(self.limits.request_timeout);
        let status = response.status().as_u16().to_string();
        counter!(API_REQUESTS, "operation" => id, "status" => status).increment(1);
        response
    }

    async fn serve(
        &self,
        request: Request<Incoming>,
        found: Found,
        deadline: Deadline,
    ) -> Result<Response<BoxBody>, Problem> {
        if let Found::Route(route, _) = &found
            && route.operation == Operation::OpenApi
        {
            return Ok(with(Encoding::Json, body(document::text())));
        }
        self.tokens.admit(request.headers())?;
        let (route, captures) = match found {
            Found::Route(route, captures) => (route, captures),
            Found::OtherMethods(methods) => {
                let problem = Problem::new(Kind::WrongMethod, "this path has other methods");
                let method = request.method().as_str();
                return Err(problem
                    .showing(method)
                    .expecting(&methods)
                    .allowing(methods));
            }
            Found::Nothing => {
                let problem = Problem::new(Kind::UnknownPath, "there is no such path");
                let problem = problem.showing(request.uri().path());
                return Err(problem.expecting("a path of /v1/openapi.json"));
            }
        };
        let operation = route.operation;
        let call = Call::read(request, operation, captures, deadline, &self.limits).await?;
        Box::pin(self.perform(operation, &call)).await
    }

    async fn perform(
        &self,
        operation: Operation,
        call: &Call,
    ) -> Result<Response<BoxBody>, Problem> {
        let layer = &*self.layer;
        match operation {
            Operation::Send => {
                let send: send::Send = call.body()?;
                value(call, &send.check(layer)?.perform(layer).await?)
            }
            Operation::GroupSend => {
                let send: send::GroupSend = call.body()?;
                value(call, &send.perform(layer).await?)
            }
            Operation::TopicBroadcast => {
                let broadcast: topics::TopicBroadcast = call.body()?;
                value(call, &broadcast.perform(self).await?)
            }
            Operation::TopicDisconnect => {
                let disconnect: topics::TopicDisconnect = call.body()?;
                value(call, &disconnect.perform(layer).await?)
            }
            Operation::TopicSubscribe => subscribe::subscribe(self, call).await,
            Operation::Add => {
                let add: groups::Add = call.body()?;
                value(call, &add.perform(layer).await?)
            }
            Operation::Discard => {
                let discard: groups::Discard = call.body()?;
                value(call, &discard.perform(layer).await?)
            }
            Operation::Cancel => {
                let cancel: send::Cancel = call.body()?;
                value(call, &cancel.perform(layer).await?)
            }
            Operation::Batch => value(call, &batch::perform(self, call, call.body()?).await?),
            Operation::Receive => receive::receive(self, call, call.body()?).await,
            Operation::Groups => value(call, &groups::groups(self, call).await?),
            Operation::Group => value(call, &groups::group(self, call).await?),
            Operation::Members => groups::members(self, call).await,
            Operation::Membership => value(call, &groups::membership(self, call).await?),
            Operation::GroupsOf => value(call, &groups::groups_of(self, call).await?),
            Operation::Statistics => value(call, &statistics::all(self).await?),
            Operation::ChannelStatistics => value(call, &statistics::of_channel(self, call).await?),
            Operation::Flush => {
                layer.flush().await?;
                value(call, &Done {})
            }
            Operation::OpenApi => Ok(with(Encoding::Json, body(document::text()))),
        }
    }
}
