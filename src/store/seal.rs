//! Sealing: when an owner's segment is full, and what compactors seal for dead or failed owners.
//!
//! Invariant: another process seals a segment only if its owner is dead for certain. Its flock is free,
//! and the flock means something, because writer and sealer are on one machine and on a file system whose
//! locks can be trusted. If that is ever wrong, nothing is lost all the same: the owner notices before it
//! acknowledges that the name is gone, and writes again elsewhere.

use super::StoreError;
use super::root::Root;
use crate::format::filename::{self, OPEN, SEALED};
use crate::format::header::Header;
use crate::format::id::SegmentId;
use crate::fs::{At, Host, exists, fs_type, is_irregular, stop};
use crate::segment::reader::Reader;
use crate::segment::writer::Writer;
use std::io::ErrorKind;
use std::path::Path;

/// The size at which a segment is sealed by its owner and followed by a new one, in bytes: 1 MiB.
pub const SEGMENT_BYTES: u64 = 1 << 20;

/// Returns true if the owner has to seal this segment before it writes on.
#[must_use]
pub fn is_full(writer: &Writer) -> bool {
    writer.end() >= SEGMENT_BYTES
}

/// The reason why a segment stays in `open/`.
///
/// ```
/// use crdt_palace::palace::Left;
/// use crdt_palace::palace::compact::CompactOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let other = Palace::open(palace.path())?;
/// other.put("a", &json!({"n": 1}))?;
/// let report = palace.compact(CompactOptions::default())?;
/// assert_eq!(report.left_open[0].reason, Left::Live); // `other` still writes it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Left {
    /// Its owner lives: it holds the segment's flock.
    Live,
    /// Another machine wrote it, so it is unknown here whether its owner lives. `--adopt` seals it.
    OtherMachine,
    /// Its flock means nothing on this file system, or meant nothing where it was written.
    LockUntrusted,
    /// Its header is damaged, so nothing is known of its owner.
    Headless,
    /// A file of its name stands in `sealed/` already, a copy. It is sealed once that one is compacted.
    Twice,
}

/// The result of [`seal_dead`].
#[derive(Clone, Debug, Default)]
pub struct Sealed {
    /// Segments moved to `sealed/`.
    pub sealed: Vec<SegmentId>,
    /// Segments left in `open/`.
    pub left: Vec<(SegmentId, Left)>,
}

/// The segments in `open/`: those that [`seal_dead`] moves, by their file names, and those that it leaves.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Segments of dead instances.
    pub dead: Vec<(SegmentId, String)>,
    /// Segments that stay.
    pub left: Vec<(SegmentId, Left)>,
}

/// Finds what [`seal_dead`] would move.
///
/// # Errors
/// An error of the operating system.
pub fn find_dead(root: &Root, adopt: bool) -> Result<Found, StoreError> {
    let (mut found, trusted) = (Found::default(), root.lock_trusted()?);
    for name in root.list(OPEN)? {
        match state_of(root, &name, trusted, adopt)? {
            Some((id, Some(reason))) => found.left.push((id, reason)),
            Some((id, None)) => found.dead.push((id, name)),
            None => {}
        }
    }
    Ok(found)
}

/// Returns the reason why a file in `open/` stays there, or no reason if its owner is dead; `None` if it is no segment, or
/// is gone.
fn state_of(
    root: &Root,
    name: &str,
    trusted: bool,
    adopt: bool,
) -> Result<Option<(SegmentId, Option<Left>)>, StoreError> {
    let Some(id) = filename::segment_in(name) else { return Ok(None) };
    let path = root.file(OPEN, name);
    let file = match root.fs().open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound || is_irregular(&error) => {
            return Ok(None);
        }
        Err(error) => Err(error).at("open", &path)?,
    };
    // Only asked for, not taken: a process that syncs the segment for a write of its own would take
    // our lock for its owner's. A segment that was let go is never locked again.
    if file.is_locked().at("check the lock of", &path)? {
        return Ok(Some((id, Some(Left::Live))));
    }
    let mut reader = Reader::new(id, &path, file);
    // For the header, which names the owner's machine and file system.
    reader.read_new()?;
    let reason = reason_to_leave(reader.header(), root.fs().host(), trusted);
    let reason = reason.filter(|_| !adopt);
    // A rename would replace that file.
    let is_twice = || exists(root.fs(), &root.file(SEALED, name)).at("access", &path);
    match reason {
        None if is_twice()? => Ok(Some((id, Some(Left::Twice)))),
        reason => Ok(Some((id, reason))),
    }
}

