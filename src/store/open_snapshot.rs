//! Opens a snapshot of the palace, on a real disk or a simulated one.

use super::StoreError;
use super::root::Root;
use crate::format::id::SnapshotId;
use crate::fs::{At, read_from};
use crate::snapshot::{Snapshot, Source};
use std::path::Path;

/// Opens a snapshot. SQLite reads the file itself where it can, and gets its bytes where it cannot.
///
/// # Errors
/// [`StoreError::Snapshot`] if it is damaged, or an error of the operating system.
pub fn open_snapshot(root: &Root, path: &Path, id: SnapshotId) -> Result<Snapshot, StoreError> {
    if let Some(local) = root.fs().local_path(path) {
        return Ok(Snapshot::open(Source::Path(&local), id)?);
    }
    let file = root.fs().open(path).at("open", path)?;
    let bytes = read_from(&*file, 0).at("read", path)?;
    Ok(Snapshot::open(Source::Bytes(bytes), id)?)
}
