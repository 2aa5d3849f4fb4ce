//! JSON and MessagePack: which one a client writes and reads, and both ways.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::problem::{Kind, Problem, expectation};
use super::value::{Any, DEPTH_MAX};

/// The media type of values one a line.
pub(super) const LINES: &str = "application/x-ndjson";

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// JSON.
    Json,
    /// MessagePack.
    MessagePack,
    /// JSON, one value a line, as it comes.
    Lines,
}

impl Encoding {
    pub(super) const JSON: &'static str = "application/json";
    pub(super) const MESSAGE_PACK: &'static str = "application/msgpack";

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => Self::JSON,
            Self::MessagePack => Self::MESSAGE_PACK,
            Self::Lines => LINES,
        }
    }

    fn named(essence: &str) -> Option<Self> {
        match essence.to_ascii_lowercase().as_str() {
            Self::JSON => Some(Self::Json),
            Self::MESSAGE_PACK | "application/x-msgpack" | "application/vnd.msgpack" => {
                Some(Self::MessagePack)
            }
            LINES => Some(Self::Lines),
            _ => None,
        }
    }

    /// How the body of a request is written; JSON if it does not say.
    pub(super) fn of_body(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(header) = headers.get(CONTENT_TYPE) else {
            return Ok(Self::Json);
        };
        let text = header.to_str().unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default().trim();
        match Self::named(essence) {
            Some(encoding) if encoding != Self::Lines => Ok(encoding),
            _ => Err(Problem::new(
                Kind::UnsupportedMediaType,
                "a body in this media type is not read",
            )
            .at("content-type")
            .showing(text)
            .expecting(format!("{} or {}", Self::JSON, Self::MESSAGE_PACK))),
        }
    }

    /// How the answer is to be written: what the client likes best, and JSON
    /// before others that it likes as much.
    pub(super) fn of_answer(headers: &HeaderMap, offered: &[Self]) -> Result<Self, Problem> {
        let mut wanted = headers.get_all(ACCEPT).iter().peekable();
        if wanted.peek().is_none() {
            return Ok(offered.first().copied().unwrap_or(Self::Json));
        }
        let ranges: Vec<_> = wanted
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(','))
            .filter_map(range)
            .collect();
        let mut best = None;
        for encoding in offered.iter().copied() {
            let weight = weight(&ranges, encoding, offered.len() == 1);
            if weight > best.map_or(0, |(weight, _)| weight) {
                best = Some((weight, encoding));
            }
        }
        best.map(|(_, encoding)| encoding).ok_or_else(|| {
            let offered: Vec<_> = offered.iter().map(|one| one.media_type()).collect();
            Problem::new(
                Kind::NotAcceptable,
                "the client accepts none of the answer's types",
            )
            .at("accept")
            .expecting(offered.join(" or "))
        })
    }

    /// Writes a value.
    pub(super) fn write<T: Serialize>(self, value: &T) -> Result<Vec<u8>, Problem> {
        let written = match self {
            Self::Json => serde_json::to_vec(value).map_err(|error| error.to_string()),
            Self::MessagePack => rmp_serde::to_vec_named(value).map_err(|error| error.to_string()),
            Self::Lines => serde_json::to_vec(value)
                .map(|mut line| {
                    line.push(b'\n');
                    line
                })
                .map_err(|error| error.to_string()),
        };
        written.map_err(|error| {
            tracing::error!(error, "an answer cannot be written");
            Problem::new(Kind::Internal, "the answer cannot be written")
        })
    }

    /// Reads a value.
    pub(super) fn read<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, Problem> {
        match self {
            Self::Json | Self::Lines => from_json(body),
            Self::MessagePack => from_message_pack(body),
        }
    }
}

/// One range of an `Accept` header: what it names, and its weight in
/// thousandths.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';');
    let name = parts.next()?.trim().to_ascii_lowercase();
    let quality = parts.find_map(|part| part.trim().strip_prefix("q="));
    let quality: f32 = quality.map_or(Some(1.0), |quality| quality.trim().parse().ok())?;
    // Clamped, so the cast only rounds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000"
    )]
    let weight = (quality.clamp(0.0, 1.0) * 1000.0) as u16;
    Some((name, weight))
}

/// The weight of an encoding, which may be the only one; the range that names it
/// best decides.
fn weight(ranges: &[(String, u16)], encoding: Encoding, only: bool) -> u16 {
    let of = |is_it: &dyn Fn(&str) -> bool| {
        ranges
            .iter()
            .filter(|(name, _)| is_it(name))
            .map(|(_, weight)| *weight)
            .max()
    };
    let exact = of(&|name| Encoding::named(name) == Some(encoding));
    if encoding == Encoding::Lines && !only {
        // Where there is a choice, a stream is for those who ask for it by name.
        return exact.unwrap_or(0);
    }
    exact
        .or_else(|| of(&|name| name == "application/*"))
        .or_else(|| of(&|name| name == "*/*"))
        .unwrap_or(0)
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let message = error.inner().to_string();
        if error.inner().is_data() {
            misfit(Encoding::Json, body, error.path(), &message)
        } else {
            malformed("JSON", &message)
        }
    })?;
    let rest = reader.end();
    rest.map_err(|error| malformed("JSON", &error.to_string()))?;
    Ok(read)
}

