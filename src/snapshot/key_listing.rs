//! Lists the documents of a snapshot without their content.
//!
//! Invariant: as everywhere in a snapshot, a row that is not what was written is an error. So the view is
//! read and checked too, but not decoded.

use super::codec::{Check, ViewColumns, key_of};
use super::read::bytes;
use super::{Snapshot, SnapshotError};
use crate::format::key::Key;

const LIST: &str = "SELECT k.number, k.key, v.heads, v.absorbed, v.incomplete, v.proof, v.view \
     FROM keys k CROSS JOIN views v ON v.number = k.number \
     WHERE k.number >= ?1 ORDER BY k.number LIMIT ?2";

/// A document of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// True if the row shows an empty document, as that of a deleted one does.
    pub empty: bool,
}

/// The beginning of the view of an empty document: its fields come first, and there are none.
const EMPTY: &[u8] = br#"{"value":{}"#;

impl Snapshot {
    /// Lists the documents whose keys begin with `prefix`, in the byte order of their keys: at most
    /// `limit`, after `after`. Fewer than `limit` means that there are no more. Several times cheaper
    /// than [`Snapshot::scan`].
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, SnapshotError> {
        let connection = self.connection();
        let first = self.first_of(&connection, prefix, after)?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.sql(connection.prepare_cached(LIST))?;
        let mut rows = self.sql(statement.query([first, most]))?;
        let (mut found, mut expected) = (Vec::new(), first);
        while let Some(columns) = self.sql(rows.next())? {
            let number = self.sql(columns.get(0))?;
            let column = |n| self.sql(bytes(columns, n));
            let (key, heads, absorbed, view) = (column(1)?, column(2)?, column(3)?, column(6)?);
            let (incomplete, proof): (bool, Check) =
                (self.sql(columns.get(4))?, self.sql(columns.get(5))?);
            let stored = ViewColumns { number, key, heads, absorbed, incomplete, view };
            // A gap in the numbers is a lost row.
            if number != expected || stored.check() != proof {
                let name = std::str::from_utf8(key).ok();
                return Err(self.damaged(name, "the check of its view does not fit"));
            }
            if !key.starts_with(prefix.as_bytes()) {
                return Ok(found);
            }
            found.push(Listed {
                key: self.decoded(None, key_of(key))?,
                empty: view.starts_with(EMPTY),
            });
            expected += 1;
        }
        // The table ended before the number of documents in the metadata.
        match found.len() < limit && expected <= self.count() {
            true => Err(self.damaged(None, "keys are missing")),
            false => Ok(found),
        }
    }
}
