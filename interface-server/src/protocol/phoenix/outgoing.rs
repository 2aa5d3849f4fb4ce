//! What a machine wants sent, as frames.

use towpath_layer_core::Frame;

use crate::protocol::phoenix::error::EncodeError;
use crate::protocol::phoenix::machine::Action;
use crate::protocol::phoenix::message::{Push, Reply};
use crate::protocol::phoenix::serializer::{Carries, Serializer};

impl Serializer {
    /// Writes what an action says to the client; nothing if it says nothing.
    ///
    /// # Errors
    ///
    /// If the payload of a push, or the response of a reply, cannot be
    /// written. What a machine says by itself always can.
    pub(crate) fn encode(
        self,
        action: &Action,
        carries: Carries,
    ) -> Result<Option<Frame>, EncodeError> {
        let frame = match action {
            Action::Reply {
                join_ref,
                reference,
                topic,
                status,
                response,
            } => {
                let reply = Reply {
                    join_ref: join_ref.as_ref(),
                    reference: reference.as_ref(),
                    topic,
                    status,
                    response,
                };
                self.encode_reply(&reply, carries)?
            }
            Action::Push {
                join_ref,
                topic,
                event,
                payload,
            } => {
                let push = Push {
                    join_ref: join_ref.as_ref(),
                    topic,
                    event,
                    payload,
                };
                self.encode_push(&push, carries)?
            }
            Action::Close { topic, join_ref } => self.encode_close(topic, join_ref.as_ref()),
            Action::Error { topic, join_ref } => self.encode_error(topic, join_ref.as_ref()),
            Action::StartJoin { .. }
            | Action::Forward { .. }
            | Action::StartLeave { .. }
            | Action::Drop(_) => return Ok(None),
        };
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::phoenix::*;

    #[test]
    fn what_a_machine_says_is_written_and_the_rest_is_not() {
        let join_ref = Some(Ref::new("1"));
        let topic = bytestring::ByteString::from_static("t");
        let reply = Action::Reply {
            join_ref: join_ref.clone(),
            reference: Some(Ref::new("2")),
            topic: topic.clone(),
            status: "ok".into(),
            response: Payload::empty(),
        };
        let push = Action::Push {
            join_ref: join_ref.clone(),
            topic: topic.clone(),
            event: "e".into(),
            payload: Payload::empty(),
        };
        let close = Action::Close {
            topic: topic.clone(),
            join_ref: join_ref.clone(),
        };
        let error = Action::Error { topic, join_ref };
        for (action, text) in [
            (
                reply,
                r#"["1","2","t","phx_reply",{"status":"ok","response":{}}]"#,
            ),
            (push, r#"["1",null,"t","e",{}]"#),
            (close, r#"["1","1","t","phx_close",{}]"#),
            (
                error,
                r#"["1","1","t","phx_error",{"reason":"channel_crash"}]"#,
            ),
        ] {
            let frame = Serializer::V2.encode(&action, Carries::TextOnly).unwrap();
            assert_eq!(frame, Some(Frame::Text(text.into())));
        }
        let nothing = Action::Drop(Dropped::StaleJoinRef);
        let frame = Serializer::V2.encode(&nothing, Carries::TextOnly);
        assert_eq!(frame, Ok(None));
    }
}
