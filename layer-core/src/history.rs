//! What a group keeps of its past, and where in it somebody stands.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Reply;

/// What stands between the epoch and the offset.
const SEPARATOR: char = '-';
const EPOCH_DIGITS: usize = 16;
/// What an error shows of a text that may have any length.
const SHOWN_MAX: usize = 48;

/// How much a group keeps of what is published to it.
///
/// What is beyond any of the bounds goes, oldest first;
/// [`Limits::history_bytes_max`](crate::Limits) is one more. All who publish to
/// a group say the same; where they do not, each publish trims by its own
/// `size`, and no message goes for its age before the ones ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Messages that are kept at most. With 0 none is, and offsets count on.
    pub size: usize,
    /// How long each is kept, by the backend's clock.
    pub ttl: Duration,
}

impl History {
    /// How long a group to which nothing was published keeps its epoch after
    /// somebody has asked where it stands: whoever names groups at will makes
    /// the backend keep no more than those of these minutes. Whoever comes
    /// back later is told of a gap, and has missed nothing.
    pub const EMPTY_LIFE: Duration = Duration::from_mins(10);
}

/// Where in the messages of a group somebody stands: behind the one with this
/// offset, or before all if that is 0.
///
/// Offsets are 1, 2, 3 and so on, without holes, within an epoch. An epoch ends
/// with the backend's data; what was published in another cannot be compared.
/// As text, for a client to keep and to show again, it is one word.
///
/// ```
/// use towpath_layer_core::Position;
///
/// let position = Position { epoch: 0x2a, offset: 7 };
/// assert_eq!(position.to_string(), "000000000000002a-7");
/// assert_eq!("000000000000002a-7".parse(), Ok(position));
/// assert!("2a-7".parse::<Position>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which life of the group's history; random.
    pub epoch: u64,
    /// Which message; 0 is before the first.
    pub offset: u64,
}

/// What is recalled of a group's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalled {
    /// Of the message published last, kept or not. If the last of `messages`
    /// stands before it, there are more: ask again from there.
    pub position: Position,
    /// Whether all that was published behind the position that was asked for is
    /// kept. If not, too much was published or too long ago, or that position
    /// is of another epoch: whoever asked has to begin anew ("resync").
    pub complete: bool,
    /// What is kept, oldest first, each with its position.
    pub messages: Vec<Reply>,
}

/// A text that is no [`Position`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{shown:?} is not a position: it is {EPOCH_DIGITS} lower-case hex digits, a '{SEPARATOR}' and a \
     number, as the layer gave it"
)]
pub struct PositionError {
    shown: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{SEPARATOR}{}", self.epoch, self.offset)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        parse(text).ok_or_else(|| PositionError {
            shown: text.chars().take(SHOWN_MAX).collect(),
        })
    }
}

/// One position has one text, so that what is kept as text can be compared.
fn parse(text: &str) -> Option<Position> {
    let (epoch, offset) = text.split_once(SEPARATOR)?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if epoch.len() != EPOCH_DIGITS || !epoch.bytes().all(is_hex) {
        return None;
    }
    let is_padded = offset.len() > 1 && offset.starts_with('0');
    if is_padded || !offset.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Position {
        epoch: u64::from_str_radix(epoch, 16).ok()?,
        offset: offset.parse().ok()?,
    })
}

/// As text: the numbers of other languages do not hold all of 64 bits.
impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position() -> impl Strategy<Value = Position> {
        any::<(u64, u64)>().prop_map(|(epoch, offset)| Position { epoch, offset })
    }

    proptest! {
        #[test]
        fn a_position_is_read_as_it_was_written(position in position()) {
            prop_assert_eq!(position.to_string().parse(), Ok(position));
            let packed = rmp_serde::to_vec(&position).unwrap();
            prop_assert_eq!(rmp_serde::from_slice::<Position>(&packed).unwrap(), position);
        }

        #[test]
        fn one_position_has_one_text(text in "[0-9a-f]{15,17}-[0-9]{0,21}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string(), text);
            }
        }

        #[test]
        fn no_text_does_harm(text in any::<String>()) {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for wrong in [
            "",
            "-",
            "7",
            "000000000000002a",
            "000000000000002a-",
            "000000000000002a-07",
            "000000000000002a-+7",
            "000000000000002a--7",
            "000000000000002A-7",
            "+00000000000002a-7",
            "2a-7",
            "000000000000002a-18446744073709551616",
            "000000000000002a-7 ",
        ] {
            let error = wrong.parse::<Position>().unwrap_err();
            let shown = format!("{wrong:?} is not a position: ");
            assert!(error.to_string().starts_with(&shown), "{error}");
        }
    }

    #[test]
    fn an_error_shows_the_beginning_of_a_long_text() {
        let error = "\u{e9}".repeat(10_000).parse::<Position>().unwrap_err();
        assert!(error.to_string().len() < 300, "{error}");
    }
}
