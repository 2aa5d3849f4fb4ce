//! Writes what a client sent to a SQLite database.

use serde_json::Value;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqlitePool};
use sqlx::{AssertSqlSafe, Row as _, Sqlite};

use super::schema::row_as_json;
use super::value;
use crate::change::Row;
use crate::inbound::{Check, Write, WriteError};
use crate::sql::ident;
use crate::table::Table;

type Statement = Query<'static, Sqlite, SqliteArguments>;

/// Writes one row, in a transaction that ends well only if the row fits.
pub(crate) async fn write(
    pool: &SqlitePool,
    table: &Table,
    write: &Write,
    check: Check<'_>,
) -> Result<(), WriteError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let written = statement(table, write)?
        .fetch_optional(&mut *transaction)
        .await?;
    let written = written.ok_or(WriteError::NoRow)?;
    let recorded: Vec<u8> = written.try_get(0)?;
    check(&value::row(&recorded, Some(table))).map_err(WriteError::BadValue)?;
    transaction.commit().await?;
    Ok(())
}

fn statement(table: &Table, write: &Write) -> Result<Statement, WriteError> {
    let (name, key) = (&table.quoted, ident(&table.key));
    let columns: Vec<&str> = table.columns.iter().map(|it| it.name.as_str()).collect();
    let returning = format!("RETURNING CAST({} AS BLOB)", row_as_json(name, &columns));
    let sql = match write {
        Write::Create(data) if data.is_empty() => {
            format!("INSERT INTO {name} DEFAULT VALUES {returning}")
        }
        Write::Create(data) => {
            let marks = vec!["?"; data.len()].join(", ");
            let columns = list(data, |column| column);
            format!("INSERT INTO {name} ({columns}) VALUES ({marks}) {returning}")
        }
        Write::Update(_, data) => {
            let set = list(data, |column| format!("{column} = ?"));
            format!("UPDATE {name} SET {set} WHERE {key} = ? {returning}")
        }
        Write::Delete(_) => format!("DELETE FROM {name} WHERE {key} = ? {returning}"),
    };
    let statement = sqlx::query(AssertSqlSafe(sql));
    match write {
        Write::Create(data) => bind_all(statement, table, data),
        Write::Update(pk, data) => bind(bind_all(statement, table, data)?, table, &table.key, pk),
        Write::Delete(pk) => bind(statement, table, &table.key, pk),
    }
}

fn list(data: &Row, form: impl Fn(String) -> String) -> String {
    let columns = data.keys().map(|column| form(ident(column)));
    columns.collect::<Vec<_>>().join(", ")
}

fn bind_all(mut statement: Statement, table: &Table, data: &Row) -> Result<Statement, WriteError> {
    for (column, value) in data {
        statement = bind(statement, table, column, value)?;
    }
    Ok(statement)
}

/// Binds a value in the way of the column's declared type.
fn bind(
    statement: Statement,
    table: &Table,
    column: &str,
    value: &Value,
) -> Result<Statement, WriteError> {
    let kind = table
        .column(column)
        .map_or("", |column| column.kind.as_str());
    Ok(match value {
        Value::Null => statement.bind(None::<i64>),
        value if kind.contains("JSON") => statement.bind(value.to_string()),
        Value::Bool(value) => statement.bind(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => statement.bind(number),
            (None, Some(number)) if !number_is_cut(value) => statement.bind(number),
            _ => {
                let reason = format!("field {column:?}: the number is too large");
                return Err(WriteError::BadValue(reason));
            }
        },
        Value::String(text) if kind.contains("BLOB") => match bytes(text) {
            Some(bytes) => statement.bind(bytes),
            None => {
                let reason = format!("field {column:?}: expected bytes as \"\\\\x00ff\"");
                return Err(WriteError::BadValue(reason));
            }
        },
        Value::String(text) => statement.bind(text.clone()),
        Value::Array(_) | Value::Object(_) => statement.bind(value.to_string()),
    })
}

/// A whole number that no column can hold.
fn number_is_cut(value: &Value) -> bool {
    value.is_u64()
}

/// What `\x` and hex digits stand for.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let hex = text.strip_prefix("\\x")?.as_bytes();
    let pairs = hex.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_pairs_of_hex_digits() {
        assert_eq!(bytes("\\x00fF"), Some(vec![0, 255]));
        assert_eq!(bytes("\\x"), Some(Vec::new()));
        for wrong in ["00ff", "\\x0", "\\x0g", "\\xé"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
