//! How a server is spoken to, above WebSocket.

/// What a server speaks above WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Text frames: the payload is the frame. A socket is in the room that its path names
    /// as soon as the upgrade is answered.
    #[default]
    Raw,
    /// Engine.IO 4 and Socket.IO 5 over WebSocket alone, in the default namespace; the
    /// path is `/socket.io/?EIO=4&transport=websocket`, and a socket is to be in a room if
    /// `{room}` stands in the query besides.
    ///
    /// The server opens with `0{…}`, the generator sends `40`, the server answers
    /// `40{…}`. In rooms the generator then sends `42["join","NAME"]` and waits for
    /// `42["joined"]`. A message is `42["m","PAYLOAD"]` both ways: without a room the
    /// server sends it back, in a room to all. Its `2` (ping) is answered with `3`.
    SocketIo,
    /// Version 2 of the Phoenix protocol; the path is `/socket/websocket?vsn=2.0.0`. There
    /// is one room: every socket joins `bench:room`, and a message is the event `shout`
    /// with the payload in an object, which the server broadcasts to the whole topic.
    Phoenix,
}

/// What a text frame asks for while a connection opens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    Send(String),
    Open,
    Over,
}

/// What a text frame is on an open connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    Payload(&'a [u8]),
    /// To be answered with this text.
    Answer(&'static str),
    Nothing,
    Over,
}

const JOINED: &[u8] = br#"42["joined"]"#;
const PING: &[u8] = b"2";
const PONG: &str = "3";
const JOIN: &str = r#"["1","1","bench:room","phx_join",{}]"#;
const IS_IN: &[u8] = br#"["1","1","bench:room","phx_reply",{"status":"ok","response":{}}]"#;

impl Dialect {
    /// What stands before and after each payload that is sent.
    pub(crate) fn around_payload(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Raw => (b"", b""),
            Self::SocketIo => (br#"42["m",""#, br#""]"#),
            Self::Phoenix => (br#"["1",null,"bench:room","shout",{"p":""#, br#""}]"#),
        }
    }

    /// What stands before and after each payload that arrives.
    fn around_incoming(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Phoenix => (br#"[null,null,"bench:room","shout",{"p":""#, br#""}]"#),
            other => other.around_payload(),
        }
    }

    /// What the client says first, once it is upgraded.
    pub(crate) fn greeting(self) -> Option<&'static str> {
        (self == Self::Phoenix).then_some(JOIN)
    }

    /// Whether a connection is open once it is upgraded.
    pub(crate) fn opens_at_once(self) -> bool {
        self == Self::Raw
    }

    /// The next step of a connection that is to be in `room`, if in any.
    pub(crate) fn opening(self, text: &[u8], room: Option<&str>) -> Step {
        if self == Self::Phoenix {
            return if text == IS_IN {
                Step::Open
            } else {
                Step::Over
            };
        }
        match (text, room) {
            ([b'0', ..], _) => Step::Send("40".to_owned()),
            ([b'4', b'0', ..], Some(room)) => Step::Send(format!(r#"42["join","{room}"]"#)),
            ([b'4', b'0', ..], None) | (JOINED, _) => Step::Open,
            (PING, _) => Step::Send(PONG.to_owned()),
            _ if is_over(text) => Step::Over,
            _ => Step::Wait,
        }
    }

    pub(crate) fn incoming(self, text: &[u8]) -> Incoming<'_> {
        if self == Self::Raw {
            return Incoming::Payload(text);
        }
        let (prefix, suffix) = self.around_incoming();
        let payload = text.strip_prefix(prefix);
        match payload.and_then(|rest| rest.strip_suffix(suffix)) {
            Some(payload) => Incoming::Payload(payload),
            None if self == Self::Phoenix => Incoming::Payload(text),
            None if text == PING => Incoming::Answer(PONG),
            None if is_over(text) => Incoming::Over,
            None if text == JOINED => Incoming::Nothing,
            // It is none of ours, and is counted as such.
            None => Incoming::Payload(text),
        }
    }
}

/// Engine.IO's close, Socket.IO's disconnect and connect error.
fn is_over(text: &[u8]) -> bool {
    matches!(text, [b'1', ..] | [b'4', b'1' | b'4', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_io_opens_step_by_step() {
        let step = |text: &str, room| Dialect::SocketIo.opening(text.as_bytes(), room);
        let send = |text: &str| Step::Send(text.to_owned());
        assert_eq!(step(r#"0{"sid":"a"}"#, None), send("40"));
        assert_eq!(step(r#"40{"sid":"a"}"#, None), Step::Open);
        let join = send(r#"42["join","r0"]"#);
        assert_eq!(step(r#"40{"sid":"a"}"#, Some("r0")), join);
        assert_eq!(step(r#"42["joined"]"#, Some("r0")), Step::Open);
        assert_eq!(step("2", None), send("3"));
        assert_eq!(step(r#"44{"message":"no"}"#, None), Step::Over);
        assert_eq!(step(r#"42["m","early"]"#, Some("r0")), Step::Wait);
    }

    #[test]
    fn a_socket_of_phoenix_is_open_once_it_is_let_into_its_topic() {
        assert_eq!(Dialect::Phoenix.opening(IS_IN, None), Step::Open);
        let refused = br#"["1","1","bench:room","phx_reply",{"status":"error","response":{}}]"#;
        assert_eq!(Dialect::Phoenix.opening(refused, None), Step::Over);
        let said = br#"[null,null,"bench:room","shout",{"p":"abc"}]"#;
        assert_eq!(Dialect::Phoenix.incoming(said), Incoming::Payload(b"abc"));
    }

    #[test]
    fn a_payload_comes_out_of_its_event() {
        let incoming = |text: &'static str| Dialect::SocketIo.incoming(text.as_bytes());
        assert_eq!(incoming(r#"42["m","abc"]"#), Incoming::Payload(b"abc"));
        assert_eq!(incoming("2"), Incoming::Answer("3"));
        assert_eq!(incoming("41"), Incoming::Over);
        assert_eq!(incoming("42[1]"), Incoming::Payload(b"42[1]"));
        assert_eq!(Dialect::Raw.incoming(b"2"), Incoming::Payload(b"2"));
    }
}
