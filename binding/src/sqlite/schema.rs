//! What is installed in a SQLite database, as SQL.
//!
//! Triggers write each change into one table. SQLite has one writer at a time,
//! and `AUTOINCREMENT` never gives a number twice, so the numbers are in the
//! order of commits and have no late gaps.
//!
//! - A value is recorded as the SQL literal that `quote()` makes of it: exact
//!   for every kind, and unlike JSON itself it never fails on a blob, which
//!   would break the statement of whoever writes.
//! - `INSERT OR REPLACE` and `UPDATE OR REPLACE` remove rows without a word to
//!   delete triggers (unless `recursive_triggers` is on). What a statement may
//!   remove so is put aside before it, and looked for after it.
//! - Another trigger on the same table may change the row before ours runs, and
//!   that change is recorded first. So a row is recorded as it is by now, not as
//!   the statement left it: the last change is the last word.
//! - The shell of an older SQLite has to run the triggers, too: nothing here is
//!   newer than 3.38.

use std::collections::BTreeSet;

use crate::sql::{ident, literal};
use crate::table::Table;

/// Arguments of one function, which older builds bound by 127.
const COLUMNS_IN_ONE_CALL: usize = 60;

/// The present time by the database's clock, in milliseconds since 1970.
pub(super) const NOW_MS: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";

/// One trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) name: String,
    pub(super) sql: String,
}

/// The tables, and the trigger that bounds what is kept in them.
pub(super) fn base(p: &str, kept_rows_max: u32) -> (Vec<String>, Trigger) {
    let statements = vec![
        format!(
            "CREATE TABLE IF NOT EXISTS {p}_changes (\n  \
               id INTEGER PRIMARY KEY AUTOINCREMENT,\n  bound TEXT NOT NULL,\n  \
               old TEXT,\n  new TEXT\n)"
        ),
        format!("CREATE TABLE IF NOT EXISTS {p}_stash (key, old TEXT)"),
        format!(
            "CREATE TABLE IF NOT EXISTS {p}_reader (\n  \
               one INTEGER PRIMARY KEY CHECK (one = 1),\n  epoch TEXT NOT NULL,\n  \
               position INTEGER NOT NULL DEFAULT 0,\n  lost INTEGER NOT NULL DEFAULT 0,\n  \
               holder TEXT,\n  until_ms INTEGER NOT NULL DEFAULT 0\n)"
        ),
        format!(
            "INSERT OR IGNORE INTO {p}_reader (one, epoch) VALUES (1, lower(hex(randomblob(16))))"
        ),
    ];
    let name = format!("{p}_bound");
    let sql = format!(
        "CREATE TRIGGER {name} AFTER INSERT ON {p}_changes\n\
         WHEN NEW.id > (SELECT position FROM {p}_reader) + {kept_rows_max}\nBEGIN\n  \
           UPDATE {p}_reader SET position = NEW.id - {kept_rows_max},\n    \
             lost = lost + (SELECT count(*) FROM {p}_changes WHERE id <= NEW.id - {kept_rows_max});\n  \
           DELETE FROM {p}_changes WHERE id <= NEW.id - {kept_rows_max};\nEND"
    );
    (statements, Trigger { name, sql })
}

/// What removes everything but the triggers.
pub(super) fn remove(p: &str) -> Vec<String> {
    ["changes", "stash", "reader"]
        .map(|table| format!("DROP TABLE IF EXISTS {p}_{table}"))
        .into()
}

/// What is recorded of one table.
pub(super) struct Recorded<'a> {
    pub(super) prefix: &'a str,
    pub(super) table: &'a Table,
    pub(super) columns: Vec<&'a str>,
    /// The columns of each unique index, the primary key's too.
    pub(super) unique: &'a [Vec<String>],
}

