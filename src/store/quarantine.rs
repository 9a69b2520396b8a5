//! Copies damaged files to `quarantine/`, with a report, for people.
//!
//! Invariant: the damaged file itself stays where it is.

use super::StoreError;
use super::root::Root;
use crate::format::filename::QUARANTINE;
use crate::format::id::SnapshotId;
use crate::fs::{At, exists, is_irregular, or_remove, read_from};
use std::io::ErrorKind;
use std::path::Path;

/// The longest file that is copied to `quarantine/`, in bytes. A damaged file may claim any length, and
/// its zeros must not fill the disk.
pub const QUARANTINE_BYTES_MAX: u64 = 64 << 20;

/// Copies a damaged file to `quarantine/`, with a report beside it. A file that was copied before is not
/// copied again. For a very long file, or one that is not regular, there is only the report.
///
/// # Errors
/// An error of the operating system.
pub fn quarantine(root: &Root, path: &Path, name: &str, report: &str) -> Result<(), StoreError> {
    let (copy, text) = (root.file(QUARANTINE, name), root.file(QUARANTINE, &format!("{name}.txt")));
    // The report is written last: where it is, the copy is complete.
    if exists(root.fs(), &text).at("access", &text)? {
        return Ok(());
    }
    match root.fs().open(path) {
        Err(error) if is_irregular(&error) => {}
        opened => {
            let file = opened.at("open", path)?;
            if file.stat().at("access", path)?.len <= QUARANTINE_BYTES_MAX {
                let content = read_from(&*file, 0).at("read", path)?;
                place(root, &copy, &content)?;
            }
        }
    }
    place(root, &text, report.as_bytes())
}

fn place(root: &Root, path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let tmp = root.tmp(&format!("{}.copy", SnapshotId(root.random()?)));
    let placed = root.write_whole(&tmp, content).and_then(|()| {
        match root.fs().rename_noreplace(&tmp, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(root.fs().remove(&tmp).at("remove", &tmp)?)
            }
            done => Ok(done.at("create", path)?),
        }
    });
    or_remove(placed, root.fs(), &tmp)
}
