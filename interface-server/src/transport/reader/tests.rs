//! Facts of the reader, and the WebSocket library as its oracle.

use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;

const LIMITS: Limits = Limits {
    frame_size_max: 400,
    message_size_max: 600,
    fragments_max: 1000,
};

/// What one stream of bytes led to: messages, and the code at the end.
type Story = (Vec<Received>, Option<u16>);

/// A frame of a client.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, payload, [0x1f, 0x82, 0xe3, 0x64])
}

fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// Reads a stream that comes in these pieces, up to a close or an error.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Story {
    let mut reader = Reader::default();
    let mut messages = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match reader.next(&mut input, limits) {
                Ok(Some(message)) => {
                    let is_close = matches!(message, Received::Close { .. });
                    messages.push(message);
                    if is_close {
                        return (messages, None);
                    }
                }
                Ok(None) => {
                    assert_eq!(input.len(), 0, "all is taken");
                    break;
                }
                Err(violation) => return (messages, Some(violation.close().0)),
            }
        }
    }
    (messages, None)
}

/// A stream that ends.
struct Played(Cursor<Vec<u8>>);

impl Read for Played {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Played {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the library makes of it.
fn told_by_the_library(stream: &[u8], limits: &Limits) -> Story {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(limits.frame_size_max))
        .max_message_size(Some(limits.message_size_max));
    let played = Played(Cursor::new(stream.to_vec()));
    let mut socket = WebSocket::from_raw_socket(played, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        let message = match socket.read() {
            Ok(Message::Text(text)) => Received::Data(Payload::Text(text.as_str().into())),
            Ok(Message::Binary(bytes)) => Received::Data(Payload::Bytes(bytes)),
            Ok(Message::Ping(payload)) => Received::Ping(payload),
            Ok(Message::Pong(_) | Message::Frame(_)) => Received::Pong,
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                return (messages, Some(close::PROTOCOL));
            }
            Ok(Message::Close(frame)) => {
                let code = frame
                    .as_ref()
                    .map_or(close::NO_STATUS, |frame| frame.code.into());
                let reason = frame
                    .map(|frame| frame.reason.as_str().into())
                    .unwrap_or_default();
                messages.push(Received::Close { code, reason });
                return (messages, None);
            }
            Err(Error::Capacity(_)) => return (messages, Some(close::TOO_BIG)),
            Err(Error::Utf8(_)) => return (messages, Some(close::INVALID_TEXT)),
            Err(_) => return (messages, Some(close::PROTOCOL)),
        };
        messages.push(message);
    }
}

/// Zeros that complete whatever has begun, and end the stream with a frame
/// without a mask.
fn padded(stream: &[u8]) -> Vec<u8> {
    let mut padded = stream.to_vec();
    padded.resize(stream.len() + LIMITS.frame_size_max + 32, 0);
    padded
}

/// The bytes that are in text, in no text, and in the middle of one.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => ".{120,130}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 120..420),
        1 => (any::<u16>(), "[a-zé€😀]{0,20}").prop_map(|(code, reason)| {
            [&code.to_be_bytes()[..], reason.as_bytes()].concat()
        }),
        1 => (999_u16..1016, "[a-z]{0,3}").prop_map(|(code, reason)| {
            [&code.to_be_bytes()[..], reason.as_bytes()].concat()
        }),
    ]
}

/// A message in frames, pings among them, or a frame that may be anything.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let message = (1_u8..=2, payload(), cuts, any::<[u8; 4]>(), any::<bool>());
    let message = message.prop_map(|(opcode, payload, cuts, mask, pinged)| {
        let mut cuts: Vec<usize> = cuts
            .iter()
            .map(|cut| cut.index(payload.len() + 1))
            .collect();
        cuts.sort_unstable();
        cuts.push(payload.len());
        let last = cuts.len() - 1;
        let (mut bytes, mut start) = (Vec::new(), 0);
        for (number, end) in cuts.into_iter().enumerate() {
            let opcode = if number == 0 { opcode } else { 0 };
            let is_final = if number == last { 0x80 } else { 0 };
            bytes.extend(masked(is_final | opcode, &payload[start..end], mask));
            if pinged {
                bytes.extend(masked(0x89, &mask, mask));
            }
            start = end;
        }
        bytes
    });
    let control = (0x88_u8..=0x8a, payload()).prop_map(|(first, payload)| frame(first, &payload));
    let anything = (any::<u8>(), payload()).prop_map(|(first, payload)| frame(first, &payload));
    prop_oneof![12 => message, 2 => control, 1 => anything]
}

/// A stream of frames, in which a byte may be wrong.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let wrong = prop::option::weighted(0.4, (any::<prop::sample::Index>(), any::<u8>()));
    (prop::collection::vec(frames(), 1..12), wrong).prop_map(|(frames, wrong)| {
        let mut stream = frames.concat();
        if let Some((at, byte)) = wrong {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        stream
    })
}

