//! The little of WebSocket that the floor needs: the upgrade's answer, client frames
//! unmasked in place, server headers.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xA;

/// A request's head must end within this.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Longer frames end the connection.
pub(super) const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// What the beginning of a connection's bytes is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    Torn,
    /// An upgrade to this path; `end` bytes of it.
    Upgrade {
        path: &'a str,
        answer: String,
        end: usize,
    },
    Wrong,
}

pub(super) fn head(bytes: &[u8]) -> Head<'_> {
    let Some(end) = bytes.windows(4).position(|at| at == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX {
            Head::Wrong
        } else {
            Head::Torn
        };
    };
    let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default()).unwrap_or_default();
    let mut lines = text.split("\r\n");
    let path = lines.next().and_then(|line| line.split(' ').nth(1));
    let key = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let (Some(path), Some((_, key))) = (path, key) else {
        return Head::Wrong;
    };
    let accept = derive_accept_key(key.trim().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Head::Upgrade {
        path,
        answer,
        end: end + 4,
    }
}

/// A client's frame at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Torn,
    /// Its payload lies at `from..end`, unmasked.
    Frame {
        opcode: u8,
        from: usize,
        end: usize,
    },
    /// Unmasked, fragmented or too long: nothing that the generator sends.
    Wrong,
}

/// Looks at the front of `bytes`, and unmasks the payload if it is whole.
pub(super) fn next(bytes: &mut [u8]) -> Next {
    let (length, from) = match *bytes {
        [first, second, ..] if first & 0xF0 != 0x80 || second & 0x80 == 0 => return Next::Wrong,
        [_, 0xFE, high, low, ..] => (u16::from_be_bytes([high, low]).into(), 8),
        [_, 0xFF, ..] => return Next::Wrong,
        [_, 0xFE, ..] => return Next::Torn,
        [_, second, ..] => (usize::from(second & 0x7F), 6),
        _ => return Next::Torn,
    };
    let end = from + length;
    let Some((header, payload)) = bytes.get_mut(..end).map(|frame| frame.split_at_mut(from)) else {
        return Next::Torn;
    };
    let opcode = header.first().map_or(0, |first| first & 0x0F);
    let mask = header.last_chunk::<4>().copied().unwrap_or_default();
    unmask(payload, mask);
    Next::Frame { opcode, from, end }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    if mask == [0; 4] {
        return;
    }
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Appends a server's frame.
pub(super) fn write(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(length),
        _ => {
            out.push(126);
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_torn_until_its_last_byte() {
        let payload = [b'a'; 200];
        let mut frame = vec![0x81, 0xFE, 0, 200, 1, 2, 3, 4];
        frame.extend(
            payload
                .iter()
                .zip([1, 2, 3, 4].iter().cycle())
                .map(|(a, b)| a ^ b),
        );
        for cut in 0..frame.len() {
            assert_eq!(next(&mut frame[..cut].to_vec()), Next::Torn, "{cut}");
        }
        let found = next(&mut frame);
        assert_eq!(
            found,
            Next::Frame {
                opcode: 1,
                from: 8,
                end: 208
            }
        );
        assert_eq!(frame[8..], payload);
    }

    #[test]
    fn unmasked_and_fragmented_frames_are_wrong() {
        for mut bytes in [[0x81, 0x01, 0, 0], [0x01, 0x81, 0, 0], [0x81, 0xFF, 0, 0]] {
            assert_eq!(next(&mut bytes), Next::Wrong);
        }
    }

    #[test]
    fn an_upgrade_is_answered_by_its_key() {
        let request = b"GET /echo HTTP/1.1\r\nHost: a\r\n\
            sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81";
        let Head::Upgrade { path, answer, end } = head(request) else {
            panic!("an upgrade");
        };
        assert_eq!((path, end), ("/echo", request.len() - 1));
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(head(&request[..40]), Head::Torn);
        assert_eq!(head(b"GET / HTTP/1.1\r\n\r\n"), Head::Wrong);
    }
}
