//! Tries whether a file system shows what is written to a file that other processes have open.
//!
//! Invariant: the file goes through what a segment goes through. It is created under one name, renamed to
//! another, opened by a reader, and then written to through the first descriptor. Two descriptors of one
//! process stand for two processes: the kernel has one cache for a file, whichever process opened it. Must
//! not know: palaces.

use super::{File, Fs, or_remove};
use std::io;
use std::path::Path;

const BEFORE: &[u8] = b"before";
const AFTER: &[u8] = b"after";

/// Returns true if what is written to a renamed file is read through a descriptor that was opened before.
/// Creates the file `draft`, renames it to `name`, and removes it.
///
/// ```
/// use crdt_palace::fs::os::OsFs;
/// use crdt_palace::fs::visibility::shows_writes;
///
/// # let dir = tempfile::tempdir()?;
/// assert!(shows_writes(&OsFs, &dir.path().join("draft"), &dir.path().join("name"))?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// An error of the operating system: then it is unknown.
pub fn shows_writes(fs: &dyn Fs, draft: &Path, name: &Path) -> io::Result<bool> {
    let file = fs.create(draft)?;
    let written = write(&*file, BEFORE, 0);
    or_remove(written.and_then(|()| fs.rename(draft, name)), fs, draft)?;
    let shown = or_remove(shows(fs, &*file, name), fs, name)?;
    fs.remove(name)?;
    Ok(shown)
}

fn shows(fs: &dyn Fs, file: &dyn File, name: &Path) -> io::Result<bool> {
    let reader = fs.open(name)?;
    let mut read = [0; BEFORE.len() + AFTER.len()];
    // From here on the kernel has the page in its cache, and may not ask the file system again.
    let cached = reader.read_at(&mut read, 0)?;
    write(file, AFTER, BEFORE.len() as u64)?;
    let count = reader.read_at(&mut read, 0)?;
    let same = reader.stat()?.same_file(&file.stat()?);
    let both = [BEFORE, AFTER].concat();
    Ok(same && cached == BEFORE.len() && read.get(..count) == Some(&both[..]))
}

/// Writes a few bytes in one call. A part of them is a full disk.
///
/// # Errors
/// An error of the operating system.
pub(crate) fn write(file: &dyn File, bytes: &[u8], offset: u64) -> io::Result<()> {
    match file.write_at(bytes, offset)? == bytes.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::StorageFull.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::sim::{Call, Failure, SimDisk, SimFs};

    fn tried(fs: &SimFs) -> io::Result<bool> {
        shows_writes(fs, Path::new("/draft"), Path::new("/name"))
    }

    #[test]
    fn hidden_writes_are_found_out_and_nothing_is_left_behind() {
        let disk = SimDisk::new(1);
        let fs = disk.process();
        assert!(tried(&fs).unwrap());
        disk.hide_writes_after_renames();
        assert!(!tried(&fs).unwrap());
        assert_eq!(fs.list(Path::new("/")).unwrap(), [""; 0]);
    }

    #[test]
    fn failed_calls_are_no_answer_and_leave_nothing_behind() {
        let disk = SimDisk::new(1);
        let fs = disk.process();
        let calls = [
            (Call::Create, 1),
            (Call::Write, 1),
            (Call::Write, 2),
            (Call::Rename, 1),
            (Call::Open, 1),
            (Call::Read, 1),
            (Call::Read, 2),
            (Call::Stat, 1),
        ];
        for (call, nth) in calls {
            for failure in [Failure::Io, Failure::Short] {
                disk.fail_nth(call, nth, failure);
                assert!(tried(&fs).is_err(), "{call:?} {nth}");
                assert_eq!(fs.list(Path::new("/")).unwrap(), [""; 0], "{call:?} {nth}");
                disk.heal();
            }
        }
    }
}
