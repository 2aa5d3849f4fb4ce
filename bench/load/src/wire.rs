//! WebSocket bytes as the load generator sees them: the upgrade, client frames,
//! and a scanner over what the server sent. Knows no socket.

/// Nothing the generator asks for comes near this; a longer frame is an error.
const FRAME_BYTES_MAX: usize = 32 * 1024;
/// The answer to an upgrade request must end within this.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Characters of an answer that an error shows.
const LINE_SHOWN_MAX: usize = 100;

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

// The pair of RFC 6455 §1.3: one key for all connections spares a hash for each.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) fn request(host: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Upgrade {
    Torn,
    /// The connection is open; frames begin after this many bytes.
    Open(usize),
    /// Not an upgrade; the first line of what came instead.
    Refused(String),
}

pub(crate) fn upgrade(bytes: &[u8]) -> Upgrade {
    let Some(end) = bytes.windows(4).position(|at| at == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX {
            Upgrade::Refused(first_line(bytes))
        } else {
            Upgrade::Torn
        };
    };
    let head = bytes.get(..end).unwrap_or_default();
    if head.starts_with(b"HTTP/1.1 101") && head.windows(ACCEPT.len()).any(|at| at == ACCEPT) {
        Upgrade::Open(end + 4)
    } else {
        Upgrade::Refused(first_line(head))
    }
}

/// What can be shown of the beginning of an answer.
pub(crate) fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let line = String::from_utf8_lossy(line.unwrap_or_default());
    line.chars()
        .filter(|it| !it.is_control())
        .take(LINE_SHOWN_MAX)
        .collect()
}

/// A client frame. The mask is zero, which masks as the protocol demands and
/// leaves the payload readable, so that a prepared frame can be stamped in place.
pub(crate) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload.get(..usize::from(u16::MAX)).unwrap_or(payload));
    frame
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
}

/// The server sent what no server may send, or what this generator never asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Scans whole frames off the front of a read; what is left over is torn.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn next(&mut self) -> Result<Option<Frame<'a>>, Broken> {
        let [first, second, after @ ..] = self.rest else {
            return Ok(None);
        };
        // Every frame of a server is whole, has no extension's bits and no mask.
        if first & 0xF0 != 0x80 || second & 0x80 != 0 {
            return Err(Broken);
        }
        let (length, body) = match (second, after) {
            (126, [high, low, body @ ..]) => (u16::from_be_bytes([*high, *low]).into(), body),
            (126, _) => return Ok(None),
            (127, _) => return Err(Broken),
            (length, body) => (usize::from(*length), body),
        };
        if length > FRAME_BYTES_MAX {
            return Err(Broken);
        }
        let Some((payload, rest)) = body.split_at_checked(length) else {
            return Ok(None);
        };
        self.rest = rest;
        Ok(Some(Frame {
            opcode: first & 0x0F,
            payload,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match u8::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(length),
            _ => {
                frame.push(126);
                frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    #[test]
    fn frames_come_out_however_the_read_is_torn() {
        let payloads = [vec![], vec![b'a'; 125], vec![b'b'; 126], vec![b'c'; 300]];
        let bytes: Vec<u8> = payloads
            .iter()
            .flat_map(|it| server_frame(TEXT, it))
            .collect();
        for cut in 0..=bytes.len() {
            let mut seen = Vec::new();
            let mut frames = Frames::new(&bytes[..cut]);
            while let Some(frame) = frames.next().unwrap() {
                seen.push(frame.payload.to_vec());
            }
            let joined = [frames.rest(), &bytes[cut..]].concat();
            let mut frames = Frames::new(&joined);
            while let Some(frame) = frames.next().unwrap() {
                seen.push(frame.payload.to_vec());
            }
            assert_eq!(seen, payloads, "cut at {cut}");
            assert!(frames.rest().is_empty());
        }
    }

    #[test]
    fn masked_fragmented_extended_and_huge_frames_are_broken() {
        for bytes in [
            [0x81, 0x80, 0, 0],
            [0x01, 1, 0, 0],
            [0xC1, 1, 0, 0],
            [0x81, 127, 0, 0],
        ] {
            assert_eq!(Frames::new(&bytes).next(), Err(Broken), "{bytes:x?}");
        }
        assert_eq!(Frames::new(&[0x81, 126, 0xFF, 0xFF]).next(), Err(Broken));
    }

    #[test]
    fn the_upgrade_ends_where_the_first_frame_begins() {
        let accept = std::str::from_utf8(ACCEPT).unwrap();
        let head = format!("HTTP/1.1 101 Switching\r\nsec-websocket-accept: {accept}\r\n\r\n");
        let bytes = [head.as_bytes(), &server_frame(TEXT, b"first")].concat();
        assert_eq!(upgrade(&bytes), Upgrade::Open(head.len()));
        assert_eq!(upgrade(&bytes[..head.len() - 1]), Upgrade::Torn);
        let refused = |line: &str| Upgrade::Refused(line.to_owned());
        let answer = b"HTTP/1.1 404 Not Found\r\nserver: a\r\n\r\n";
        assert_eq!(upgrade(answer), refused("HTTP/1.1 404 Not Found"));
        let no_key = b"HTTP/1.1 101 Switching\r\n\r\n";
        assert_eq!(upgrade(no_key), refused("HTTP/1.1 101 Switching"));
        let endless = vec![b'a'; HEAD_BYTES_MAX + 1];
        assert_eq!(upgrade(&endless), refused(&"a".repeat(LINE_SHOWN_MAX)));
    }
}
