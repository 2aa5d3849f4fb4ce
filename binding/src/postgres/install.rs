//! Installs and removes the triggers in a PostgreSQL database.

use std::collections::BTreeMap;

use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::schema;
use crate::BindingError;
use crate::bound::Plan;
use crate::sql::literal;
use crate::table::{Column, Table};

const FAILED: &str = "look at the tables";

/// The tables of that name: on the search path, or with its schema in front.
const FIND: &str = "SELECT format('%I.%I', n.nspname, c.relname) AS quoted, a.attname::text, \
       upper(format_type(a.atttypid, a.atttypmod)), \
       coalesce(a.attnum = ANY (i.indkey::int2[]), false) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
     WHERE c.relkind IN ('r', 'p') AND (\
       (c.relname = $1 AND pg_table_is_visible(c.oid)) OR n.nspname || '.' || c.relname = $1) \
     ORDER BY pg_table_is_visible(c.oid) DESC, c.oid, a.attnum";

/// Reads what the database knows of a table; nothing if there is none.
pub(crate) async fn describe(pool: &PgPool, name: &str) -> Result<Option<Table>, BindingError> {
    let read = |row: &PgRow| -> Result<(String, Column), sqlx::Error> {
        let column = Column {
            name: row.try_get(1)?,
            kind: row.try_get(2)?,
            key: row.try_get(3)?,
        };
        Ok((row.try_get(0)?, column))
    };
    let rows = sqlx::query(FIND).bind(name).fetch_all(pool).await;
    let rows = rows.map_err(BindingError::database(FAILED))?;
    let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
    let rows = rows.map_err(BindingError::database(FAILED))?;
    let Some((quoted, _)) = rows.first().cloned() else {
        return Ok(None);
    };
    let columns = rows.into_iter().filter(|(of, _)| *of == quoted);
    let columns = columns.map(|(_, column)| column).collect();
    Table::new(name, quoted, columns).map(Some)
}

/// What an installation in an empty database does.
pub(crate) fn sql(schema: &str, plan: &Plan) -> Vec<String> {
    let mut statements = schema::base(schema, plan.kept_rows_max);
    for (table, columns) in plan.tables() {
        statements.extend(schema::triggers(schema, table, columns));
    }
    statements
}

/// A trigger that calls a function of ours.
struct Present {
    name: String,
    quoted_table: String,
    /// What it records, if it is whole and fires always.
    definition: Option<String>,
}

async fn present(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<Vec<Present>, BindingError> {
    let rows = sqlx::query(
        "SELECT t.tgname::text, format('%I.%I', n.nspname, c.relname), \
           CASE WHEN t.tgenabled = 'A' THEN obj_description(t.oid, 'pg_trigger') END \
         FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
         JOIN pg_namespace f ON f.oid = p.pronamespace \
         JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE f.nspname = $1 AND n.nspname <> $1 AND t.tgparentid = 0",
    )
    .bind(schema)
    .fetch_all(connection)
    .await
    .map_err(BindingError::database(FAILED))?;
    let read = |row: &PgRow| -> Result<Present, sqlx::Error> {
        Ok(Present {
            name: row.try_get(0)?,
            quoted_table: row.try_get(1)?,
            definition: row.try_get(2)?,
        })
    };
    let present: Result<_, _> = rows.iter().map(read).collect();
    present.map_err(BindingError::database(FAILED))
}

/// How many whole triggers each table has; two are wanted.
fn whole(present: &[Present], plan: &Plan) -> BTreeMap<String, usize> {
    let mut whole = BTreeMap::new();
    for (table, columns) in plan.tables() {
        let wanted = schema::definition(&table.name, columns);
        let fits = |it: &&Present| {
            it.quoted_table == table.quoted && it.definition.as_ref() == Some(&wanted)
        };
        whole.insert(table.quoted.clone(), present.iter().filter(fits).count());
    }
    whole
}

/// Says whether the triggers are as the plan wants them.
pub(crate) async fn check(pool: &PgPool, schema: &str, plan: &Plan) -> Result<(), BindingError> {
    let mut connection = pool
        .acquire()
        .await
        .map_err(BindingError::database(FAILED))?;
    let present = present(&mut connection, schema).await?;
    let whole = whole(&present, plan);
    for (table, _) in plan.tables() {
        if whole.get(&table.quoted) == Some(&2) {
            continue;
        }
        let state = match present.iter().any(|it| it.quoted_table == table.quoted) {
            true => "installed for other columns than it has now",
            false => "not installed",
        };
        return Err(BindingError::NotInstalled {
            table: table.name.clone(),
            state,
        });
    }
    Ok(())
}

/// Makes the database what the plan wants. Tables whose triggers are as they
/// should be are not locked.
pub(crate) async fn install(pool: &PgPool, schema: &str, plan: &Plan) -> Result<(), BindingError> {
    apply(pool, "install the triggers", schema, |present| {
        let whole = whole(&present, plan);
        let mut statements = schema::base(schema, plan.kept_rows_max);
        let stale = present
            .iter()
            .filter(|it| !whole.contains_key(&it.quoted_table));
        statements.extend(stale.map(|it| schema::drop_trigger(&it.name, &it.quoted_table)));
        for (table, columns) in plan.tables() {
            if whole.get(&table.quoted) != Some(&2) {
                statements.extend(schema::triggers(schema, table, columns));
            }
        }
        statements
    })
    .await
}

/// Removes everything that was installed.
pub(crate) async fn remove(pool: &PgPool, schema: &str) -> Result<(), BindingError> {
    apply(pool, "remove the triggers", schema, |_| {
        vec![schema::remove(schema)]
    })
    .await
}

/// Does in one transaction what is to be done about the triggers that are there.
async fn apply(
    pool: &PgPool,
    what: &'static str,
    schema: &str,
    statements: impl FnOnce(Vec<Present>) -> Vec<String>,
) -> Result<(), BindingError> {
    let mut transaction = pool.begin().await.map_err(BindingError::database(what))?;
    // Two that install at one time do it one after the other.
    let lock = format!(
        "SELECT pg_advisory_xact_lock(hashtext({}))",
        literal(schema)
    );
    let mut all = vec!["SET LOCAL client_min_messages = warning".to_owned(), lock];
    for statement in &all {
        execute(&mut transaction, what, statement.clone()).await?;
    }
    all = statements(present(&mut transaction, schema).await?);
    for statement in all {
        execute(&mut transaction, what, statement).await?;
    }
    transaction
        .commit()
        .await
        .map_err(BindingError::database(what))
}

async fn execute(
    connection: &mut PgConnection,
    what: &'static str,
    statement: String,
) -> Result<(), BindingError> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await;
    done.map(drop).map_err(BindingError::database(what))
}
