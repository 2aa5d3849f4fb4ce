PRAGMA journal_mode = wal;
CREATE TABLE IF NOT EXISTS todo (
  id    INTEGER PRIMARY KEY,
  title TEXT    NOT NULL CHECK (title <> ''),
  done  BOOLEAN NOT NULL DEFAULT false
);
