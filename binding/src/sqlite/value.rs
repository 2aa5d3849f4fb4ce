//! What SQLite's triggers recorded, as JSON that a model can be made of.

use serde_json::{Map, Number, Value};

use crate::change::Row;
use crate::table::Table;

/// A recorded row; empty if it cannot be read, which then fits no model.
pub(super) fn row(recorded: &[u8], table: Option<&Table>) -> Row {
    let recorded: Value =
        serde_json::from_str(&String::from_utf8_lossy(recorded)).unwrap_or_default();
    let parts = match recorded {
        Value::Array(parts) => parts,
        one => vec![one],
    };
    let mut row = Map::new();
    for part in parts {
        let Value::Object(part) = part else { continue };
        for (column, literal) in part {
            let kind = table.and_then(|table| table.column(&column));
            let kind = kind.map_or("", |column| column.kind.as_str());
            let value = value(literal.as_str().unwrap_or_default(), kind);
            row.insert(column, value);
        }
    }
    row
}

/// A SQL literal as JSON, in the way of the column's declared type.
fn value(literal: &str, kind: &str) -> Value {
    if let Some(text) = literal.strip_prefix('\'') {
        let text = text.strip_suffix('\'').unwrap_or(text).replace("''", "'");
        return if kind.contains("JSON") {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        } else {
            Value::String(text)
        };
    }
    if let Some(hex) = literal.strip_prefix("X'") {
        // As PostgreSQL writes bytes.
        let hex = hex.trim_end_matches('\'').to_lowercase();
        return Value::String(format!("\\x{hex}"));
    }
    match literal.parse::<i64>() {
        Ok(number @ (0 | 1)) if kind.contains("BOOL") => Value::Bool(number == 1),
        Ok(number) => Value::from(number),
        // Neither NULL nor an infinity is a number of JSON.
        Err(_) => match literal.parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => Value::Null,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn reads(literal: &str, kind: &str, expected: &Value) {
        assert_eq!(value(literal, kind), *expected);
    }

    #[test]
    fn a_literal_becomes_the_json_of_its_column() {
        reads("NULL", "TEXT", &Value::Null);
        reads("'it''s'", "TEXT", &json!("it's"));
        reads("''", "TEXT", &json!(""));
        reads("9223372036854775807", "INTEGER", &json!(i64::MAX));
        reads("0.30000000000000004", "REAL", &json!(0.1 + 0.2));
        reads("2.0", "REAL", &json!(2.0));
        reads("9.0e+999", "REAL", &Value::Null);
        reads("X'00FF'", "BLOB", &json!("\\x00ff"));
    }

    #[test]
    fn a_declared_type_tells_truths_and_documents() {
        reads("1", "BOOLEAN", &json!(true));
        reads("0", "BOOL", &json!(false));
        reads("2", "BOOLEAN", &json!(2));
        reads("1", "INTEGER", &json!(1));
        reads("'{\"a\":[1]}'", "JSON", &json!({"a": [1]}));
        reads("'{\"a\":[1]}'", "TEXT", &json!("{\"a\":[1]}"));
        reads("'no json'", "JSON", &json!("no json"));
    }

    #[test]
    fn rows_of_many_columns_come_in_parts() {
        let recorded = br#"[{"a":"1"},{"b":"'x'"}]"#;
        assert_eq!(
            Value::Object(row(recorded, None)),
            json!({"a": 1, "b": "x"})
        );
        assert!(row(b"\xff", None).is_empty());
    }
}
