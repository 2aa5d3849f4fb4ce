//! Installs and removes the triggers in a SQLite database.

use std::collections::BTreeMap;

use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::schema::{self, Recorded, Trigger};
use crate::BindingError;
use crate::bound::Plan;
use crate::sql::ident;
use crate::table::{Column, Table};

const FAILED: &str = "look at the tables";

/// Reads what the database knows of a table; nothing if there is none.
pub(crate) async fn describe(pool: &SqlitePool, name: &str) -> Result<Option<Table>, BindingError> {
    // Hidden columns of 2 and 3 are generated ones, which are there to be read.
    let rows = sqlx::query(
        "SELECT name, upper(type) AS kind, pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 \
         AND EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)",
    )
    .bind(name)
    .fetch_all(pool)
    .await
    .map_err(BindingError::database(FAILED))?;
    if rows.is_empty() {
        return Ok(None);
    }
    let column = |row: &sqlx::sqlite::SqliteRow| -> Result<Column, sqlx::Error> {
        Ok(Column {
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            key: row.try_get::<i64, _>("pk")? > 0,
        })
    };
    let columns: Result<Vec<Column>, _> = rows.iter().map(column).collect();
    let columns = columns.map_err(BindingError::database(FAILED))?;
    Table::new(name, ident(name), columns).map(Some)
}

/// The columns of each unique index over plain columns.
async fn unique(pool: &SqlitePool, table: &Table) -> Result<Vec<Vec<String>>, BindingError> {
    let rows = sqlx::query(
        "SELECT l.seq, i.name FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i \
         WHERE l.\"unique\" = 1 ORDER BY l.seq DESC, i.seqno",
    )
    .bind(&table.name)
    .fetch_all(pool)
    .await
    .map_err(BindingError::database(FAILED))?;
    let mut indexes: BTreeMap<i64, Vec<Option<String>>> = BTreeMap::new();
    for row in rows {
        let index: i64 = row.try_get(0).map_err(BindingError::database(FAILED))?;
        let column = row.try_get(1).map_err(BindingError::database(FAILED))?;
        indexes.entry(index).or_default().push(column);
    }
    let mut all = vec![vec![table.key.clone()]];
    // An index over an expression has columns without names.
    let plain = indexes
        .into_values()
        .filter_map(|columns| columns.into_iter().collect());
    all.extend(plain.filter(|columns: &Vec<String>| *columns != [table.key.clone()]));
    Ok(all)
}

async fn wanted(
    pool: &SqlitePool,
    prefix: &str,
    plan: &Plan,
) -> Result<Vec<(String, Vec<Trigger>)>, BindingError> {
    let mut wanted = Vec::new();
    for (table, columns) in plan.tables() {
        let unique = unique(pool, table).await?;
        let columns = match columns {
            Some(columns) => columns.iter().map(String::as_str).collect(),
            None => table.columns.iter().map(|it| it.name.as_str()).collect(),
        };
        let recorded = Recorded {
            prefix,
            table,
            columns,
            unique: &unique,
        };
        wanted.push((table.name.clone(), recorded.triggers()));
    }
    Ok(wanted)
}

/// The triggers of this feed that are there, with their SQL.
async fn present(
    connection: &mut SqliteConnection,
    prefix: &str,
) -> Result<BTreeMap<String, String>, BindingError> {
    let rows = sqlx::query(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' \
         AND (name = ?1 || '_bound' OR substr(name, 1, length(?1) + 4) = ?1 || '_on_')",
    )
    .bind(prefix)
    .fetch_all(connection)
    .await
    .map_err(BindingError::database(FAILED))?;
    let pair = |row: &sqlx::sqlite::SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?));
    let pairs: Result<_, sqlx::Error> = rows.iter().map(pair).collect();
    pairs.map_err(BindingError::database(FAILED))
}

/// The statements that make what is present what is wanted.
fn statements(
    prefix: &str,
    kept_rows_max: u32,
    wanted: Vec<(String, Vec<Trigger>)>,
    present: &BTreeMap<String, String>,
) -> Vec<String> {
    let (mut statements, bound) = schema::base(prefix, kept_rows_max);
    let mut triggers = vec![bound];
    triggers.extend(wanted.into_iter().flat_map(|(_, triggers)| triggers));
    for (name, sql) in present {
        let kept = triggers.iter().any(|it| it.name == *name && it.sql == *sql);
        if !kept {
            statements.push(format!("DROP TRIGGER {}", ident(name)));
        }
    }
    let missing = triggers
        .into_iter()
        .filter(|it| present.get(&it.name) != Some(&it.sql));
    statements.extend(missing.map(|trigger| trigger.sql));
    statements
}

/// What an installation in an empty database does.
pub(crate) async fn sql(
    pool: &SqlitePool,
    prefix: &str,
    plan: &Plan,
) -> Result<Vec<String>, BindingError> {
    let wanted = wanted(pool, prefix, plan).await?;
    Ok(statements(
        prefix,
        plan.kept_rows_max,
        wanted,
        &BTreeMap::new(),
    ))
}

/// Says whether the triggers are as the plan wants them.
pub(crate) async fn check(
    pool: &SqlitePool,
    prefix: &str,
    plan: &Plan,
) -> Result<(), BindingError> {
    let wanted = wanted(pool, prefix, plan).await?;
    let mut connection = pool
        .acquire()
        .await
        .map_err(BindingError::database(FAILED))?;
    let present = present(&mut connection, prefix).await?;
    for (table, triggers) in wanted {
        if triggers
            .iter()
            .all(|it| present.get(&it.name) == Some(&it.sql))
        {
            continue;
        }
        let state = match triggers.iter().any(|it| present.contains_key(&it.name)) {
            true => "installed for other columns than it has now",
            false => "not installed",
        };
        return Err(BindingError::NotInstalled { table, state });
    }
    Ok(())
}

/// Makes the database what the plan wants.
pub(crate) async fn install(
    pool: &SqlitePool,
    prefix: &str,
    plan: &Plan,
) -> Result<(), BindingError> {
    let wanted = wanted(pool, prefix, plan).await?;
    apply(pool, "install the triggers", prefix, |present| {
        statements(prefix, plan.kept_rows_max, wanted, present)
    })
    .await
}

/// Removes everything that was installed.
pub(crate) async fn remove(pool: &SqlitePool, prefix: &str) -> Result<(), BindingError> {
    apply(pool, "remove the triggers", prefix, |present| {
        let triggers = present
            .keys()
            .map(|name| format!("DROP TRIGGER {}", ident(name)));
        triggers.chain(schema::remove(prefix)).collect()
    })
    .await
}

/// Does in one transaction what is to be done about the triggers that are there.
async fn apply(
    pool: &SqlitePool,
    what: &'static str,
    prefix: &str,
    statements: impl FnOnce(&BTreeMap<String, String>) -> Vec<String>,
) -> Result<(), BindingError> {
    let mut transaction = pool
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(BindingError::database(what))?;
    let present = present(&mut transaction, prefix).await?;
    for statement in statements(&present) {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await
            .map_err(BindingError::database(what))?;
    }
    transaction
        .commit()
        .await
        .map_err(BindingError::database(what))
}
