//! What is installed in a PostgreSQL database, as SQL.

use crate::sql::{ident, literal};
use crate::table::Table;

/// The first half of the keys of our advisory locks: `twpo` and `twpt`.
const ORDER_CLASS: i32 = 0x7477_706f;
const TAKER_CLASS: i32 = 0x7477_7074;

/// Transactions that one commit drops when too much is kept.
const DROPPED_AT_ONCE: u32 = 1000;

/// The settings on which the text form of values depends.
const SETTINGS: &str = "SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' \
     SET extra_float_digits = 1 SET bytea_output = 'hex' SET intervalstyle = 'iso_8601'";

/// The second half of the keys: of the feed's name (FNV-1a).
fn feed_key(schema: &str) -> i32 {
    let hash = schema.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.cast_signed()
}

/// Two integers for `pg_advisory_*lock`: who holds it takes the changes.
pub(super) fn taker_lock(schema: &str) -> String {
    format!("{TAKER_CLASS}, {}", feed_key(schema))
}

/// The tables and functions.
pub(super) fn base(s: &str, kept_rows_max: u32) -> Vec<String> {
    let mut statements = tables(s);
    statements.extend([
        this_commit(s),
        keep(s),
        record(s),
        record_truncate(s),
        drop_oldest(s),
        keep_bound(s),
        order_commit(s, kept_rows_max),
        order_trigger(s),
        // Roles that write to bound tables need no rights here: the trigger
        // functions run as who installed them.
        format!("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {s} FROM PUBLIC"),
    ]);
    statements
}

fn tables(s: &str) -> Vec<String> {
    vec![
        format!("CREATE SCHEMA IF NOT EXISTS {s}"),
        format!(
            "CREATE TABLE IF NOT EXISTS {s}.commits (\n  \
             tx bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  seq bigint UNIQUE\n)"
        ),
        format!("CREATE SEQUENCE IF NOT EXISTS {s}.commit_order"),
        format!(
            "CREATE TABLE IF NOT EXISTS {s}.changes (\n  \
             id bigint GENERATED ALWAYS AS IDENTITY,\n  tx bigint NOT NULL,\n  \
             bound text NOT NULL,\n  old text,\n  new text,\n  size bigint NOT NULL,\n  \
             PRIMARY KEY (tx, id)\n)"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {s}.reader (\n  \
             one boolean PRIMARY KEY DEFAULT true CHECK (one),\n  \
             epoch text NOT NULL DEFAULT gen_random_uuid()::text,\n  \
             seq bigint NOT NULL DEFAULT 0,\n  id bigint NOT NULL DEFAULT 0,\n  \
             lost bigint NOT NULL DEFAULT 0,\n  slack bigint NOT NULL DEFAULT 0\n)"
        ),
        format!("INSERT INTO {s}.reader DEFAULT VALUES ON CONFLICT DO NOTHING"),
    ]
}

/// The number of this transaction's row in `commits`, made at its first change.
/// A rolled back savepoint takes both the row and the setting with it.
fn this_commit(s: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {s}.this_commit() RETURNS bigint LANGUAGE plpgsql AS $towpath$\n\
DECLARE this bigint := nullif(current_setting('{s}.tx', true), '')::bigint;\n\
BEGIN\n  IF this IS NULL THEN\n    \
INSERT INTO {s}.commits DEFAULT VALUES RETURNING tx INTO this;\n    \
PERFORM set_config('{s}.tx', this::text, true);\n  END IF;\n  RETURN this;\nEND $towpath$"
    )
}

/// A row as JSON, with some of its columns or all. A column that was dropped
/// or renamed since is absent; it does not break the writer's statement.
fn keep(s: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {s}.keep(whole jsonb, columns text[]) RETURNS text\n\
LANGUAGE sql IMMUTABLE AS $towpath$\n  SELECT CASE WHEN columns IS NULL THEN whole ELSE (\n    \
SELECT jsonb_object_agg(key, value) FROM jsonb_each(whole) WHERE key = ANY (columns)\n  ) END::text\n\
$towpath$"
    )
}

