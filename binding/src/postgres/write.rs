//! Writes what a client sent to a PostgreSQL database.

use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

use crate::change::Row;
use crate::inbound::{Check, Write, WriteError};
use crate::sql::ident;
use crate::table::Table;

/// Writes one row, in a transaction that ends well only if the row fits.
pub(crate) async fn write(
    pool: &PgPool,
    table: &Table,
    write: &Write,
    check: Check<'_>,
) -> Result<(), WriteError> {
    let (sql, pk, data) = statement(table, write);
    let mut transaction = pool.begin().await?;
    let query = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(pk.to_string())
        .bind(data.to_string());
    let written: Option<String> = query.fetch_optional(&mut *transaction).await?;
    let written = written.ok_or(WriteError::NoRow)?;
    check(&serde_json::from_str(&written).unwrap_or_default()).map_err(WriteError::BadValue)?;
    transaction.commit().await?;
    Ok(())
}

/// The statement, and its two values: the key and the fields as JSON, which the
/// server turns into the columns' own types.
fn statement(table: &Table, write: &Write) -> (String, Value, Value) {
    let (name, key) = (&table.quoted, ident(&table.key));
    let keyed = |pk: &Value| Value::Object(Map::from_iter([(table.key.clone(), pk.clone())]));
    let from = format!(
        "jsonb_populate_record(NULL::{name}, $1::text::jsonb) AS k, \
         jsonb_populate_record(NULL::{name}, $2::text::jsonb) AS r"
    );
    let returning = "RETURNING to_jsonb(t)::text";
    let object = |data: &Row| Value::Object(data.clone());
    match write {
        Write::Create(data) if data.is_empty() => (
            format!("INSERT INTO {name} AS t SELECT FROM {from} {returning}"),
            object(data),
            object(data),
        ),
        Write::Create(data) => (
            format!(
                "INSERT INTO {name} AS t ({}) SELECT {} FROM {from} {returning}",
                list(data, |column| column.to_owned()),
                list(data, |column| format!("r.{column}"))
            ),
            Value::Object(Map::new()),
            object(data),
        ),
        Write::Update(pk, data) => (
            format!(
                "UPDATE {name} AS t SET {} FROM {from} WHERE t.{key} = k.{key} {returning}",
                list(data, |column| format!("{column} = r.{column}"))
            ),
            keyed(pk),
            object(data),
        ),
        Write::Delete(pk) => (
            format!("DELETE FROM {name} AS t USING {from} WHERE t.{key} = k.{key} {returning}"),
            keyed(pk),
            Value::Object(Map::new()),
        ),
    }
}

fn list(data: &Row, form: impl Fn(&str) -> String) -> String {
    let columns = data.keys().map(|column| form(&ident(column)));
    columns.collect::<Vec<_>>().join(", ")
}
