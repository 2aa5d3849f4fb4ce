//! Writing JSON text around JSON text.

use towpath_layer_core::Reference;

use crate::protocol::phoenix::message::Ref;

/// What goes out, before its version is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) join_ref: Option<&'a Ref>,
    pub(crate) reference: Option<&'a Ref>,
    pub(crate) topic: &'a str,
    pub(crate) event: &'a str,
}

/// The payload of what goes out: JSON text that is passed on as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    Payload(&'a str),
    Reply { status: &'a str, response: &'a str },
}

/// What a frame has at most besides its strings, in bytes.
const PUNCTUATION_LEN: usize = 64;

impl Head<'_> {
    /// A buffer that holds the frame, unless there is much to escape.
    pub(crate) fn buffer(&self, body: Body<'_>) -> String {
        let refs = [self.join_ref, self.reference];
        let refs: usize = refs
            .iter()
            .flatten()
            .map(|reference| reference.text().len())
            .sum();
        let body = match body {
            Body::Payload(payload) => payload.len(),
            Body::Reply { status, response } => status.len() + response.len(),
        };
        String::with_capacity(PUNCTUATION_LEN + refs + self.topic.len() + self.event.len() + body)
    }
}

impl Body<'_> {
    pub(crate) fn write(self, out: &mut String) {
        match self {
            Self::Payload(payload) => out.push_str(payload),
            Self::Reply { status, response } => {
                out.push_str("{\"status\":");
                string(out, status);
                out.push_str(",\"response\":");
                out.push_str(response);
                out.push('}');
            }
        }
    }
}

/// Writes a string.
pub(crate) fn string(out: &mut String, text: &str) {
    let escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().any(escaped) {
        // Every string is JSON: this does not fail.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// Writes a ref, or null.
pub(crate) fn reference(out: &mut String, reference: Option<&Ref>) {
    match reference {
        Some(reference) => match reference.reference() {
            Reference::Text(text) => string(out, text),
            Reference::Number(number) => out.push_str(&number.to_string()),
        },
        None => out.push_str("null"),
    }
}

/// Whether well-formed JSON text is an object.
pub(crate) fn is_object(json: &str) -> bool {
    json.trim_start_matches([' ', '\t', '\n', '\r'])
        .starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped_where_json_wants_it() {
        for text in [
            "",
            "room:1",
            "é€😀",
            "\u{7f}\u{2028}",
            "a\"b",
            "\\",
            "\0\n\u{1f}",
        ] {
            let mut out = String::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn an_object_is_told_by_its_first_character() {
        assert!(is_object("{}") && is_object(" \t\r\n{\"a\":1}"));
        for json in ["[]", "1", "\"{\"", "null", ""] {
            assert!(!is_object(json));
        }
    }
}
