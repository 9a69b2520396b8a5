//! Verifies a snapshot: reads everything in it and lists the damage.

use super::codec::{Check, RunningCheck};
use super::meta::hex;
use super::read::bytes;
use super::{Snapshot, SnapshotError};
use crate::format::plural;
use rusqlite::Connection;

/// The number of commits that are read at a time.
const PAGE: usize = 1000;

/// The number of problems after which the rest is not listed.
const PROBLEMS: u32 = 100;

impl Snapshot {
    /// Reads everything and lists the damage. An empty list means that all is as it was built.
    ///
    /// # Errors
    /// [`SnapshotError::Read`] if it cannot be read now: then nothing is known.
    pub fn verify(&self) -> Result<Vec<SnapshotError>, SnapshotError> {
        let mut problems = Vec::new();
        for number in 1..=self.count() {
            note(&mut problems, self.verify_document(number))?;
            // A forged number of documents must not make the list endless.
            if problems.len() >= PROBLEMS as usize {
                problems.push(self.damaged(None, "there is more of this, and it is not listed"));
                break;
            }
        }
        // Documents beyond the number in the metadata are reported once, not listed.
        note(&mut problems, self.keys().map(drop))?;
        note(&mut problems, self.verify_log())?;
        note(&mut problems, self.verify_index())?;
        note(&mut problems, self.verify_pages())?;
        Ok(problems)
    }

    /// Checks that the row of this number is whole, and that its key leads to it.
    fn verify_document(&self, number: i64) -> Result<(), SnapshotError> {
        let row = self.numbered_row(&self.connection(), number)?;
        // By its number and by its key: both paths have to lead to the same bytes.
        let found = self.get(row.key.as_str())?;
        if found.as_ref() == Some(&row) && self.contains(row.key.as_str())? {
            return Ok(());
        }
        Err(self.damaged(Some(row.key.as_str()), "its key does not lead to it"))
    }

    fn verify_log(&self) -> Result<(), SnapshotError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.log_page(after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some((last.instance, last.sequence));
            count += page.len() as u64;
        }
        if count == self.meta.commits {
            return Ok(());
        }
        let what = format!(
            "its log holds {} instead of {}",
            plural::count(count, "commit"),
            self.meta.commits
        );
        Err(self.damaged(None, &what))
    }

    fn verify_index(&self) -> Result<(), SnapshotError> {
        if hex(&self.sql(index_check(&self.connection()))?) == self.index {
            return Ok(());
        }
        Err(self.damaged(None, "its word index was changed, a search may miss documents"))
    }

    fn verify_pages(&self) -> Result<(), SnapshotError> {
        let connection = self.connection();
        let sql = format!("PRAGMA integrity_check({PROBLEMS})");
        let mut statement = self.sql(connection.prepare(&sql))?;
        let lines = self.sql(statement.query_map([], |columns| columns.get::<_, String>(0)))?;
        let lines: Vec<String> = self.sql(lines.collect())?;
        if lines == ["ok"] { Ok(()) } else { Err(self.damaged(None, &lines.join("; "))) }
    }
}

/// Notes damage, so that verification continues; fails if the machine fails.
fn note(
    problems: &mut Vec<SnapshotError>,
    result: Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    match result {
        Err(damage @ SnapshotError::Damaged { .. }) => problems.push(damage),
        other => return other,
    }
    Ok(())
}

/// Computes the check over the tables of the word index. FTS5 keeps none of its own.
pub(super) fn index_check(connection: &Connection) -> rusqlite::Result<Check> {
    let mut check = RunningCheck::new("index");
    for sql in [
        "SELECT id, block FROM words_data ORDER BY id",
        "SELECT segid || ' ' || pgno, CAST(term AS BLOB) FROM words_idx ORDER BY segid, term",
        "SELECT k, CAST(v AS BLOB) FROM words_config ORDER BY k",
    ] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(columns) = rows.next()? {
            match columns.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(id) => check.add(&id.to_le_bytes()),
                other => check.add(other.as_bytes()?),
            }
            check.add(bytes(columns, 1)?);
        }
    }
    Ok(check.finish())
}
