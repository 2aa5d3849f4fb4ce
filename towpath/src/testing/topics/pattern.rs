//! What a test expects of a message.

use std::fmt;

use serde_json::Value;

/// What a test expects a message to carry: a JSON value whose objects may leave
/// out fields of the message's, or a function.
///
/// ```
/// use serde_json::{Value, json};
/// use towpath::testing::Pattern;
///
/// let message = json!({"user": {"name": "ada", "age": 36}, "tags": [1, 2]});
/// assert!(json!({"user": {"name": "ada"}}).fits(&message));
/// assert!(!json!({"tags": [1]}).fits(&message));
/// assert!((|message: &Value| message["user"]["age"] == 36).fits(&message));
/// ```
pub trait Pattern {
    /// Whether a message carries that.
    fn fits(&self, carried: &Value) -> bool;

    /// What a failure says was expected.
    fn shown(&self) -> String;
}

impl Pattern for Value {
    fn fits(&self, carried: &Value) -> bool {
        match (self, carried) {
            (Self::Object(fields), Self::Object(carried)) => fields
                .iter()
                .all(|(name, field)| carried.get(name).is_some_and(|value| field.fits(value))),
            (Self::Array(expected), Self::Array(carried)) => {
                let mut both = expected.iter().zip(carried);
                expected.len() == carried.len() && both.all(|(one, other)| one.fits(other))
            }
            (expected, carried) => expected == carried,
        }
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Pattern for &Value {
    fn fits(&self, carried: &Value) -> bool {
        (**self).fits(carried)
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl<F: Fn(&Value) -> bool> Pattern for F {
    fn fits(&self, carried: &Value) -> bool {
        self(carried)
    }

    fn shown(&self) -> String {
        "what the test's function takes".to_owned()
    }
}

/// For the text of a failure.
pub(super) struct Shown<'a, P>(pub(super) &'a P);

impl<P: Pattern> fmt::Display for Shown<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.shown())
    }
}
