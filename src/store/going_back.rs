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
use crate::snapshot::{LoggedInstance, Snapshot, SnapshotError};
use std::io::ErrorKind;

impl Catalog {
    /// Checks that the commits of snapshots that are gone are in others, or in segments.
    pub(super) fn check_snapshots(&mut self) -> Result<(), StoreError> {
        let gone = std::mem::take(&mut self.gone);
        // One that cannot be read may have replaced them.
        if !self.unreadable.is_empty() {
            return Ok(());
        }
        for snapshot in &gone {
            match self.holds_all_of(snapshot) {
                Ok(held) => self.delta.went_back |= !held,
                Err(error) => {
                    // Asked again by the next rescan.
                    self.gone = gone;
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    fn holds_all_of(&self, gone: &Snapshot) -> Result<bool, SnapshotError> {
        let id = gone.id();
        if self.snapshots.values().any(|other| other.meta().supersedes.contains(&id)) {
            return Ok(true);
        }
        let instances = match gone.log_instances() {
            // What it held is not known. It was damaged before it went.
            Err(error) if error.is_of_the_file() => return Ok(true),
            instances => instances?,
        };
        for LoggedInstance { instance, sequences, .. } in instances {
            let last = (*instance, sequences.last());
            if !self.is_in_segments(last) && !self.is_in_snapshots(last)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_in_segments(&self, (instance, sequence): LastCommit) -> bool {
        let read = self.segments.values().any(|TrackedSegment { reader, .. }| {
            reader.header().is_some_and(|header| header.instance == instance)
                && reader
                    .sequences()
                    .is_some_and(|(first, last)| (first..=last).contains(&sequence))
        });
        let own = || self.own.with(instance, sequence);
        read || own().is_some_and(|own| !self.vanished.contains_key(&own.segment))
    }

    fn is_in_snapshots(&self, (instance, sequence): LastCommit) -> Result<bool, SnapshotError> {
        for snapshot in self.snapshots.values() {
            let row = match snapshot.log_after(instance, sequence.saturating_sub(1), 1) {
                // It may hold the commit. Damage is reported, and is no sign that files went back.
                Err(error) if error.is_of_the_file() => return Ok(true),
                row => row?,
            };
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
        let mut gone: Vec<_> =
            self.segments.extract_if(|place, _| !listing.contains_key(place)).collect();
        while let Some((place, tracked)) = gone.pop() {
            if let Err(error) = self.let_go(place, &tracked.reader, stands(&place.0)) {
                gone.push((place, tracked));
                self.segments.extend(gone);
                return Err(error);
            }
        }
        self.fold_vanished()
    }

    fn let_go(
        &mut self,
        (id, sealed): (SegmentId, bool),
        reader: &Reader,
        stands: bool,
    ) -> Result<(), StoreError> {
        let last = last_of(reader);
        match self.segments.get(&(id, !sealed)) {
            // A copy of it stands in the other directory, and is read there.
            Some(other) => {
                let held = other.reader.has_all_of(reader)? || self.is_held(last)?;
                self.delta.went_back |= !held;
            }
            None if stands => {}
            None => drop(self.vanished.insert(id, last)),
        }
        Ok(())
    }

    fn fold_vanished(&mut self) -> Result<(), StoreError> {
        let readable = self.unreadable.is_empty();
        let vanished: Vec<_> = self.vanished.iter().map(|(id, last)| (*id, *last)).collect();
        for (id, last) in vanished {
            // If it fails, the rest is left for the next rescan.
            let held = self.is_held(last)?;
            if held || readable {
                self.vanished.remove(&id);
                self.delta.folded.insert(id);
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