/// Moves the segments of dead instances from `open/` to `sealed/`. With `adopt`, also those that were
/// written on another machine or where locks cannot be trusted, unless a process here holds them.
///
/// # Errors
/// An error of the operating system; segments that were sealed before stay sealed.
pub fn seal_dead(root: &Root, adopt: bool) -> Result<Sealed, StoreError> {
    let (mut done, trusted) = (Sealed::default(), root.lock_trusted()?);
    for name in root.list(OPEN)? {
        match state_of(root, &name, trusted, adopt)? {
            Some((id, Some(reason))) => done.left.push((id, reason)),
            Some((id, None)) => done.sealed.extend(seal(root, &name)?.then_some(id)),
            None => {}
        }
    }
    Ok(done)
}

/// Moves the segment of a dead instance. Returns false if another process has moved it.
fn seal(root: &Root, name: &str) -> Result<bool, StoreError> {
    stop::at!("dead.found");
    let is_moved = rename(root, &root.file(OPEN, name), &root.file(SEALED, name))?;
    stop::at!("dead.moved");
    Ok(is_moved)
}

/// Moves a segment of this machine whose bytes the disk may have lost, because a write or a sync of it
/// failed, to `sealed/`, without a footer. The kernel does not tell a process that opens the file later;
/// its place does. What was read from it is not preserved for certain
/// ([`Catalog::preserved_upto`](super::rescan::Catalog::preserved_upto)), so processes that build on it
/// rescue it. Its owner finds the name gone and writes again elsewhere.
///
/// # Errors
/// An error of the operating system; then the segment stays where it is.
pub fn seal_failed(root: &Root, path: &Path) -> Result<(), StoreError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some((name, id)) = name.and_then(|name| Some((name, filename::segment_in(name)?))) else {
        return Ok(());
    };
    let (from, to) = (root.file(OPEN, name), root.file(SEALED, name));
    let file = match root.fs().open(&from) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error).at("open", &from)?,
    };
    let mut reader = Reader::new(id, &from, file);
    reader.read_new()?;
    // Where locks mean nothing, the owner may live and write on, so its segment stays.
    let leave = reason_to_leave(reader.header(), root.fs().host(), root.lock_trusted()?);
    if leave.is_none() && !exists(root.fs(), &to).at("access", &to)? {
        rename(root, &from, &to)?;
    }
    Ok(())
}

/// Moves a segment. Returns false if another process has moved it.
fn rename(root: &Root, from: &Path, to: &Path) -> Result<bool, StoreError> {
    match root.fs().rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        done => Ok(done.at("seal", from).map(|()| true)?),
    }
}

/// Returns true if a process of this machine wrote the segment. A segment of another machine without its
/// footer may be a copy under way. Containers often have no machine id: then the kernel's boot has to be
/// the same.
#[must_use]
pub fn is_from_this_machine(header: Option<&Header>, host: Host) -> bool {
    let same = |theirs: [u8; 16], ours: [u8; 16]| theirs == ours && ours != [0; 16];
    header.is_some_and(|header| same(header.boot, host.boot) || same(header.machine, host.machine))
}

fn reason_to_leave(header: Option<&Header>, host: Host, trusted: bool) -> Option<Left> {
    let Some(header) = header else { return Some(Left::Headless) };
    if !is_from_this_machine(Some(header), host) {
        Some(Left::OtherMachine)
    } else if !trusted || !fs_type::lock_trusted(header.fs_type) {
        Some(Left::LockUntrusted)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::{InstanceId, PalaceId};

    #[test]
    fn unknown_machine_id_is_never_this_machine() {
        let (here, elsewhere, unknown) = ([1; 16], [2; 16], [0; 16]);
        let is_from_this_machine = |machine, boot, host| {
            let header = Header {
                segment: SegmentId([3; 16]),
                instance: InstanceId([3; 16]),
                palace: PalaceId([3; 16]),
                machine,
                boot,
                created_ms: 0,
                fs_type: 0,
                pid: 0,
                program: String::new(),
            };
            is_from_this_machine(Some(&header), host)
        };
        let host = Host { machine: here, boot: here };
        assert!(
            is_from_this_machine(here, elsewhere, host)
                && is_from_this_machine(elsewhere, here, host)
        );
        assert!(
            !is_from_this_machine(elsewhere, elsewhere, host)
                && !is_from_this_machine(unknown, unknown, host)
        );
        // Two containers without a machine id, on one machine and on two.
        let container = Host { machine: unknown, boot: here };
        assert!(
            is_from_this_machine(unknown, here, container)
                && !is_from_this_machine(unknown, elsewhere, container)
        );
        assert!(!is_from_this_machine(unknown, unknown, Host::default()));
        assert!(
            !super::is_from_this_machine(None, host),
            "a segment without a header is from nowhere"
        );
    }
}
