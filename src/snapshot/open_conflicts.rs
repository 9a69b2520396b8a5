//! Finds the documents whose views have an open conflict.
//!
//! Search needs them in a snapshot whose word index may lack readings of a conflict ([`Meta::all_readings`]).
//!
//! [`Meta::all_readings`]: super::Meta::all_readings

use super::read::bytes;
use super::{Snapshot, SnapshotError};
use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;

const VIEWS: &str = "SELECT number, view FROM views ORDER BY number";

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
    /// [`SnapshotError::Read`] if it cannot be read now. A damaged view is not always noticed: it can hide a document,
    /// which [`Snapshot::verify`] finds.
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
            if has_conflict(self.sql(bytes(columns, 1))?) {
                found.push(self.sql(columns.get(0))?);
            }
        }
        Ok(found.into())
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
