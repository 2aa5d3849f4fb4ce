//! Answers that come from elsewhere: these run on channels of the application.

use serde_json::json;
use towpath::prelude::*;

/// Takes a reference and answers it.
pub(crate) const ANSWER: &str = "topics.answer";
/// Takes a reference and answers it twice.
pub(crate) const ANSWER_TWICE: &str = "topics.answer_twice";

pub(crate) async fn answer(Payload(reference): Payload<SocketRef>, topics: Topics) -> Result {
    reference
        .reply(&topics, "ok", &json!({"later": true}))
        .await
}

pub(crate) async fn answer_twice(Payload(reference): Payload<SocketRef>, topics: Topics) -> Result {
    for n in [1, 2] {
        reference.reply(&topics, "ok", &json!({"n": n})).await?;
    }
    Ok(())
}
