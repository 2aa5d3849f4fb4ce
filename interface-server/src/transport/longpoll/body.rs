//! What a client brings in one request, as frames.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::Frame;

use super::LINES_MAX;

/// A body that holds no frames.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// Text that is not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// A line that begins like no text frame and is not base64 either.
    #[error("line {number} is neither a text frame nor base64")]
    NotBase64 {
        /// Which line, from 1 on.
        number: usize,
    },
    /// A frame of more bytes than a message may have.
    #[error("a frame has {size} bytes, and a message {size_max} at most")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        size_max: usize,
    },
}

/// The frames that a client brings, if none has more than `size_max` bytes.
pub(super) fn frames(body: Bytes, lines: bool, size_max: usize) -> Result<Vec<Frame>, BodyError> {
    let frames = read(body, lines)?;
    match frames.iter().map(Frame::len).find(|size| *size > size_max) {
        Some(size) => Err(BodyError::TooLarge { size, size_max }),
        None => Ok(frames),
    }
}

/// The frames in parcels that each hold up to so many bytes, or one frame; one
/// parcel at least, which may be empty.
pub(super) fn parcels(frames: Vec<Frame>, bytes_max: usize) -> Vec<Vec<Frame>> {
    let mut parcels = vec![Vec::new()];
    let mut bytes = 0;
    for frame in frames {
        bytes += frame.len();
        match parcels.last_mut() {
            Some(last) if bytes <= bytes_max || last.is_empty() => last.push(frame),
            _ => {
                bytes = frame.len();
                parcels.push(vec![frame]);
            }
        }
    }
    parcels
}

/// Lines of text frames and of binary frames in base64; or, as old clients
/// send it, one text frame. Lines beyond the hundredth are left out.
fn read(body: Bytes, lines: bool) -> Result<Vec<Frame>, BodyError> {
    let text = ByteString::try_from(body).map_err(|_| BodyError::NotUtf8)?;
    if !lines {
        return Ok(vec![Frame::Text(text)]);
    }
    let lines = text.lines().filter(|line| !line.is_empty());
    let frames = lines.enumerate().take(LINES_MAX).map(|(at, line)| {
        if line.starts_with('[') {
            // A slice would keep the others alive as long as it waits.
            return Ok(Frame::Text(ByteString::from(line)));
        }
        let number = at + 1;
        let bytes = STANDARD.decode(line);
        bytes
            .map(|bytes| Frame::Bytes(bytes.into()))
            .map_err(|_| BodyError::NotBase64 { number })
    });
    frames.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Frame {
        Frame::Text(text.into())
    }

    #[test]
    fn a_line_is_a_text_frame_or_a_binary_one_in_base64() {
        let body = "[10]\r\nAAECAw==\n\n[2]";
        let read = frames(body.into(), true, 4).unwrap();
        let bytes = Frame::Bytes(Bytes::from_static(&[0, 1, 2, 3]));
        assert_eq!(read, [text("[10]"), bytes, text("[2]")]);
        let error = frames("[1]\n{}".into(), true, 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2 is neither a text frame nor base64"
        );
        assert_eq!(frames("\n\n\n".into(), true, 0).unwrap(), []);
    }

    #[test]
    fn a_frame_beyond_the_limit_is_refused_whatever_it_was_written_in() {
        for (body, lines) in [("[1]\n[22]", true), ("AAECAw==", true), ("[22]", false)] {
            let error = frames(body.into(), lines, 3).unwrap_err();
            assert_eq!(
                error.to_string(),
                "a frame has 4 bytes, and a message 3 at most"
            );
            frames(body.into(), lines, 4).unwrap();
        }
    }

    #[test]
    fn frames_are_handed_on_in_as_few_parcels_as_hold_them() {
        fn sizes(sizes: &[usize]) -> Vec<Vec<usize>> {
            let frames = sizes.iter().map(|size| text(&"x".repeat(*size)));
            let parcels = parcels(frames.collect(), 10).into_iter();
            let sizes = |parcel: Vec<Frame>| parcel.iter().map(Frame::len).collect();
            parcels.map(sizes).collect()
        }
        assert_eq!(sizes(&[]), [Vec::<usize>::new()]);
        assert_eq!(sizes(&[4, 6, 1, 9, 2]), [vec![4, 6], vec![1, 9], vec![2]]);
        assert_eq!(sizes(&[11, 0, 10]), [vec![11], vec![0, 10]]);
    }

    #[test]
    fn without_lines_the_body_is_one_frame() {
        assert_eq!(read("{\n}".into(), false).unwrap(), [text("{\n}")]);
        read(Bytes::from_static(b"\xff"), false).unwrap_err();
    }

    #[test]
    fn the_hundred_and_first_line_is_left_out() {
        let body = "[1]\n".repeat(LINES_MAX) + "[2]";
        let read = read(body.into(), true).unwrap();
        assert_eq!((read.len(), read.last()), (LINES_MAX, Some(&text("[1]"))));
    }
}
