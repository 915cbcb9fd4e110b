//! Pragmas, versions, and what an open refuses.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::sql::Sql;

/// Number n takes a file from version n to n + 1 (`PRAGMA user_version`), in one transaction of its own. Files
/// migrate forward only; a released entry is never changed.
const MIGRATIONS: &[&str] =
    &[include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// The version to which an open takes a file.
pub(super) const NEWEST: usize = MIGRATIONS.len();

/// `PRLT`, in every ledger's header (`PRAGMA application_id`).
const APPLICATION: i64 = 0x5052_4C54;

/// Set at every open. NORMAL would lose acknowledged messages at power loss. `auto_vacuum` and `application_id`
/// only take effect in a new file, and before anything else is written.
const PRAGMAS: &str = "
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA temp_store = MEMORY;
PRAGMA secure_delete = ON;
PRAGMA cache_size = -32000;
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
                "it has schema version {version}, this program knows up to {NEWEST}; run a newer parlante"
            )
        }
    }
}

pub(super) fn open(path: &Path) -> Result<Connection, SchemaError> {
    open_as(path, MIGRATIONS)
}

fn open_as(path: &Path, migrations: &[&str]) -> Result<Connection, SchemaError> {
    let mut db = Connection::open(path)?;
    db.set_prepared_statement_cache_capacity(128);
    let version = check(&db, migrations.len())?;
    db.execute_batch(PRAGMAS)?;
    for (from, migration) in migrations.iter().enumerate().skip(version) {
        let tx = db.transaction()?;
        tx.execute_batch(migration)?;
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", i64::try_from(from + 1).unwrap_or(i64::MAX))?;
        tx.commit()?;
    }
    Ok(db)
}

/// The version of the file; 0 for a new one. Only reads, so that a file that is refused stays as it is.
pub(super) fn check(db: &Connection, known: usize) -> Result<usize, SchemaError> {
    let number = |pragma: &str| -> Sql<i64> { db.query_row(pragma, [], |row| row.get(0)) };
    let is_empty: bool = db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if !is_empty && number("PRAGMA application_id")? != APPLICATION {
        return Err(SchemaError::Foreign);
    }
    let stored = number("PRAGMA user_version")?;
    let version = match usize::try_from(stored) {
        Ok(version) if version <= known => version,
        _ => return Err(SchemaError::Newer(stored)),
    };
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

pub(super) fn ledger_id(db: &Connection) -> Sql<String> {
    db.query_row("SELECT value FROM meta WHERE key = 'ledger_id'", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "CREATE TABLE message (words TEXT); INSERT INTO message VALUES ('ciao');";
    const NEXT: &str = "ALTER TABLE message ADD COLUMN language TEXT; UPDATE message SET language = 'it';";
    const LAST: &str = "ALTER TABLE message RENAME COLUMN words TO content;";

    fn version(db: &Connection) -> i64 {
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_older_file_migrates_forward_step_by_step() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("old.db");
        assert_eq!(version(&open_as(&path, &[OLD]).unwrap()), 1);
        let db = open_as(&path, &[OLD, NEXT, LAST]).unwrap();
        let row: (String, String) = db
            .query_row("SELECT content, language FROM message", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!((version(&db), row), (3, ("ciao".into(), "it".into())));
        drop(db);
        assert_eq!(version(&open_as(&path, &[OLD, NEXT, LAST]).unwrap()), 3, "and only once");
        assert!(matches!(open_as(&path, &[OLD, NEXT]), Err(SchemaError::Newer(3))), "never backward");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("old.db");
        drop(open_as(&path, &[OLD]).unwrap());
        let broken = "ALTER TABLE message ADD COLUMN half TEXT; INSERT INTO no_such_table VALUES (1);";
        assert!(open_as(&path, &[OLD, NEXT, broken]).is_err());
        let db = open_as(&path, &[OLD, NEXT]).unwrap();
        assert_eq!(version(&db), 2, "the one before the broken one holds");
        assert!(db.prepare("SELECT half FROM message").is_err(), "and nothing of the broken one");
    }

    #[test]
    fn a_new_file_gives_its_free_pages_back() {
        let place = tempfile::tempdir().unwrap();
        let db = open(&place.path().join("ledger.db")).unwrap();
        let mode: i64 = db.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, 2, "incremental");
    }
}
