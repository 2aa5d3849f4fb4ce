//! Messages that are sent later, and the keys by which they are found again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ChannelName, Entropy};

/// What stands between the id and the channel; no name holds one.
const SEPARATOR: char = '@';
const ID_DIGITS: usize = 32;

/// A message that waits for its time, as
/// [`ChannelLayer::send_after`](crate::ChannelLayer::send_after) returns it.
///
/// It holds all that is needed to cancel the message, in any process, and
/// cannot be guessed: who was not given it cannot cancel. As text, in a
/// database or on a wire, it is one word.
///
/// ```
/// use towpath_layer_core::{ChannelName, DelayKey, SystemEntropy};
///
/// let channel = ChannelName::new("thumbnails.make")?;
/// let key = DelayKey::new(&channel, &SystemEntropy);
/// assert_eq!(key.to_string().parse::<DelayKey>()?, key);
/// assert!("thumbnails.make".parse::<DelayKey>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DelayKey {
    id: u128,
    channel: ChannelName,
}

impl DelayKey {
    /// A key that no other message has; for backends.
    #[must_use]
    pub fn new(channel: &ChannelName, entropy: &dyn Entropy) -> Self {
        Self {
            id: entropy.next_u128(),
            channel: channel.clone(),
        }
    }

    /// The channel that the message is for.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Which of the channel's messages it is; random.
    #[must_use]
    pub fn id(&self) -> u128 {
        self.id
    }
}

impl fmt::Display for DelayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}{SEPARATOR}{}", self.id, self.channel)
    }
}

/// Without the id: a log is no place for it.
impl fmt::Debug for DelayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayKey")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// A text that is no [`DelayKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key of a delayed message is not valid: {rule}")]
pub struct DelayKeyError {
    rule: String,
}

impl FromStr for DelayKey {
    type Err = DelayKeyError;

    fn from_str(text: &str) -> Result<Self, DelayKeyError> {
        let wrong = |rule: String| DelayKeyError { rule };
        let (id, channel) = text.split_once(SEPARATOR).ok_or_else(|| {
            wrong(format!(
                "it is {ID_DIGITS} hex digits, a '{SEPARATOR}' and the name of a channel; this has no '{SEPARATOR}'"
            ))
        })?;
        // One key has one text: what is stored as such can be compared.
        let canonical = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if id.len() != ID_DIGITS || !id.bytes().all(canonical) {
            let rule = format!("{ID_DIGITS} lower-case hex digits stand before the '{SEPARATOR}'");
            return Err(wrong(rule));
        }
        let id = u128::from_str_radix(id, 16).map_err(|error| wrong(error.to_string()))?;
        let channel = ChannelName::new(channel).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { id, channel })
    }
}

impl Serialize for DelayKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DelayKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    fn key() -> DelayKey {
        let channel = ChannelName::new("progress?7.-_").unwrap();
        DelayKey::new(&channel, &SeededEntropy::new(1))
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        assert_eq!(key().to_string().parse(), Ok(key()));
        let packed = rmp_serde::to_vec(&key()).unwrap();
        assert_eq!(rmp_serde::from_slice::<DelayKey>(&packed).unwrap(), key());
        assert_eq!(
            rmp_serde::from_slice::<String>(&packed).unwrap(),
            key().to_string()
        );
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let text = key().to_string();
        for wrong in [
            "",
            "@",
            "work",
            &text[1..],
            &text.replace("progress", "pro gress"),
            &text.replace("?", "@"),
            &format!("+{}", &text[1..]),
            &format!("{text}@"),
            &text.to_uppercase().replace("PROGRESS", "progress"),
            &format!("{:032x}@", 7),
        ] {
            let error = wrong.parse::<DelayKey>().unwrap_err();
            assert!(error.to_string().contains("not valid: "), "{error}");
        }
    }

    #[test]
    fn a_key_is_not_shown_in_a_log() {
        let shown = format!("{:?}", key());
        assert!(shown.contains("progress?7.-_"), "{shown}");
        assert!(!shown.contains(&key().to_string()[..8]), "{shown}");
    }
}