/// Arguments of the triggers: the bound table's name, and the columns if they
/// are not all.
fn record(s: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {s}.record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n\
{SETTINGS}\nAS $towpath$\nDECLARE\n  columns text[] := TG_ARGV[1];\n  was text;\n  now text;\n\
BEGIN\n  IF TG_OP <> 'INSERT' THEN was := {s}.keep(to_jsonb(OLD), columns); END IF;\n  \
IF TG_OP <> 'DELETE' THEN now := {s}.keep(to_jsonb(NEW), columns); END IF;\n  \
INSERT INTO {s}.changes (tx, bound, old, new, size) VALUES ({s}.this_commit(), TG_ARGV[0], was, now,\n    \
coalesce(octet_length(was), 0) + coalesce(octet_length(now), 0));\n  RETURN NULL;\nEND $towpath$"
    )
}

fn record_truncate(s: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {s}.record_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n\
{SETTINGS}\nAS $towpath$\nDECLARE\n  columns text[] := TG_ARGV[1];\n  filled boolean;\n\
BEGIN\n  EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO filled;\n  \
IF filled THEN\n    EXECUTE format('INSERT INTO {s}.changes (tx, bound, old, size) '\n      \
'SELECT $1, $2, row, octet_length(row) FROM '\n      \
'(SELECT {s}.keep(to_jsonb(t), $3) AS row FROM %I.%I AS t OFFSET 0) AS rows', TG_TABLE_SCHEMA, TG_TABLE_NAME)\n      \
USING {s}.this_commit(), TG_ARGV[0], columns;\n  END IF;\n  RETURN NULL;\nEND $towpath$"
    )
}

/// Drops the oldest transactions' changes unpublished. Only who holds the
/// taker's lock may call it.
fn drop_oldest(s: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {s}.drop_oldest() RETURNS void LANGUAGE sql\n\
SET search_path = pg_catalog, pg_temp AS $towpath$\n  \
WITH gone AS (\n    DELETE FROM {s}.commits WHERE seq IN (\n      \
SELECT seq FROM {s}.commits WHERE seq IS NOT NULL ORDER BY seq LIMIT {DROPPED_AT_ONCE})\n    \
RETURNING tx, seq),\n  rows AS (\n    \
DELETE FROM {s}.changes AS c USING gone WHERE c.tx = gone.tx RETURNING c.id)\n  \
UPDATE {s}.reader SET seq = greatest(seq, (SELECT max(gone.seq) FROM gone)),\n    \
id = greatest(id, (SELECT max(rows.id) FROM rows)), lost = lost + (SELECT count(*) FROM rows)\n\
$towpath$"
    )
}

/// Counts what is kept, where numbers alone say too much: those of statements
/// that were rolled back are drawn, too. What the numbers say beside the truth
/// is noted, so that it is not counted again at the next commit. Only who holds
/// the taker's lock may call it.
fn keep_bound(s: &str) -> String {
    let count =
        format!("SELECT count(*) INTO there FROM (SELECT FROM {s}.changes LIMIT kept + 1) AS c");
    format!(
        "CREATE OR REPLACE FUNCTION {s}.keep_bound(kept bigint) RETURNS void LANGUAGE plpgsql\n\
SET search_path = pg_catalog, pg_temp AS $towpath$\nDECLARE there bigint;\n\
BEGIN\n  {count};\n  IF there > kept THEN\n    PERFORM {s}.drop_oldest();\n    {count};\n  END IF;\n  \
UPDATE {s}.reader SET slack = (SELECT last_value FROM {s}.changes_id_seq) - id - there;\n\
END $towpath$"
    )
}

