//! Finds out which palace a directory without its `palace.json` was: every segment and every snapshot names it.

use crate::format::filename::{self, OPEN, SEALED, SNAP};
use crate::format::id::PalaceId;
use crate::format::manifest::Manifest;
use crate::fs::Fs;
use crate::segment::reader::Reader;
use crate::snapshot::{Meta, Snapshot, Source};
use std::collections::BTreeMap;
use std::path::Path;

/// Returns the manifest that the files of a directory need, as its text; `None` if no file can be read, or they name
/// several palaces.
pub(crate) fn manifest_of_files(fs: &dyn Fs, path: &Path) -> Option<String> {
    let mut found = BTreeMap::new();
    for directory in [OPEN, SEALED, SNAP] {
        // What cannot be listed or read names no palace.
        for name in fs.list(&path.join(directory)).unwrap_or_default() {
            let file = path.join(directory).join(&name);
            let named = match directory {
                SNAP => of_snapshot(&file, &name),
                _ => of_segment(fs, &file, &name),
            };
            if let Some((palace, created_ms)) = named {
                let first = found.entry(palace).or_insert(created_ms);
                *first = created_ms.min(*first);
            }
        }
    }
    let (palace, created_ms) = found.pop_first().filter(|_| found.is_empty())?;
    Some(Manifest::new(palace, created_ms).encode().trim_end().to_owned())
}

fn of_segment(fs: &dyn Fs, path: &Path, name: &str) -> Option<(PalaceId, i64)> {
    // Another file may name the palace as well.
    let file = fs.open(path).ok()?;
    let mut reader = Reader::new(filename::segment_in(name)?, path, file);
    reader.read_new().ok()?;
    reader.header().map(|header| (header.palace, header.created_ms))
}

fn of_snapshot(path: &Path, name: &str) -> Option<(PalaceId, i64)> {
    let id = filename::parse_snapshot(name)?;
    let snapshot = Snapshot::open(Source::Path(path), id).ok()?;
    let Meta { palace, created_ms, .. } = snapshot.meta();
    Some((*palace, *created_ms))
}