impl Recorded<'_> {
    pub(super) fn triggers(&self) -> Vec<Trigger> {
        vec![
            self.trigger("before_insert", "BEFORE INSERT", &self.put_aside(None)),
            self.trigger("after_insert", "AFTER INSERT", &self.after_insert()),
            self.trigger(
                "before_update",
                &self.update_of_unique(),
                &self.put_aside(Some("OLD")),
            ),
            self.trigger("after_update", "AFTER UPDATE", &self.after_update()),
            self.trigger("after_delete", "AFTER DELETE", &self.after_delete()),
        ]
    }

    /// Only an update of a unique column can put another row out.
    fn update_of_unique(&self) -> String {
        let columns: BTreeSet<String> = self.unique.iter().flatten().map(|it| ident(it)).collect();
        let columns: Vec<String> = columns.into_iter().collect();
        format!("BEFORE UPDATE OF {}", columns.join(", "))
    }

    fn trigger(&self, suffix: &str, when: &str, body: &[String]) -> Trigger {
        let name = format!("{}_on_{}_{suffix}", self.prefix, self.table.name);
        let body: String = body.iter().map(|line| format!("  {line};\n")).collect();
        let sql = format!(
            "CREATE TRIGGER {} {when} ON {} FOR EACH ROW BEGIN\n{body}END",
            ident(&name),
            self.table.quoted
        );
        Trigger { name, sql }
    }

    /// Puts aside the rows that the statement removes if it is `OR REPLACE`.
    fn put_aside(&self, but: Option<&str>) -> Vec<String> {
        let Self {
            prefix: p, table, ..
        } = self;
        let key = ident(&table.key);
        let clash = |columns: &Vec<String>| {
            let same = columns.iter().map(|column| {
                let column = ident(column);
                format!("t.{column} = NEW.{column}")
            });
            format!("({})", same.collect::<Vec<_>>().join(" AND "))
        };
        let clashes: Vec<String> = self.unique.iter().map(clash).collect();
        let others = but.map_or(String::new(), |row| {
            format!(" AND t.{key} IS NOT {row}.{key}")
        });
        vec![
            format!("DELETE FROM {p}_stash"),
            format!(
                "INSERT INTO {p}_stash (key, old) SELECT t.{key}, {} FROM {} AS t WHERE ({}){others}",
                self.row("t"),
                table.quoted,
                clashes.join(" OR ")
            ),
        ]
    }

    /// Records what was put aside and is gone.
    fn replaced(&self) -> String {
        let Self {
            prefix: p, table, ..
        } = self;
        let key = ident(&table.key);
        format!(
            "INSERT INTO {p}_changes (bound, old) SELECT {}, s.old FROM {p}_stash AS s \
             WHERE s.key IS NOT NEW.{key} \
             AND NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{key} = s.key)",
            literal(&table.name),
            table.quoted
        )
    }

    fn after_insert(&self) -> Vec<String> {
        let Self {
            prefix: p, table, ..
        } = self;
        vec![
            self.replaced(),
            format!(
                "INSERT INTO {p}_changes (bound, old, new) VALUES ({}, \
                 (SELECT s.old FROM {p}_stash AS s WHERE s.key IS NEW.{}), {})",
                literal(&table.name),
                ident(&table.key),
                self.row_by_now()
            ),
            format!("DELETE FROM {p}_stash"),
        ]
    }

    fn after_update(&self) -> Vec<String> {
        let Self {
            prefix: p, table, ..
        } = self;
        vec![
            self.replaced(),
            format!(
                "INSERT INTO {p}_changes (bound, old, new) VALUES ({}, {}, {})",
                literal(&table.name),
                self.row("OLD"),
                self.row_by_now()
            ),
            format!("DELETE FROM {p}_stash"),
        ]
    }

    fn after_delete(&self) -> Vec<String> {
        let Self {
            prefix: p, table, ..
        } = self;
        vec![
            format!(
                "INSERT INTO {p}_changes (bound, old) VALUES ({}, {})",
                literal(&table.name),
                self.row("OLD")
            ),
            format!(
                "DELETE FROM {p}_stash WHERE key IS OLD.{}",
                ident(&table.key)
            ),
        ]
    }

    /// The row of `NEW`; nothing if it is gone already.
    fn row_by_now(&self) -> String {
        let key = ident(&self.table.key);
        format!(
            "(SELECT {} FROM {} AS t WHERE t.{key} IS NEW.{key})",
            self.row("t"),
            self.table.quoted
        )
    }

    fn row(&self, row: &str) -> String {
        row_as_json(row, &self.columns)
    }
}

/// A row as JSON: for each column the literal of its value.
pub(super) fn row_as_json(row: &str, columns: &[&str]) -> String {
    let object = |columns: &[&str]| {
        let pairs = columns
            .iter()
            .map(|column| format!("{}, quote({row}.{})", literal(column), ident(column)));
        format!("json_object({})", pairs.collect::<Vec<_>>().join(", "))
    };
    let objects: Vec<String> = columns.chunks(COLUMNS_IN_ONE_CALL).map(object).collect();
    match objects.as_slice() {
        [one] => one.clone(),
        many => format!("json_array({})", many.join(", ")),
    }
}
