//! Deleting in small steps, for what is forgotten and for what has been kept long enough.

use rusqlite::{Connection, Params, params};

use crate::sqlite::sql::{Sql, cached, limit};

/// Deletes the messages that `select` names, with their steps and what was spoken; answers how many.
pub(super) fn messages(db: &Connection, select: &str, of: impl Params) -> Sql<usize> {
    let rows: Vec<i64> = cached(db, select)?.query_map(of, |row| row.get(0))?.collect::<Sql<_>>()?;
    for seq in &rows {
        cached(db, "DELETE FROM step WHERE seq = ?1")?.execute(params![seq])?;
        cached(db, "DELETE FROM audio WHERE seq = ?1")?.execute(params![seq])?;
        cached(db, "DELETE FROM message WHERE seq = ?1")?.execute(params![seq])?;
    }
    Ok(rows.len())
}

/// Goes on erasing those who were forgotten, who have nothing open any more, by up to `batch` rows of a sort; 0 when nothing of them is left.
pub(super) fn forgotten(db: &Connection, batch: usize) -> Sql<usize> {
    let rows = messages(
        db,
        "SELECT seq FROM message WHERE person IN (SELECT id FROM person WHERE forgotten = 1)
           AND ended_at IS NOT NULL LIMIT ?1",
        params![limit(batch)],
    )?;
    let lines = cached(
        db,
        "DELETE FROM history WHERE id IN (SELECT id FROM history
           WHERE person IN (SELECT id FROM person WHERE forgotten = 1) LIMIT ?1)",
    )?
    .execute(params![limit(batch)])?;
    if rows + lines > 0 {
        return Ok(rows + lines);
    }
    cached(db, "DELETE FROM person WHERE forgotten = 1")?.execute([])
}
