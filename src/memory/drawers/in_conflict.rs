//! Finds the drawers that have open conflicts.

use super::drawer::{Drawer, drawer_of};
use super::handle::Drawers;
use super::place::{DRAWERS, drawer_id};
use crate::memory::error::{MemoryError, Result};
use crate::palace::Document;

/// Drawers that are read at a time.
const SCAN: usize = 100;

impl Drawers {
    /// Returns the drawer with this key, if there is one.
    ///
    /// # Errors
    /// [`Error::Cursor`](crate::palace::Error::Cursor) if the text is no key of a drawer, and errors of the palace.
    pub(crate) fn at_key(&self, key: &str) -> Result<Option<Drawer>> {
        if !key.starts_with(DRAWERS) {
            return Err(MemoryError::cursor(key));
        }
        Ok(self.palace.get(key)?.map(drawer_of))
    }

    /// Returns drawers with open conflicts behind a key, in the order of their keys, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Cursor`](crate::palace::Error::Cursor) if `after` is no key of a drawer, and errors of the palace.
    pub(crate) fn in_conflict(&self, after: Option<&str>, limit: usize) -> Result<Vec<Drawer>> {
        let (mut found, mut after) = (Vec::new(), after.map(str::to_owned));
        loop {
            let page = self.palace.scan_page(DRAWERS, after.as_deref(), SCAN)?;
            let is_wanted =
                |one: &Document| !one.conflicts.is_empty() && drawer_id(&one.key).is_some();
            found.extend(page.documents.into_iter().filter(is_wanted).map(drawer_of));
            after = page.cursor;
            if found.len() >= limit || after.is_none() {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }
}
