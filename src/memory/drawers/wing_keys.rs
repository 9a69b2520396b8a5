//! Tells which documents are drawers of a wing, for listings of what was written.

use super::filter::PlaceFilter;
use super::handle::Drawers;
use super::place::parts;
use crate::format::key::Key;
use crate::memory::error::Result;

/// The keys of the drawers that were filed in a wing, or are there now.
#[derive(Debug)]
pub(crate) struct WingKeys(PlaceFilter);

impl Drawers {
    /// Returns the keys of the drawers of a wing, under any of its names.
    ///
    /// # Errors
    /// [`MemoryError::Argument`](crate::memory::MemoryError::Argument), and errors of the palace.
    pub(crate) fn wing_keys(&self, wing: &str) -> Result<WingKeys> {
        Ok(WingKeys(PlaceFilter::new(Some(wing), None, self.places()?)?))
    }
}

impl WingKeys {
    /// Returns true if a drawer with this key was filed in the wing, or is there now.
    pub fn has(&self, key: &Key) -> bool {
        let now = self.0.places.moved.get(key);
        now.is_some_and(|place| self.0.has(&place.wing, &place.room))
            || parts(key).is_some_and(|(wing, room, _)| self.0.has(wing, room))
    }
}
