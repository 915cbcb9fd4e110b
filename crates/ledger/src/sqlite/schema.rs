//! Tables, pragmas, versions.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::Sql;

/// The version that this code reads and writes (`PRAGMA user_version`). Files migrate forward only.
const VERSION: i64 = 1;

/// Checked at every open. NORMAL would lose acknowledged messages at power loss.
const PRAGMAS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA temp_store = MEMORY;
PRAGMA secure_delete = ON;
PRAGMA cache_size = -32000;
";

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One row per person; alias leads to it. A person merged into another keeps only the message in progress.
CREATE TABLE person (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  phone         TEXT,
  bsuid         TEXT,
  name          TEXT,
  newest_at     INTEGER NOT NULL,
  disclosed     INTEGER NOT NULL DEFAULT 0,
  overflow_told INTEGER NOT NULL DEFAULT 0,
  merged_into   INTEGER REFERENCES person (id)
) STRICT;
CREATE INDEX person_merged ON person (merged_into) WHERE merged_into IS NOT NULL;
CREATE TABLE alias (alias TEXT PRIMARY KEY, person INTEGER NOT NULL REFERENCES person (id)) STRICT, WITHOUT ROWID;

-- Every id that was taken, refused or noted.
CREATE TABLE seen (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX seen_at ON seen (at);

-- purpose: 0 disclosure, 1 overflow notice, 2 answer. due: when an open row may be taken up.
-- begun: a conversation has taken it up before. running: a conversation holds it now.
CREATE TABLE message (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id  TEXT NOT NULL,
  person      INTEGER NOT NULL REFERENCES person (id),
  number      TEXT NOT NULL,
  purpose     INTEGER NOT NULL,
  kind        TEXT NOT NULL,
  content     TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('open', 'done', 'dead', 'refused')),
  reason      TEXT,
  sent_at     INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  started_at  INTEGER,
  ended_at    INTEGER,
  due         INTEGER NOT NULL,
  begun       INTEGER NOT NULL DEFAULT 0,
  running     INTEGER NOT NULL DEFAULT 0,
  holds       INTEGER NOT NULL DEFAULT 0,
  panics      INTEGER NOT NULL DEFAULT 0,
  deaths      INTEGER NOT NULL DEFAULT 0,
  reply       TEXT
) STRICT;
CREATE INDEX message_open ON message (person, seq) WHERE state = 'open';
CREATE INDEX message_due ON message (due) WHERE state = 'open';
CREATE INDEX message_unanswered ON message (state, seq) WHERE state IN ('dead', 'refused');
CREATE INDEX message_by_id ON message (message_id);

-- One row per paid or visible step; rank: how far a send has come by its statuses.
CREATE TABLE step (
  seq               INTEGER NOT NULL REFERENCES message (seq),
  step              TEXT NOT NULL CHECK (step IN ('complete', 'send')),
  part              INTEGER NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ('intended', 'done', 'failed', 'postponed', 'unknown')),
  intended_at       INTEGER NOT NULL,
  deadline          INTEGER NOT NULL,
  settled_at        INTEGER,
  attempts          INTEGER NOT NULL DEFAULT 0,
  unknowns          INTEGER NOT NULL DEFAULT 0,
  code              TEXT,
  message_id        TEXT,
  rank              INTEGER NOT NULL DEFAULT 0,
  prompt_tokens     INTEGER,
  completion_tokens INTEGER,
  PRIMARY KEY (seq, step, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  person  INTEGER NOT NULL REFERENCES person (id),
  persona INTEGER NOT NULL,
  words   TEXT NOT NULL,
  at      INTEGER NOT NULL
) STRICT;
CREATE INDEX history_person ON history (person, id);

INSERT INTO meta (key, value) VALUES ('ledger_id', lower(hex(randomblob(8))));
";

#[derive(Debug)]
pub(super) enum SchemaError {
    Sql(rusqlite::Error),
    Damaged(String),
    Foreign,
    Newer(i64),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// What stands in the way, and the mend.
pub(super) fn explain(error: &SchemaError) -> String {
    match error {
        SchemaError::Sql(error) => match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                "the file is damaged or not a ledger; restore a backup, or move it away and start anew"
                    .to_owned()
            }
            _ => error.to_string(),
        },
        SchemaError::Foreign => {
            "the file is a database of another program, not a ledger; set LEDGER_PATH to another file"
                .to_owned()
        }
        SchemaError::Damaged(what) => {
            format!("the file is damaged ({what}); restore a backup, or move it away and start anew")
        }
        SchemaError::Newer(version) => {
            format!(
                "it has schema version {version}, this program knows up to {VERSION}; run a newer parlante"
            )
        }
    }
}

pub(super) fn open(path: &Path) -> Result<Connection, SchemaError> {
    let mut db = Connection::open(path)?;
    db.set_prepared_statement_cache_capacity(128);
    let version = check(&db)?;
    db.execute_batch(PRAGMAS)?;
    if version == 0 {
        let tx = db.transaction()?;
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "user_version", VERSION)?;
        tx.commit()?;
    }
    Ok(db)
}

/// The version of the file; 0 for a new one. Only reads, so that a file that is refused stays as it is.
fn check(db: &Connection) -> Result<i64, SchemaError> {
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        return Err(SchemaError::Newer(version));
    }
    let is_empty: bool = db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if version == 0 && !is_empty {
        return Err(SchemaError::Foreign);
    }
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(SchemaError::Damaged(found));
    }
    Ok(version)
}

pub(super) fn open_reader(path: &Path) -> Sql<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

pub(super) fn ledger_id(db: &Connection) -> Result<String, SchemaError> {
    Ok(db.query_row("SELECT value FROM meta WHERE key = 'ledger_id'", [], |row| row.get(0))?)
}
