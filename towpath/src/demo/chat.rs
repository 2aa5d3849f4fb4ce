//! `/chat/{room}`: a room of people who talk, in JSON.

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

use super::rooms;
use super::shout::{self, Shout};

/// The longest name, in characters.
const NAME_LEN_MAX: usize = 40;

/// The longest text, in characters.
const TEXT_LEN_MAX: usize = 2000;

/// What a person's page sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Request {
    /// They are here, under this name.
    Hello { name: String },
    /// They say something.
    Say { text: String },
}

/// What the page is sent.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Said<'a> {
    /// The person is in the room.
    Welcome { room: &'a str, name: &'a str },
    /// Somebody said something.
    Message { name: &'a str, text: &'a str },
    /// Somebody shouted something.
    Shout { name: &'a str, text: &'a str },
    /// Somebody came.
    Joined { name: &'a str },
    /// Somebody went.
    Left { name: &'a str },
    /// The person asked for something that cannot be.
    Error { reason: &'a str },
}

/// Who is on the connection: empty until they said hello.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Person {
    name: String,
}

/// Lets a person in if the room can have a group. Whoever has not said hello
/// hears nothing yet.
pub(crate) async fn connect(Path(room): Path<String>, socket: Socket) -> Result {
    rooms::group("chat", &room)?;
    socket.accept().await
}

/// Hears a person out. What cannot be is said to them and ends nothing.
pub(crate) async fn receive(
    Path(room): Path<String>,
    frame: Frame,
    mut person: Session<Person>,
    socket: Socket,
    groups: Groups,
    layer: Layer,
) -> Result {
    let group = rooms::group("chat", &room)?;
    let action = match decide(&frame, &person.name) {
        Ok(action) => action,
        Err(reason) => return socket.json(&Said::Error { reason: &reason }).await,
    };
    match action {
        Action::Enter(name) => {
            groups.add(&group).await?;
            socket
                .json(&Said::Welcome {
                    room: &room,
                    name: &name,
                })
                .await?;
            groups
                .send_json(&group, &Said::Joined { name: &name })
                .await?;
            person.name = name;
        }
        Action::Say(text) => {
            let name = &person.name;
            groups
                .send_json(&group, &Said::Message { name, text: &text })
                .await?;
        }
        Action::Shout(text) => {
            let name = person.name.clone();
            layer
                .send(shout::CHANNEL, &Shout { group, name, text })
                .await?;
        }
    }
    Ok(())
}

/// Tells the others that a person went.
pub(crate) async fn disconnect(
    Path(room): Path<String>,
    person: Session<Person>,
    groups: Groups,
) -> Result {
    if !person.name.is_empty() {
        let left = Said::Left { name: &person.name };
        groups
            .send_json(rooms::group("chat", &room)?, &left)
            .await?;
    }
    Ok(())
}

/// What a person may do.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Enter(String),
    Say(String),
    Shout(String),
}

/// What a frame means from a person of that name, or why it means nothing.
fn decide(frame: &Frame, name: &str) -> Result<Action, String> {
    let Frame::Text(text) = frame else {
        return Err("send text, not bytes".to_owned());
    };
    let request = serde_json::from_str(text)
        .map_err(|error| format!("this is not a message of the chat: {error}"))?;
    match request {
        Request::Hello { .. } if !name.is_empty() => Err(format!("you are already here as {name}")),
        Request::Hello { name } => Ok(Action::Enter(trimmed(&name, "a name", NAME_LEN_MAX)?)),
        Request::Say { .. } if name.is_empty() => Err("say hello first".to_owned()),
        Request::Say { text } => {
            let text = trimmed(&text, "a message", TEXT_LEN_MAX)?;
            match text.strip_prefix("/shout") {
                Some("") => Err("shout what?".to_owned()),
                Some(rest) if rest.starts_with(char::is_whitespace) => {
                    Ok(Action::Shout(rest.trim_start().to_owned()))
                }
                _ => Ok(Action::Say(text)),
            }
        }
    }
}

fn trimmed(text: &str, what: &str, len_max: usize) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(format!("{what} cannot be empty")),
        len if len > len_max => Err(format!(
            "{what} has at most {len_max} characters, this has {len}"
        )),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame: &str, name: &str, expected: Result<Action, &str>) {
        let decided = decide(&Frame::Text(frame.into()), name);
        assert_eq!(decided, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_person_says_hello_once() {
        let hello = r#"{"type":"hello","name":"  Ada "}"#;
        check(hello, "", Ok(Action::Enter("Ada".to_owned())));
        check(hello, "Ben", Err("you are already here as Ben"));
    }

    #[test]
    fn names_have_a_length() {
        let hello = |name: &str| format!(r#"{{"type":"hello","name":"{name}"}}"#);
        check(&hello(" "), "", Err("a name cannot be empty"));
        check(
            &hello(&"ü".repeat(40)),
            "",
            Ok(Action::Enter("ü".repeat(40))),
        );
        check(
            &hello(&"ü".repeat(41)),
            "",
            Err("a name has at most 40 characters, this has 41"),
        );
    }

    #[test]
    fn a_person_talks_and_shouts() {
        let say = |text: &str| format!(r#"{{"type":"say","text":"{text}"}}"#);
        check(&say("hi"), "", Err("say hello first"));
        check(&say(" hi "), "Ada", Ok(Action::Say("hi".to_owned())));
        check(&say("/shout hi"), "Ada", Ok(Action::Shout("hi".to_owned())));
        check(&say("/shout "), "Ada", Err("shout what?"));
        check(
            &say("/shouting"),
            "Ada",
            Ok(Action::Say("/shouting".to_owned())),
        );
        check(
            &say(&"x".repeat(2001)),
            "Ada",
            Err("a message has at most 2000 characters, this has 2001"),
        );
    }

    #[test]
    fn what_is_no_message_is_told_so() {
        check(
            r#"{"type":"sing"}"#,
            "Ada",
            Err(
                "this is not a message of the chat: unknown variant `sing`, \
                 expected `hello` or `say` at line 1 column 14",
            ),
        );
        let bytes = Frame::Bytes(vec![0].into());
        assert_eq!(
            decide(&bytes, "Ada"),
            Err("send text, not bytes".to_owned())
        );
    }
}