fn from_message_pack<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    use rmp_serde::decode::Error;

    let mut rest = body;
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    reader.set_max_depth(DEPTH_MAX);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let message = error.inner().to_string();
        match error.inner() {
            Error::TypeMismatch(_) => {
                // This reader does not say what was expected; JSON's does.
                let message = expected_of::<T>(body).unwrap_or(message);
                misfit(Encoding::MessagePack, body, error.path(), &message)
            }
            Error::Syntax(_) | Error::OutOfRange | Error::LengthMismatch(_) => {
                misfit(Encoding::MessagePack, body, error.path(), &message)
            }
            _ => malformed("MessagePack", &message),
        }
    })?;
    if !rest.is_empty() {
        let left = format!("{} bytes follow the value", rest.len());
        return Err(malformed("MessagePack", &left));
    }
    Ok(read)
}

fn expected_of<T: DeserializeOwned>(body: &[u8]) -> Option<String> {
    let value = Any::from_encoded(body)?.to_json();
    let error = serde_json::from_value::<T>(value).err()?;
    Some(error.to_string())
}

fn malformed(what: &str, message: &str) -> Problem {
    Problem::new(
        Kind::MalformedBody,
        format!("the body is not {what}: {message}"),
    )
    .expecting(format!("one value as {what}"))
}

/// A value of the body that is not what its key takes.
fn misfit(encoding: Encoding, body: &[u8], path: &Path, message: &str) -> Problem {
    let mut problem = Problem::new(Kind::InvalidValue, message);
    if path.iter().next().is_some() {
        problem = problem.at(&path.to_string());
    }
    if let Some(expected) = expectation(message) {
        // JSON's reader says where it stood, which the key says better.
        let expected = expected.split(" at line ").next().unwrap_or(expected);
        problem = problem.expecting(expected);
    }
    // Not by `read`, which would end here again if there is no value at all.
    let all = match encoding {
        Encoding::MessagePack => Any::from_encoded(body),
        Encoding::Json | Encoding::Lines => serde_json::from_slice(body).ok(),
    };
    match all.and_then(|all| at(all, path)) {
        Some(value) => problem.showing(&value.to_json().to_string()),
        None => problem,
    }
}

/// The value at a path.
fn at(all: Any, path: &Path) -> Option<Any> {
    let mut value = all.0;
    for segment in path {
        value = match (segment, value) {
            (Segment::Seq { index }, rmpv::Value::Array(values)) => {
                values.into_iter().nth(*index)?
            }
            (Segment::Map { key } | Segment::Enum { variant: key }, rmpv::Value::Map(entries)) => {
                let mut entries = entries.into_iter();
                entries.find(|(name, _)| name.as_str() == Some(key))?.1
            }
            _ => return None,
        };
    }
    Some(Any(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];
    const ROWS: [Encoding; 3] = [Encoding::Json, Encoding::MessagePack, Encoding::Lines];
    const STREAM: [Encoding; 1] = [Encoding::Lines];

    fn answer(accept: &str, offered: &[Encoding]) -> Option<Encoding> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        Encoding::of_answer(&headers, offered).ok()
    }

    #[test]
    fn the_answer_is_what_the_client_likes_best() {
        use Encoding::{Json, Lines, MessagePack};
        for (accept, chosen) in [
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/msgpack", Some(MessagePack)),
            ("Application/X-MsgPack", Some(MessagePack)),
            (
                "application/json;q=0.5, application/msgpack",
                Some(MessagePack),
            ),
            ("application/json;q=0, */*", Some(MessagePack)),
            ("text/html, */*;q=0.1", Some(Json)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/json;q=much", None),
            (LINES, None),
            ("", None),
        ] {
            assert_eq!(answer(accept, &VALUES), chosen, "{accept}");
        }
        assert_eq!(answer(LINES, &ROWS), Some(Lines));
        assert_eq!(answer("*/*", &ROWS), Some(Json));
        assert_eq!(answer("*/*", &STREAM), Some(Lines));
        assert_eq!(answer("application/json", &STREAM), None);
        for (offered, first) in [(&ROWS[..], Json), (&STREAM[..], Lines)] {
            let chosen = Encoding::of_answer(&HeaderMap::new(), offered);
            assert_eq!(chosen.ok(), Some(first));
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_and_shown() {
        #[derive(Debug, serde::Deserialize)]
        struct Outer {
            #[serde(rename = "list")]
            _list: Vec<u8>,
        }
        let packed = rmp_serde::to_vec_named(&serde_json::json!({"list": [1, "two"]})).unwrap();
        for problem in [
            Encoding::Json
                .read::<Outer>(br#"{"list": [1, "two"]}"#)
                .unwrap_err(),
            Encoding::MessagePack.read::<Outer>(&packed).unwrap_err(),
        ] {
            let shown = serde_json::to_value(&problem).unwrap();
            assert_eq!(shown["status"], 422, "{shown}");
            assert_eq!(shown["key"], "list[1]", "{shown}");
            assert_eq!(shown["value"], "\"two\"", "{shown}");
            assert_eq!(shown["expected"], "u8", "{shown}");
        }
    }

    #[test]
    fn a_body_is_one_value_and_no_more() {
        for (encoding, body) in [
            (Encoding::Json, &b"1 2"[..]),
            (Encoding::Json, b""),
            (Encoding::Json, b"{"),
            (Encoding::MessagePack, &[1, 2]),
            (Encoding::MessagePack, &[]),
            (Encoding::MessagePack, &[0x91; 100_000]),
            (Encoding::MessagePack, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
        ] {
            let problem = encoding.read::<Any>(body).unwrap_err();
            assert_eq!(problem.status(), 400, "{body:?}");
        }
    }
}
