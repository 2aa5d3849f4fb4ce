//! Several operations in one request.

use serde::{Deserialize, Serialize};
use towpath_layer_core::{ChannelName, Message};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::answer::Done;
use super::call::Call;
use super::groups::{Add, Discard};
use super::handle::Api;
use super::message::DeliveryAnswer;
use super::problem::Problem;
use super::send::{Cancel, Cancelled, GroupSend, Send, Sending, Sent};
use super::topics::{TopicBroadcast, TopicDisconnect};

/// Operations, done in their order. They are not one: what fails leaves the
/// others as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// The operations, at most 1000 if the server is not configured otherwise.
    operations: Vec<BatchOperation>,
}

/// One operation of a batch, as it would stand alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Operation)]
enum BatchOperation {
    /// As `/v1/send`.
    Send(Box<Send>),
    /// As `/v1/group-send`.
    GroupSend(Box<GroupSend>),
    /// As `/v1/topic-broadcast`.
    TopicBroadcast(Box<TopicBroadcast>),
    /// As `/v1/topic-disconnect`.
    TopicDisconnect(TopicDisconnect),
    /// As `/v1/add`.
    Add(Add),
    /// As `/v1/discard`.
    Discard(Discard),
    /// As `/v1/cancel`.
    Cancel(Cancel),
}

/// What came of the operations.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Results {
    /// One result for each operation, in order.
    results: Vec<OperationResult>,
}

/// What came of one operation: what it would have answered alone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OperationResult)]
enum OperationResult {
    /// It was done.
    Done(Answer),
    /// It was not done.
    Problem(Problem),
}

/// What an operation answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer {
    /// Of `group_send`, `topic_broadcast` and `topic_disconnect`.
    Delivery(DeliveryAnswer),
    /// Of `cancel`.
    Cancelled(Cancelled),
    /// Of `send`.
    Sent(Sent),
    /// Of `add` and `discard`.
    Done(Done),
}

// By hand: an empty answer is any of several, which the derived "one of" denies.
impl PartialSchema for Answer {
    fn schema() -> RefOr<Schema> {
        let named = Ref::from_schema_name;
        AnyOfBuilder::new()
            .item(named(DeliveryAnswer::name()))
            .item(named(Cancelled::name()))
            .item(named(Sent::name()))
            .item(named(Done::name()))
            .into()
    }
}

impl ToSchema for Answer {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((DeliveryAnswer::name().into(), DeliveryAnswer::schema()));
        schemas.push((Cancelled::name().into(), Cancelled::schema()));
        schemas.push((Sent::name().into(), Sent::schema()));
        schemas.push((Done::name().into(), Done::schema()));
    }
}

impl BatchOperation {
    fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::GroupSend(_) => "group_send",
            Self::TopicBroadcast(_) => "topic_broadcast",
            Self::TopicDisconnect(_) => "topic_disconnect",
            Self::Add(_) => "add",
            Self::Discard(_) => "discard",
            Self::Cancel(_) => "cancel",
        }
    }
}

impl OperationResult {
    fn of<T>(result: Result<T, Problem>, answer: fn(T) -> Answer) -> Self {
        match result {
            Ok(done) => Self::Done(answer(done)),
            Err(problem) => Self::Problem(problem),
        }
    }
}

/// Sends that follow each other and go to the layer together.
#[derive(Default)]
struct Run(Vec<(ChannelName, Message)>);

impl Run {
    async fn flush(&mut self, api: &Api, results: &mut Vec<OperationResult>) {
        if self.0.is_empty() {
            return;
        }
        let sent = api.layer.send_many(std::mem::take(&mut self.0)).await;
        let sent = sent.into_iter().map(|result| {
            let result = result.map(|()| Sent::default()).map_err(Problem::from);
            OperationResult::of(result, Answer::Sent)
        });
        results.extend(sent);
    }
}

pub(super) async fn perform(api: &Api, call: &Call, batch: Batch) -> Result<Results, Problem> {
    let count = batch.operations.len();
    if count > api.limits.batch_max {
        let detail = format!("there are {count} operations");
        let expected = format!("at most {}", api.limits.batch_max);
        return Err(Problem::value("operations", detail, &expected));
    }
    let names: Vec<_> = batch.operations.iter().map(BatchOperation::name).collect();
    let mut results = Vec::with_capacity(count);
    let mut run = Run::default();
    for operation in batch.operations {
        match gather(api, operation) {
            Step::Send(channel, message) => run.0.push((channel, message)),
            Step::Alone(operation) => {
                run.flush(api, &mut results).await;
                call.deadline.extend(api.limits.request_timeout);
                results.push(operation.perform(api).await);
            }
            Step::Refused(problem) => {
                run.flush(api, &mut results).await;
                results.push(OperationResult::Problem(problem));
            }
        }
    }
    run.flush(api, &mut results).await;
    for (index, (result, name)) in results.iter_mut().zip(names).enumerate() {
        if let OperationResult::Problem(problem) = result {
            let place = format!("operations[{index}].{name}");
            *problem = problem.clone().within(&place);
        }
    }
    Ok(Results { results })
}

enum Step {
    /// Goes with its neighbours.
    Send(ChannelName, Message),
    /// Goes by itself.
    Alone(Alone),
    /// Does not go.
    Refused(Problem),
}

enum Alone {
    Later(Sending),
    GroupSend(Box<GroupSend>),
    TopicBroadcast(Box<TopicBroadcast>),
    TopicDisconnect(TopicDisconnect),
    Add(Add),
    Discard(Discard),
    Cancel(Cancel),
}

fn gather(api: &Api, operation: BatchOperation) -> Step {
    match operation {
        BatchOperation::Send(send) => match send.check(&*api.layer) {
            Ok(sending) if sending.delay.is_none() => Step::Send(sending.channel, sending.message),
            Ok(sending) => Step::Alone(Alone::Later(sending)),
            Err(problem) => Step::Refused(problem),
        },
        BatchOperation::GroupSend(send) => Step::Alone(Alone::GroupSend(send)),
        BatchOperation::TopicBroadcast(send) => Step::Alone(Alone::TopicBroadcast(send)),
        BatchOperation::TopicDisconnect(end) => Step::Alone(Alone::TopicDisconnect(end)),
        BatchOperation::Add(add) => Step::Alone(Alone::Add(add)),
        BatchOperation::Discard(discard) => Step::Alone(Alone::Discard(discard)),
        BatchOperation::Cancel(cancel) => Step::Alone(Alone::Cancel(cancel)),
    }
}

impl Alone {
    async fn perform(self, api: &Api) -> OperationResult {
        let layer = &*api.layer;
        match self {
            Self::Later(send) => OperationResult::of(send.perform(layer).await, Answer::Sent),
            Self::GroupSend(send) => {
                OperationResult::of(send.perform(layer).await, Answer::Delivery)
            }
            Self::TopicBroadcast(send) => {
                OperationResult::of(send.perform(api).await, Answer::Delivery)
            }
            Self::TopicDisconnect(end) => {
                OperationResult::of(end.perform(layer).await, Answer::Delivery)
            }
            Self::Add(add) => OperationResult::of(add.perform(layer).await, Answer::Done),
            Self::Discard(discard) => {
                OperationResult::of(discard.perform(layer).await, Answer::Done)
            }
            Self::Cancel(cancel) => {
                OperationResult::of(cancel.perform(layer).await, Answer::Cancelled)
            }
        }
    }
}