/// Whether the library reads the stream by other rules: it takes a length in
/// more bytes than it needs, and refuses the code 1014, which was registered
/// later.
fn is_told_otherwise(stream: &[u8]) -> bool {
    let mut reader = Reader::default();
    let mut bytes = stream.to_vec();
    let mut input = Input::new(&mut bytes);
    loop {
        match reader.next(&mut input, &LIMITS) {
            Ok(Some(Received::Close { code, .. })) => return code == 1014,
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(violation) => return violation == Violation::LongLength,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_library_reads_the_same(stream in stream()) {
        let stream = padded(&stream);
        prop_assume!(!is_told_otherwise(&stream));
        let expected = told_by_the_library(&stream, &LIMITS);
        prop_assert_eq!(read([&stream[..]], &LIMITS), expected);
    }

    #[test]
    fn the_library_makes_the_same_of_arbitrary_bytes(
        stream in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let stream = padded(&stream);
        prop_assume!(!is_told_otherwise(&stream));
        let expected = told_by_the_library(&stream, &LIMITS);
        prop_assert_eq!(read([&stream[..]], &LIMITS), expected);
    }

    #[test]
    fn any_split_of_a_stream_tells_the_same(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = read([&stream[..]], &LIMITS);
        prop_assert_eq!(&read(stream.chunks(1), &LIMITS), &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &stream[ends[0]..ends[1]]);
        prop_assert_eq!(read(pieces, &LIMITS), whole);
    }
}

#[test]
fn what_is_whole_leaves_nothing_behind() {
    let mut reader = Reader::default();
    let stream = [
        frame(0x81, b"whole"),
        frame(0x01, b"in"),
        frame(0x89, b"ping"),
        frame(0x80, b" pieces"),
    ];
    for piece in [1, 3, 1000] {
        for bytes in stream.concat().chunks_mut(piece) {
            let mut input = Input::new(bytes);
            while reader.next(&mut input, &LIMITS).unwrap().is_some() {}
        }
        assert!(reader.begun.is_none(), "pieces of {piece}");
    }
}

#[test]
fn a_limit_is_kept_by_the_header_alone() {
    let announced = |first: u8, len: u16| {
        let mut header = vec![first, 0x80 | 126];
        header.extend_from_slice(&len.to_be_bytes());
        header.extend_from_slice(&[0; 4]);
        header
    };
    let story = |bytes: Vec<u8>| read([&bytes[..]], &LIMITS).1;
    assert_eq!(story(announced(0x82, 400)), None);
    assert_eq!(story(announced(0x82, 401)), Some(1009));
    let begun = frame(0x02, &[0; 400]);
    assert_eq!(story([&begun[..], &announced(0x80, 200)].concat()), None);
    assert_eq!(
        story([&begun[..], &announced(0x80, 201)].concat()),
        Some(1009)
    );
    assert_eq!(story(announced(0x89, 126)), Some(1002));
}

#[test]
fn a_message_may_have_so_many_frames_and_no_more() {
    let limits = Limits {
        fragments_max: 3,
        ..LIMITS
    };
    let pieces = |count: usize| {
        let middle = frame(0x00, b"").repeat(count - 2);
        [frame(0x02, b"a"), middle, frame(0x80, b"z")]
            .concat()
            .repeat(2)
    };
    let (messages, code) = read([&pieces(3)[..]], &limits);
    assert_eq!((messages.len(), code), (2, None));
    assert_eq!(read([&pieces(4)[..]], &limits), (Vec::new(), Some(1009)));
}

#[test]
fn text_that_cannot_become_utf8_is_refused_where_it_stands() {
    let text = frame(0x01, b"good \xf0\x9f\x98\x80 \xed\xa0 this never comes");
    let bad = text.iter().position(|byte| *byte == text[6 + 11]).unwrap();
    assert_eq!(read([&text[..bad]], &LIMITS).1, None);
    let cut = 6 + 12;
    assert_eq!(read([&text[..cut - 1]], &LIMITS).1, None);
    assert_eq!(read([&text[..cut]], &LIMITS).1, Some(1007));
}

#[test]
fn a_length_takes_no_more_bytes_than_it_needs() {
    let short = |first: &[u8]| [first, &[0; 4], b"x"].concat();
    let story = |bytes: Vec<u8>| read([&bytes[..]], &LIMITS).1;
    assert_eq!(story(short(&[0x82, 0x81])), None);
    assert_eq!(story(short(&[0x82, 0xfe, 0, 1])), Some(1002));
    assert_eq!(
        story(short(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1])),
        Some(1002)
    );
}

#[test]
fn a_torn_message_holds_at_most_twice_what_came() {
    let limits = Limits {
        frame_size_max: 1 << 20,
        message_size_max: 1 << 20,
        ..LIMITS
    };
    for first in [0x81, 0x82] {
        let stream = frame(first, &vec![b'x'; 1 << 20]);
        let mut reader = Reader::default();
        let mut come = 0;
        for piece in stream.chunks(1000) {
            let mut piece = piece.to_vec();
            let message = reader.next(&mut Input::new(&mut piece), &limits).unwrap();
            come += piece.len();
            if let Some(message) = reader.message() {
                assert!(
                    message.capacity() <= 2 * come,
                    "{} for {come}",
                    message.capacity()
                );
                assert_eq!(reader.expected(), stream.len() - come);
            } else {
                assert!(matches!(message, Some(Received::Data(frame)) if frame.len() == 1 << 20));
            }
        }
        assert_eq!(come, stream.len());
    }
}