/// Draws the number of the commit, at its end. If too much is kept and nobody
/// takes it, the oldest goes; a taker sees to it itself. Not in a transaction
/// that such a step could fail.
fn order_commit(s: &str, kept_rows_max: u32) -> String {
    let order = format!("{ORDER_CLASS}, {}", feed_key(s));
    let taker = taker_lock(s);
    format!(
        "CREATE OR REPLACE FUNCTION {s}.order_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n\
SET search_path = pg_catalog, pg_temp AS $towpath$\n\
BEGIN\n  IF {too_much}\n    AND current_setting('transaction_isolation') = 'read committed'\n    \
AND pg_try_advisory_xact_lock({taker}) THEN\n    PERFORM {s}.keep_bound({kept_rows_max});\n  END IF;\n  \
PERFORM pg_advisory_xact_lock({order});\n  \
UPDATE {s}.commits SET seq = nextval('{s}.commit_order') WHERE tx = NEW.tx;\n  \
PERFORM pg_notify('{s}', '');\n  RETURN NULL;\nEND $towpath$",
        too_much = too_much(s, kept_rows_max)
    )
}

/// Left alone if it is there: to replace it, all writers would have to wait.
fn order_trigger(s: &str) -> String {
    format!(
        "DO $towpath$ BEGIN\n  \
IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '{s}.commits'::regclass AND tgname = 'order_commit') THEN\n    \
CREATE CONSTRAINT TRIGGER order_commit AFTER INSERT ON {s}.commits\n      \
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {s}.order_commit();\n    \
ALTER TABLE {s}.commits ENABLE ALWAYS TRIGGER order_commit;\n  END IF;\nEND $towpath$"
    )
}

/// Whether more is kept than may be, about: by the numbers that were drawn.
pub(super) fn too_much(s: &str, kept_rows_max: u32) -> String {
    format!(
        "(SELECT last_value FROM {s}.changes_id_seq) - (SELECT id + slack FROM {s}.reader) > {kept_rows_max}"
    )
}

/// The triggers of one table. Their comment says what they are installed for.
pub(super) fn triggers(s: &str, table: &Table, columns: Option<&Vec<String>>) -> Vec<String> {
    let arguments = match columns {
        None => literal(&table.name),
        Some(columns) => format!("{}, {}", literal(&table.name), literal(&array(columns))),
    };
    let trigger = |name: &str, when: &str, each: &str, function: &str| {
        // Triggers fire in the order of their names: one that changes the same
        // row again comes after ours, and so does what it writes.
        let name = ident(&format!("00_{s}_{name}"));
        let on = &table.quoted;
        [
            format!("DROP TRIGGER IF EXISTS {name} ON {on}"),
            format!(
                "CREATE TRIGGER {name} {when} ON {on}\n  \
                 FOR EACH {each} EXECUTE FUNCTION {s}.{function}({arguments})"
            ),
            format!("ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}"),
            format!(
                "COMMENT ON TRIGGER {name} ON {on} IS {}",
                literal(&definition(&table.name, columns))
            ),
        ]
    };
    let row = trigger("row", "AFTER INSERT OR UPDATE OR DELETE", "ROW", "record");
    let truncate = trigger(
        "truncate",
        "BEFORE TRUNCATE",
        "STATEMENT",
        "record_truncate",
    );
    row.into_iter().chain(truncate).collect()
}

/// What triggers record, in a form to compare.
pub(super) fn definition(table: &str, columns: Option<&Vec<String>>) -> String {
    match columns {
        None => format!("towpath 1: {table}"),
        Some(columns) => format!("towpath 1: {table} {}", array(columns)),
    }
}

fn array(columns: &[String]) -> String {
    let quoted = columns.iter().map(|column| {
        let escaped = column.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    });
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

/// Removes a trigger of ours from a table of which only the quoted name is known.
pub(super) fn drop_trigger(trigger: &str, quoted_table: &str) -> String {
    format!("DROP TRIGGER {} ON {quoted_table}", ident(trigger))
}

/// Removes everything, the triggers too.
pub(super) fn remove(s: &str) -> String {
    format!("DROP SCHEMA IF EXISTS {s} CASCADE")
}
