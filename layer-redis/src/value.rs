//! Reading answers, in either version of the protocol.

use redis::Value;

use crate::failure::Failure;

pub(crate) fn int(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Boolean(truth) => Ok(i64::from(*truth)),
        _ => Err(Failure::unexpected()),
    }
}

/// A number that is not negative.
pub(crate) fn count(value: &Value) -> Result<u64, Failure> {
    u64::try_from(int(value)?).map_err(|_| Failure::unexpected())
}

pub(crate) fn bytes(value: Value) -> Result<Vec<u8>, Failure> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text.into_bytes()),
        _ => Err(Failure::unexpected()),
    }
}

pub(crate) fn text(value: Value) -> Result<String, Failure> {
    String::from_utf8(bytes(value)?).map_err(|_| Failure::unexpected())
}

/// The elements of an array or set; none of nothing.
pub(crate) fn list(value: Value) -> Result<Vec<Value>, Failure> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        _ => Err(Failure::unexpected()),
    }
}

pub(crate) fn texts(value: Value) -> Result<Vec<String>, Failure> {
    list(value)?.into_iter().map(text).collect()
}

/// The pairs of a map, which the older protocol sends as one flat array.
pub(crate) fn pairs(value: Value) -> Result<Vec<(Value, Value)>, Failure> {
    if let Value::Map(pairs) = value {
        return Ok(pairs);
    }
    let mut items = list(value)?.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// A field of what `INFO` answers.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// What stands at the beginning of an array of known length.
pub(crate) fn array<const N: usize>(value: Value) -> Result<[Value; N], Failure> {
    <[Value; N]>::try_from(list(value)?).map_err(|_| Failure::unexpected())
}
