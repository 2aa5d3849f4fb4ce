//! Where in a topic's history a client stands, in what it is told: it sends the
//! same text back as `last_seen_id` when it joins again.

use bytestring::ByteString;
use towpath_layer_core::{Frame, Position};

/// The key under which a client finds it.
const KEY: &str = "last_seen_id";

/// Adds a position to the JSON text of an object.
pub(crate) fn in_message(json: &str, position: Position) -> ByteString {
    with_fields(json, &format!("\"{KEY}\":\"{position}\""))
}

/// Adds a position to the answer to a join, and whether the client has to begin
/// anew. An answer that is no object stays as it is.
pub(crate) fn in_response(response: Frame, position: Position, resync: bool) -> Frame {
    match response {
        Frame::Text(json) if json.trim_start().starts_with('{') => {
            let fields = format!("\"{KEY}\":\"{position}\",\"resync\":{resync}");
            Frame::Text(with_fields(&json, &fields))
        }
        response => response,
    }
}

/// Puts fields behind those of an object; what is no object stays as it is. Of
/// two fields with one name clients take the last: what an application passes on
/// from another client does not count.
fn with_fields(json: &str, fields: &str) -> ByteString {
    let inside = json.trim().strip_prefix('{');
    let Some(inside) = inside.and_then(|json| json.strip_suffix('}')) else {
        return json.into();
    };
    let comma = if inside.trim().is_empty() { "" } else { "," };
    format!("{{{inside}{comma}{fields}}}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position {
        epoch: 1,
        offset: 7,
    };

    #[test]
    fn a_position_stands_behind_the_fields_of_an_object() {
        for (json, with) in [
            ("{}", r#"{"last_seen_id":"0000000000000001-7"}"#),
            (" { } ", r#"{ "last_seen_id":"0000000000000001-7"}"#),
            (
                r#"{"last_seen_id":"0000000000000002-9"} "#,
                r#"{"last_seen_id":"0000000000000002-9","last_seen_id":"0000000000000001-7"}"#,
            ),
            ("[1]", "[1]"),
        ] {
            assert_eq!(in_message(json, AT), with);
        }
        let answer = in_response(Frame::Text("{}".into()), AT, true);
        let expected = r#"{"last_seen_id":"0000000000000001-7","resync":true}"#;
        assert_eq!(answer, Frame::Text(expected.into()));
        let bytes = Frame::Bytes("{}".into());
        assert_eq!(in_response(bytes.clone(), AT, true), bytes);
    }
}
