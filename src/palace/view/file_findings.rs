//! Decides which files of a palace are damaged, cut off or missing, from what a rescan has read of them.
//!
//! Invariant: `verify`, `status`, `doctor` and the answers of a server all ask here. `verify` reads more besides: every
//! byte of the snapshots, and every document. `doctor` asks `verify`. Status and servers also tell the damage that a
//! read of their process met.

use super::finding::{Finding, Severity};
use crate::format::damage::Region;
use crate::format::filename::{self, SNAP};
use crate::format::id::InstanceId;
use crate::format::plural::count;
use crate::format::record::RecordError;
use crate::segment::reader::Reader;
use crate::snapshot::Snapshot;
use crate::store::rescan::Catalog;
use crate::store::root::Root;
use std::path::Path;
use std::sync::Arc;

/// Returns everything that is worth knowing about the files of a palace.
pub(in crate::palace) fn file_findings(root: &Root, catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    for tracked in catalog.segments() {
        check_segment(catalog, &tracked.reader, &mut found);
    }
    found.extend(missing_commits(catalog));
    for path in catalog.irregular() {
        let what = "a symbolic link, or no file at all, has the name of a segment; it is not read";
        found.push(Finding::of_file(path, None, Severity::Problem, what));
    }
    for (id, error) in catalog.unreadable() {
        let path = root.file(SNAP, &filename::snapshot(id));
        found.push(Finding::of_file(&path, None, Severity::Problem, error.to_string()));
    }
    // The catalog has no order of its own.
    found.sort_by(|a, b| (&a.path, a.offset).cmp(&(&b.path, b.offset)));
    found
}

/// Returns what is damaged, cut off or missing.
pub(in crate::palace) fn file_problems(root: &Root, catalog: &Catalog) -> Vec<Finding> {
    let mut found = file_findings(root, catalog);
    found.retain(|finding| finding.severity == Severity::Problem);
    found
}

/// Returns the damage that reads of this process met in a snapshot.
pub(in crate::palace) fn met_damage(root: &Root, snapshot: &Snapshot) -> Vec<Finding> {
    let path = root.file(SNAP, &filename::snapshot(snapshot.id()));
    let problem = |what| Finding::of_file(&path, None, Severity::Problem, what);
    snapshot.met_damage().into_iter().map(problem).collect()
}

/// Returns true if this is the beginning of a copy, under a name that a copying program gave it: it ends within its
/// header, but a segment gets its name only when its header is on disk.
pub(in crate::palace) fn is_begun_copy(reader: &Reader) -> bool {
    let name = reader.path().file_name().and_then(|name| name.to_str());
    let renamed = name.is_some_and(|name| filename::parse_segment(name).is_none());
    let cut = |region: &Region| region.bytes.start == 0 && region.reason == RecordError::Short;
    renamed && (reader.length() == 0 || reader.regions().any(cut))
}

fn check_segment(catalog: &Catalog, reader: &Reader, found: &mut Vec<Finding>) {
    let path = reader.path();
    let mut add = |offset, severity, what: String| {
        found.push(Finding::of_file(path, offset, severity, what));
    };
    if is_begun_copy(reader) {
        let what = "the beginning of a copy of a segment, renamed: nothing of it can be read";
        add(None, Severity::Note, what.to_owned());
        return;
    }
    for region in reader.regions() {
        let (start, length) = (region.bytes.start, region.bytes.end - region.bytes.start);
        let (severity, what) = match reader.damage().any(|damage| damage.bytes.start == start) {
            true => (Severity::Problem, "damage"),
            false => (Severity::Note, "a torn tail, or a write under way"),
        };
        add(Some(start), severity, format!("{what}: {}: {}", count(length, "byte"), region.reason));
    }
    if reader.length() == 0 {
        // A segment gets its name after its header is on disk.
        let what = "the segment is empty: it was cut off, or is still being copied";
        add(None, Severity::Problem, what.to_owned());
    }
    if reader.is_cut() {
        let what = "the segment ends behind a record, without the padding or the footer of its writer: it was cut off \
            there, or is still being copied, and later commits of it may be missing";
        add(Some(reader.length()), Severity::Problem, what.to_owned());
    }
    if let Some(header) = reader.header().filter(|header| header.segment != reader.id()) {
        let what = format!(
            "this segment was renamed, or is a renamed copy: its header names segment {}; it is read and compacted like \
             any other",
            header.segment
        );
        add(None, Severity::Note, what);
    }
    if let Some(palace) = catalog.foreign_palace(reader) {
        let what =
            format!("this segment belongs to palace {palace}; it is read, and never retired");
        add(None, Severity::Note, what);
    }
}

/// The commits of an instance in one segment: the first and the last number.
struct Span<'a> {
    instance: InstanceId,
    first: u64,
    last: u64,
    path: &'a Path,
}

/// Finds commits that are in no file although a later one of their process is. An instance counts its commits without a
/// gap, and begins a segment only when the one before it is whole.
fn missing_commits(catalog: &Catalog) -> Vec<Finding> {
    let mut spans: Vec<Span<'_>> =
        catalog.segments().filter_map(|tracked| span(&tracked.reader)).collect();
    spans.sort_by_key(|span| (span.instance, span.first, span.last));
    let pairs = spans.windows(2).filter_map(|pair| pair.first().zip(pair.last()));
    pairs.filter_map(|(before, span)| gap(catalog, before, span)).collect()
}

fn span(reader: &Reader) -> Option<Span<'_>> {
    let (instance, (first, last)) = (reader.header()?.instance, reader.sequences()?);
    Some(Span { instance, first, last, path: reader.path() })
}

fn gap(catalog: &Catalog, before: &Span<'_>, span: &Span<'_>) -> Option<Finding> {
    let first = before.last + 1;
    if before.instance != span.instance || span.first <= first {
        return None;
    }
    // A segment between the two may have been compacted. A snapshot that cannot be read may hold it, and is told itself.
    let held = |snapshot: &Arc<Snapshot>| {
        let log = snapshot.log_after(before.instance, before.last, 1);
        log.is_ok_and(|log| log.first().is_some_and(|row| row.sequence == first))
    };
    if catalog.unreadable().next().is_some() || catalog.all_snapshots().any(held) {
        return None;
    }
    let what = format!(
        "commits {first} to {} of its process are missing: another segment of the process goes on with commit {}, so this \
         one was cut off, or a segment between the two is gone",
        span.first - 1,
        span.first
    );
    Some(Finding::of_file(before.path, None, Severity::Problem, what))
}
