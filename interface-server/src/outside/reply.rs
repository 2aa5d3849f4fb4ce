//! What a client tells one connection, as a reply.

use serde::Deserialize;
use towpath_layer_core::{Completion, GroupChange, GroupName, Limits, Outcome};
use utoipa::ToSchema;

use super::blob::Blob;
use super::message::encoded_meta;
use super::problem::{Kind, Problem};
use super::topics;
use super::value::Any;

/// Ends an event: the consumer has returned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Completion)]
pub(super) struct CompletionBody {
    /// The event's `attempt`; a completion with any other is stale.
    attempt: u64,
    /// How it ended.
    outcome: OutcomeBody,
    /// Memberships of the event's own connection that were changed meanwhile.
    #[serde(default)]
    groups: Vec<ChangeBody>,
}

/// How a consumer ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Outcome)]
enum OutcomeBody {
    /// It returned.
    Done {
        /// The new session; without it the session stays as it was.
        #[serde(default)]
        session: Option<Blob>,
    },
    /// It failed; the socket is closed with 1011.
    Failed {
        /// What to look for in the worker's log; the client sees it.
        error_id: String,
    },
    /// It failed only because something was out of reach.
    Lost,
    /// It asks for the event once more, with the old session.
    Retry,
}

impl CompletionBody {
    pub(super) fn into_completion(self, limits: &Limits) -> Result<Completion, Problem> {
        let outcome = match self.outcome {
            OutcomeBody::Done { session } => Outcome::Done {
                session: session.map(|Blob(session)| session),
            },
            OutcomeBody::Failed { error_id } => Outcome::Failed {
                error_id: error_id.into(),
            },
            OutcomeBody::Lost => Outcome::Lost,
            OutcomeBody::Retry => Outcome::Retry,
        };
        if let Outcome::Done {
            session: Some(session),
        } = &outcome
            && session.len() > limits.session_size_max
        {
            let detail = format!("the session has {} bytes", session.len());
            return Err(Problem::new(Kind::MessageTooLarge, detail)
                .at("completion.outcome.done.session")
                .expecting(format!("at most {} bytes", limits.session_size_max)));
        }
        let change = |(index, change): (usize, ChangeBody)| {
            let place = format!("completion.groups[{index}]");
            let change = change.into_change();
            change.map_err(|problem| problem.within(&place))
        };
        let groups = self.groups.into_iter().enumerate().map(change);
        Ok(Completion {
            attempt: self.attempt,
            outcome,
            groups: groups.collect::<Result<_, _>>()?,
        })
    }
}

/// One change of the memberships of an event's own connection, repeated in its
/// completion so that it survives the loss of the backend.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = GroupChange)]
enum ChangeBody {
    /// It joined.
    Add {
        /// The group; or else `topic`.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        group: Option<GroupName>,
        /// The topic, or the id of a socket, whose group it is.
        #[serde(default)]
        topic: Option<String>,
        /// The membership's metadata.
        #[serde(default)]
        #[schema(value_type = Any, required = false)]
        meta: Option<Any>,
    },
    /// It left.
    Discard {
        /// The group; or else `topic`.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        group: Option<GroupName>,
        /// The topic, or the id of a socket, whose group it is.
        #[serde(default)]
        topic: Option<String>,
    },
}

impl ChangeBody {
    fn into_change(self) -> Result<GroupChange, Problem> {
        match self {
            Self::Add { group, topic, meta } => {
                let group = topics::group(group, topic.as_deref());
                let group = group.map_err(|problem| problem.within("add"))?;
                Ok(GroupChange::add(group, encoded_meta(meta.as_ref())))
            }
            Self::Discard { group, topic } => {
                let group = topics::group(group, topic.as_deref());
                let group = group.map_err(|problem| problem.within("discard"))?;
                Ok(GroupChange::discard(group))
            }
        }
    }
}
