//! Finds the documents whose views have an open conflict.
//!
//! Search needs them in a snapshot whose word index may lack readings of a conflict ([`Meta::all_readings`]).
//!
//! [`Meta::all_readings`]: super::Meta::all_readings

use super::codec::ViewColumns;
use super::read::bytes;
use super::{Snapshot, SnapshotError};
use memchr::memmem;
use rusqlite::Row as Columns;
use serde::Deserialize;
use serde::de::IgnoredAny;

const VIEWS: &str = "SELECT k.number, k.key, v.heads, v.absorbed, v.incomplete, v.proof, v.view \
     FROM keys k CROSS JOIN views v ON v.number = k.number ORDER BY k.number";

/// Name of the member of a view that has its conflicts.
const MEMBER: &[u8] = b"\"conflicts\"";

/// The part of a view that says whether it has a conflict.
#[derive(Deserialize)]
struct Conflicts {
    #[serde(default)]
    conflicts: Vec<IgnoredAny>,
}

impl Snapshot {
    /// Returns the numbers of the documents whose views have an open conflict, in their order. The first call reads all
    /// views. The snapshot keeps the result, 8 bytes a document that is in it.
    ///
    /// # Errors
    /// [`SnapshotError::Read`] if it cannot be read now. A damaged view is no error here: it is left out, and is in
    /// [`Snapshot::met_damage`].
    pub fn numbers_in_conflict(&self) -> Result<&[i64], SnapshotError> {
        if let Some(found) = self.in_conflict.get() {
            return Ok(found);
        }
        let found = self.find_in_conflict()?;
        Ok(self.in_conflict.get_or_init(|| found))
    }

    fn find_in_conflict(&self) -> Result<Box<[i64]>, SnapshotError> {
        let connection = self.connection();
        let mut statement = self.sql(connection.prepare_cached(VIEWS))?;
        let mut rows = self.sql(statement.query([]))?;
        let mut found = Vec::new();
        while let Some(columns) = self.sql(rows.next())? {
            if self.is_whole(columns)? && has_conflict(self.sql(bytes(columns, 6))?) {
                found.push(self.sql(columns.get(0))?);
            }
        }
        Ok(found.into())
    }

    /// Checks a view from the columns of [`VIEWS`]. Notes the damage if it is not whole.
    fn is_whole(&self, columns: &Columns<'_>) -> Result<bool, SnapshotError> {
        let column = |n| self.sql(bytes(columns, n));
        let (key, proof) = (column(1)?, column(5)?);
        let stored = ViewColumns {
            number: self.sql(columns.get(0))?,
            key,
            heads: column(2)?,
            absorbed: column(3)?,
            incomplete: self.sql(columns.get(4))?,
            view: column(6)?,
        };
        if stored.check() == *proof {
            return Ok(true);
        }
        drop(self.damaged(std::str::from_utf8(key).ok(), "the check of its view does not fit"));
        Ok(false)
    }
}

/// Returns true if a view has a conflict, or is none.
fn has_conflict(view: &[u8]) -> bool {
    // Few views name the member at all, and a search of bytes is much faster than a parser.
    memmem::find(view, MEMBER).is_some()
        && serde_json::from_slice::<Conflicts>(view).map_or(true, |view| !view.conflicts.is_empty())
}

#[cfg(test)]
mod tests {
    use super::has_conflict;

    #[test]
    fn conflict_of_a_view_is_no_field_of_its_value() {
        for (view, expected) in [
            (r#"{"value":{"a":1}}"#, false),
            (r#"{"value":{"conflicts":[1]}}"#, false),
            (r#"{"value":{"a":"\"conflicts\":[1]"},"conflicts":[]}"#, false),
            (r#"{"value":{"a":1},"conflicts":[{"path":"/a"}],"modified":{}}"#, true),
            (r#"{"value":{"a":1},"conflicts" : 7}"#, true),
        ] {
            assert_eq!(has_conflict(view.as_bytes()), expected, "{view}");
        }
    }
}
