//! Finds the rows that may show an open conflict, without decoding each.
//!
//! Invariant: a snapshot never changes, so its rows are searched once, and the result is kept with the open snapshot.
//! Every row whose view lists a conflict is found, up to the bounds. A row that is found need not list one: the caller
//! reads it.

use super::{Snapshot, SnapshotError};

/// Most rows of one snapshot that are searched: 100,000 rows of a kilobyte take about 0.2 s.
pub const ROWS_SEARCHED_MAX: i64 = 500_000;

/// Most rows of one snapshot that are kept.
pub const ROWS_KEPT_MAX: i64 = 10_000;

/// The beginning of the list of conflicts in a view. In a JSON string its quotation marks would be escaped.
pub const CONFLICTS_BEGIN: &str = r#""conflicts":[{"path":"#;

const FIND: &str = "SELECT number FROM views \
     WHERE number <= ?1 AND instr(CAST(view AS BLOB), CAST(?2 AS BLOB)) > 0 ORDER BY number LIMIT ?3";

/// The rows of a snapshot that may show an open conflict.
#[derive(Debug)]
pub struct ConflictRows {
    /// Their numbers, in the order of their keys; at most [`ROWS_KEPT_MAX`].
    pub numbers: Vec<i64>,
    /// True if there may be more, because a bound was reached.
    pub cut: bool,
}

impl Snapshot {
    /// Returns the rows that may show an open conflict. The first call searches the rows.
    ///
    /// # Errors
    /// [`SnapshotError::Read`] if they cannot be read now.
    pub fn rows_in_conflict(&self) -> Result<&ConflictRows, SnapshotError> {
        if let Some(found) = self.in_conflict.get() {
            return Ok(found);
        }
        let connection = self.connection();
        let mut statement = self.sql(connection.prepare_cached(FIND))?;
        let wanted = (ROWS_SEARCHED_MAX, CONFLICTS_BEGIN, ROWS_KEPT_MAX);
        let numbers = self.sql(statement.query_map(wanted, |columns| columns.get(0)))?;
        let numbers: Vec<i64> = self.sql(numbers.collect())?;
        let is_full = i64::try_from(numbers.len()).is_ok_and(|kept| kept == ROWS_KEPT_MAX);
        let cut = is_full || self.count() > ROWS_SEARCHED_MAX;
        Ok(self.in_conflict.get_or_init(|| ConflictRows { numbers, cut }))
    }
}
