//! The names of all files in a palace, built and parsed here and nowhere else.
//!
//! ```text
//! palace.json   LOCK   CAS
//! open/<segment>.seg        sealed/<segment>.seg       snap/<snapshot>.snap
//! tmp/<random>.<any of the endings>
//! trash/<retired, ms since 1970, 13 digits>-<name>
//! quarantine/<name>         quarantine/<name>.txt
//! ```
//!
//! Sync programs rename files that they take for conflicts. A segment that is called `<segment> (Ann's
//! conflicted copy).seg` may hold more than the one that kept the name, so it counts as a segment.

use super::id::{SegmentId, SnapshotId};

/// The directory of segments that a live instance appends to.
pub const OPEN: &str = "open";
/// The directory of sealed segments, to which nothing is appended any more.
pub const SEALED: &str = "sealed";
/// The directory of snapshots.
pub const SNAP: &str = "snap";
/// The directory of superseded files.
pub const TRASH: &str = "trash";
/// The directory of files under construction, before they get their name.
pub const TMP: &str = "tmp";
/// The directory of copies of damaged files.
pub const QUARANTINE: &str = "quarantine";
/// The file that marks a directory as a palace; it names the palace and its format.
pub const MANIFEST: &str = "palace.json";
/// The lock file of compactors.
pub const LOCK: &str = "LOCK";
/// The lock file of conditional writers.
pub const CAS: &str = "CAS";

/// The directories of a palace, in the order of their creation.
pub const DIRECTORIES: [&str; 6] = [TMP, OPEN, SEALED, SNAP, TRASH, QUARANTINE];

/// Returns the file name of a segment.
#[must_use]
pub fn segment(id: SegmentId) -> String {
    format!("{id}.seg")
}

/// Parses a name that [`segment`] made.
#[must_use]
pub fn parse_segment(name: &str) -> Option<SegmentId> {
    name.strip_suffix(".seg")?.parse().ok()
}

/// The longest name of a renamed segment that is read, in bytes. Retiring and quarantine make names
/// longer.
const RENAMED_MAX: usize = 200;

/// Returns the id of the segment in a file of this name. A renamed copy, whose name goes on after the id,
/// gets an id of its own: the hash of its whole name.
#[must_use]
pub fn segment_in(name: &str) -> Option<SegmentId> {
    parse_segment(name).or_else(|| {
        // Temporary files of sync programs do not begin with an id.
        let copied = name.get(..32).is_some_and(|id| id.parse::<SegmentId>().is_ok());
        let renamed = copied && name.ends_with(".seg") && name.len() <= RENAMED_MAX;
        let id = || blake3::hash(name.as_bytes()).as_bytes().first_chunk().copied();
        renamed.then(id).flatten().map(SegmentId)
    })
}

/// Returns the file name of a snapshot.
#[must_use]
pub fn snapshot(id: SnapshotId) -> String {
    format!("{id}.snap")
}

/// Parses a name that [`snapshot`] made.
#[must_use]
pub fn parse_snapshot(name: &str) -> Option<SnapshotId> {
    name.strip_suffix(".snap")?.parse().ok()
}

/// Returns the name in `trash/` of a file that is retired at `now_ms`.
#[must_use]
pub fn trash(name: &str, now_ms: i64) -> String {
    format!("{:013}-{name}", now_ms.max(0))
}

/// Parses a name that [`trash`] made: the time of retirement, in milliseconds since 1970, and the former
/// name.
#[must_use]
pub fn parse_trash(name: &str) -> Option<(i64, &str)> {
    let (when, name) = name.split_once('-')?;
    let when = (when.len() == 13).then(|| when.parse().ok())??;
    Some((when, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_segment_has_an_id_of_its_own() {
        let id = SegmentId([7; 16]);
        assert_eq!(segment_in(&segment(id)), Some(id));
        let renamed = [
            format!("{id} (Ann's conflicted copy 2026-01-02).seg"),
            format!("{id}.sync-conflict-20260102-030405-ABCDEFG.seg"),
            format!("{id}-LAPTOP.seg"),
        ];
        let ids: std::collections::BTreeSet<_> =
            renamed.iter().map(|name| segment_in(name).unwrap()).collect();
        assert_eq!(ids.len(), renamed.len());
        assert!(!ids.contains(&id));
        let others =
            [format!(".{id}.seg.x7Zq"), format!(".syncthing.{id}.seg"), format!("{id}.seg.part")];
        let long = format!("{id}{}.seg", "x".repeat(RENAMED_MAX));
        for name in others.iter().chain([&long, &"a conflicted copy.seg".to_owned()]) {
            assert_eq!(segment_in(name), None, "{name}");
        }
    }

    #[test]
    fn file_names_round_trip_and_foreign_ones_are_rejected() {
        let (seg, snap) = (SegmentId([7; 16]), SnapshotId([8; 16]));
        assert_eq!(parse_segment(&segment(seg)), Some(seg));
        assert_eq!(parse_snapshot(&snapshot(snap)), Some(snap));
        let retired = trash("x-y.seg", 1_790_000_000_000);
        assert_eq!(parse_trash(&retired), Some((1_790_000_000_000, "x-y.seg")));
        for stranger in ["", ".seg", "x.seg", ".DS_Store", "07.seg", "a conflicted copy.seg"] {
            assert_eq!(parse_segment(stranger), None, "{stranger}");
            assert_eq!(parse_snapshot(stranger), None, "{stranger}");
            assert_eq!(parse_trash(stranger), None, "{stranger}");
        }
    }
}
