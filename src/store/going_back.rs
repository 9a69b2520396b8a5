//! Notices that files of the palace went back to an older state: a copy was restored over them, or some were
//! deleted or cut off.
//!
//! Invariant: a commit that was known and is in no file any more is noticed by the next listing, unless a
//! snapshot cannot be read, which may hold it. A segment that moved on, and a snapshot that was superseded,
//! are no such case: the logs of the snapshots tell. Must not know: what is done about it.

use super::StoreError;
use super::own_segments::{OwnFile, OwnSegment};
use super::rescan::{Catalog, LastCommit, Listing, TrackedSegment};
use crate::format::filename::{self, OPEN, SEALED};
use crate::format::id::SegmentId;
use crate::fs::{At, is_irregular};
use crate::segment::reader::Reader;
use crate::snapshot::{Snapshot, SnapshotError};
use std::io::ErrorKind;
use std::sync::Arc;

impl Catalog {
    /// Checks that the commits of snapshots that are gone are in others, or in segments.
    pub(super) fn check_snapshots(&mut self, gone: &[Arc<Snapshot>]) -> Result<(), StoreError> {
        // One that cannot be read may have replaced them.
        if gone.is_empty() || !self.unreadable.is_empty() {
            return Ok(());
        }
        for snapshot in gone {
            let id = snapshot.id();
            if self.snapshots.values().any(|other| other.meta().supersedes.contains(&id)) {
                continue;
            }
            for last in snapshot.log_instances()? {
                let back = !self.is_in_segments(last) && !self.is_in_snapshots(last)?;
                self.delta.went_back |= back;
            }
        }
        Ok(())
    }

    fn is_in_segments(&self, (instance, sequence): LastCommit) -> bool {
        self.segments.values().any(|TrackedSegment { reader, .. }| {
            reader.header().is_some_and(|header| header.instance == instance)
                && reader
                    .sequences()
                    .is_some_and(|(first, last)| (first..=last).contains(&sequence))
        })
    }

    fn is_in_snapshots(&self, (instance, sequence): LastCommit) -> Result<bool, SnapshotError> {
        for snapshot in self.snapshots.values() {
            let row = snapshot.log_after(instance, sequence.saturating_sub(1), 1)?;
            if row.first().is_some_and(|row| row.sequence == sequence) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Checks the segments of this process, which no rescan reads. Returns those that are in neither
    /// directory.
    pub(super) fn check_own(
        &mut self,
        own: &[OwnSegment],
        listing: &Listing,
    ) -> Result<Vec<(SegmentId, Option<LastCommit>)>, StoreError> {
        let mut lost = Vec::new();
        for own in own {
            let id = own.segment;
            let places = [(OPEN, false), (SEALED, true)];
            let seen = places.map(|(name, sealed)| (name, listing.get(&(id, sealed)).copied()));
            if seen.iter().all(|(_, ino)| ino.is_none()) {
                let last = own.sequences.as_ref().map(|held| (own.instance, *held.end()));
                lost.push((id, last));
            } else if let Some(file) = &own.file {
                self.delta.went_back |= !self.own_stands(own, file, seen)?;
            }
        }
        Ok(lost)
    }

    /// Returns true if one of the files that have its name has all that counts in it.
    fn own_stands(
        &mut self,
        own: &OwnSegment,
        file: &OwnFile,
        seen: [(&str, Option<u64>); 2],
    ) -> Result<bool, StoreError> {
        let (local, mut lacking) = (self.is_local()?, false);
        let paths = seen.map(|(name, _)| self.root.file(name, &filename::segment(own.segment)));
        for ((_, ino), path) in seen.iter().zip(&paths) {
            if !local || *ino != Some(file.identity.ino) {
                continue;
            }
            if let Some(open) = file.open.upgrade() {
                return Ok(file.mark.is_in(&*open).at("read", path)?);
            }
            // Sealed, so its length tells: nothing in it changes.
            if let (Some(bytes), Ok(found)) = (own.sealed_bytes, self.root.fs().stat(path)) {
                return Ok(found.same_file(&file.identity) && found.len >= bytes);
            }
        }
        // Another file has its name. Or it has moved on since it was listed, so both places are tried.
        for path in &paths {
            match self.root.fs().open(path) {
                Ok(found) if file.mark.is_in(&*found).at("read", path)? => return Ok(true),
                Ok(_) => lacking = true,
                Err(error) if error.kind() == ErrorKind::NotFound || is_irregular(&error) => {}
                Err(error) => Err(error).at("open", path)?,
            }
        }
        Ok(!lacking)
    }

    /// Forgets retired segments. A segment in neither directory was retired if a snapshot holds it: this
    /// listing of snapshots came after. But if some snapshot cannot be read, a segment is only forgotten
    /// when another snapshot holds it. The unreadable one may be put back. `own` are segments of this
    /// process in neither directory.
    pub(super) fn forget_retired(
        &mut self,
        listing: &Listing,
        own: Vec<(SegmentId, Option<LastCommit>)>,
    ) -> Result<(), StoreError> {
        // A file may have been put back.
        let stands =
            |id: &SegmentId| [false, true].iter().any(|at| listing.contains_key(&(*id, *at)));
        self.vanished.retain(|id, _| !stands(id));
        self.vanished.extend(own);
        let gone: Vec<_> =
            self.segments.extract_if(|place, _| !listing.contains_key(place)).collect();
        for ((id, sealed), tracked) in gone {
            let last = last_of(&tracked.reader);
            match self.segments.get(&(id, !sealed)) {
                // A copy of it stands in the other directory.
                Some(other) => {
                    let held = other.reader.has_all_of(&tracked.reader)? || self.is_held(last)?;
                    self.delta.went_back |= !held;
                }
                None if stands(&id) => {}
                None => drop(self.vanished.insert(id, last)),
            }
        }
        let readable = self.unreadable.is_empty();
        for (id, last) in std::mem::take(&mut self.vanished) {
            let held = self.is_held(last)?;
            match held || readable {
                true => drop(self.delta.folded.insert(id)),
                false => drop(self.vanished.insert(id, last)),
            }
            self.delta.went_back |= readable && !held;
        }
        Ok(())
    }

    /// Returns true if other files hold all that was known of a segment. That a snapshot covers it is not
    /// enough: an older copy of it may have been compacted.
    fn is_held(&self, last: Option<LastCommit>) -> Result<bool, SnapshotError> {
        let Some(last) = last else { return Ok(true) };
        Ok(self.is_in_segments(last) || self.is_in_snapshots(last)?)
    }
}

fn last_of(reader: &Reader) -> Option<LastCommit> {
    Some((reader.header()?.instance, reader.sequences()?.1))
}
