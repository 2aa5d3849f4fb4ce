//! Close codes and reasons (RFC 6455 §7.4).

use bytestring::ByteString;
use towpath_layer_core::Close;

pub(crate) const NORMAL: u16 = 1000;
pub(crate) const GOING_AWAY: u16 = 1001;
pub(crate) const PROTOCOL: u16 = 1002;
pub(crate) const NO_STATUS: u16 = 1005;
pub(crate) const ABNORMAL: u16 = 1006;
pub(crate) const INVALID_TEXT: u16 = 1007;
pub(crate) const TOO_BIG: u16 = 1009;
pub(crate) const INTERNAL: u16 = 1011;
pub(crate) const RESTART: u16 = 1012;
pub(crate) const TRY_LATER: u16 = 1013;

/// A close frame's payload has at most 125 bytes, two of them the code.
const REASON_LEN_MAX: usize = 123;

/// Whether a frame may carry the code.
pub(crate) fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// A close that a frame can carry. What an application must not send becomes
/// [`NORMAL`]; a reason that is too long is cut.
pub(crate) fn sendable(close: &Close) -> (u16, ByteString) {
    let code = if may_be_sent(close.code) {
        close.code
    } else {
        tracing::warn!(code = close.code, "this close code may not be sent");
        NORMAL
    };
    (code, cut(&close.reason))
}

/// The longest part of `reason` that fits a close frame.
pub(crate) fn cut(reason: &ByteString) -> ByteString {
    if reason.len() <= REASON_LEN_MAX {
        return reason.clone();
    }
    let mut end = REASON_LEN_MAX;
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    ByteString::from(reason.get(..end).unwrap_or_default())
}

/// A close code as a metric's label: few values, whatever a peer sends.
pub(crate) fn label(code: u16) -> &'static str {
    match code {
        1000 => "1000",
        1001 => "1001",
        1002 => "1002",
        1003 => "1003",
        1005 => "1005",
        1006 => "1006",
        1007 => "1007",
        1008 => "1008",
        1009 => "1009",
        1010 => "1010",
        1011 => "1011",
        1012 => "1012",
        1013 => "1013",
        1014 => "1014",
        3000..=3999 => "3xxx",
        4000..=4999 => "4xxx",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = ByteString::from("é".repeat(100));
        assert_eq!(cut(&long).len(), 122);
        assert_eq!(cut(&ByteString::from_static("short")), "short");
    }

    #[test]
    fn a_code_that_may_not_be_sent_becomes_normal() {
        for (asked, sent) in [
            (1000, 1000),
            (4321, 4321),
            (1006, 1000),
            (0, 1000),
            (5000, 1000),
        ] {
            let close = Close {
                code: asked,
                reason: ByteString::new(),
            };
            assert_eq!(sendable(&close).0, sent);
        }
    }
}
