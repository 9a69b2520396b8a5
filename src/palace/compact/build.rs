//! Folding: many inputs become one snapshot in `tmp/`, verified.
//!
//! Invariant: every row was loaded from the bytes that are stored, and held every change of every input
//! (`row`); and the file, read back, gives those bytes.

use super::inputs::{Inputs, Segment};
use super::log_rows::{log_row, stamped};
use super::merge_rows::{CHUNK, Documents, Rows};
use super::pace::Pace;
use super::row::{Incoming, digest};
use crate::format::filename;
use crate::format::id::{PalaceId, SnapshotId};
use crate::format::key::Key;
use crate::format::plural;
use crate::format::record::Entry;
use crate::fs::{At, or_remove, stop};
use crate::palace::error::{Error, Result};
use crate::palace::view::divergent;
use crate::snapshot::{Builder, LogRow, Meta, Snapshot, SnapshotError};
use crate::store::open_snapshot::open_snapshot;
use crate::store::publish;
use crate::store::root::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A finished snapshot in `tmp/`, on disk and verified.
#[derive(Debug)]
pub struct Folded {
    /// Its metadata.
    pub meta: Meta,
    /// The length of its file.
    pub bytes: u64,
}

/// A row that must be read back.
struct Expected {
    key: Key,
    digest: blake3::Hash,
}

/// Builds one snapshot in `tmp/` from the inputs, leaves out the documents in `forget`, and verifies
/// it.
pub fn fold(
    root: &Root,
    palace: PalaceId,
    inputs: &Inputs,
    forget: &BTreeSet<Key>,
    pace: Pace,
) -> Result<Folded> {
    for segment in &inputs.segments {
        // What is retired because a snapshot holds it must not have been in the page cache only:
        // others may have been promised that it is on disk.
        segment.reader.foreign_sync().sync()?;
    }
    stop::at!("fold.inputs");
    let mut supersedes: Vec<_> = inputs.snapshots.iter().map(|snapshot| snapshot.id()).collect();
    let inherited = inputs.snapshots.iter().flat_map(|snapshot| &snapshot.meta().supersedes);
    let still_there = |id: &&SnapshotId| inputs.superseded.iter().any(|s| s.id() == **id);
    supersedes.extend(inherited.filter(still_there));
    let meta = Meta {
        snapshot: SnapshotId(root.random()?),
        palace,
        created_ms: root.fs().now_ms(),
        covers: inputs.segments.iter().map(|segment| segment.reader.id()).collect(),
        supersedes,
        beside: divergent::beside(&inputs.snapshots, &inputs.live),
        // `make_row` gives the words of each row anew, also of one that it takes as it is.
        all_readings: true,
        appended: inputs.appended(),
        documents: 0,
        commits: 0,
    };
    let path = root.tmp(&filename::snapshot(meta.snapshot));
    or_remove(build_verified(root, meta, &path, inputs, forget, pace), root.fs(), &path)
}

fn build_verified(
    root: &Root,
    meta: Meta,
    path: &Path,
    inputs: &Inputs,
    forget: &BTreeSet<Key>,
    pace: Pace,
) -> Result<Folded> {
    let (meta, expected) = build(root, meta, path, inputs, forget, pace)?;
    let snapshot = open_snapshot(root, path, meta.snapshot)?;
    verify(&snapshot, &expected, pace)?;
    stop::at!("fold.verified");
    Ok(Folded { meta, bytes: snapshot.length() })
}

fn build(
    root: &Root,
    meta: Meta,
    path: &Path,
    inputs: &Inputs,
    forget: &BTreeSet<Key>,
    pace: Pace,
) -> Result<(Meta, Vec<Expected>)> {
    let (name, local) = (filename::snapshot(meta.snapshot), root.fs().local_path(path));
    let mut builder = match &local {
        Some(local) => {
            // Created here, with permissions for this user alone; SQLite fills it.
            root.fs().create(path).at("create", path)?;
            stop::at!("fold.made");
            Builder::at(local, meta)?
        }
        None => Builder::in_memory(meta)?,
    };
    let (changes, log) = take_apart(&inputs.segments);
    let expected = add_documents(&mut builder, Documents::new(inputs, changes, forget), pace)?;
    add_log(&mut builder, inputs, log, forget)?;
    stop::at!("fold.rows");
    let meta = match local {
        Some(_) => {
            let meta = builder.finish()?;
            stop::at!("fold.built");
            publish::sync_tmp(root, &name)?;
            stop::at!("fold.synced");
            meta
        }
        None => {
            let (meta, bytes) = builder.finish_bytes()?;
            root.write_whole(path, &bytes)?;
            meta
        }
    };
    Ok((meta, expected))
}

fn add_documents(
    builder: &mut Builder,
    mut documents: Documents<'_>,
    pace: Pace,
) -> Result<Vec<Expected>> {
    let mut expected = Vec::new();
    while let Some((row, text)) = documents.next()? {
        pace.give_way();
        builder.add(&row, &text)?;
        expected.push(Expected { digest: digest(&row), key: row.key });
    }
    Ok(expected)
}

/// The changes of segments by document, and what the log keeps of their commits.
fn take_apart(segments: &[Segment]) -> (BTreeMap<Key, Vec<Incoming>>, Vec<LogRow>) {
    let mut changes: BTreeMap<Key, Vec<Incoming>> = BTreeMap::new();
    let mut log = Vec::new();
    for segment in segments {
        for commit in &segment.commits {
            let stamped = stamped(&commit.body);
            log.push(log_row(segment.instance, commit.sequence, &stamped));
            for (Entry { key, change }, stamp) in stamped {
                let hash = stamp.map(|stamp| stamp.change);
                changes.entry(key).or_default().push(Incoming { bytes: change, hash });
            }
        }
    }
    (changes, log)
}

fn add_log(
    builder: &mut Builder,
    inputs: &Inputs,
    log: Vec<LogRow>,
    forget: &BTreeSet<Key>,
) -> Result<()> {
    let mut add = |mut row: LogRow| {
        row.changes.retain(|(key, _)| !forget.contains(key));
        if row.changes.is_empty() { Ok(()) } else { builder.add_log(&row) }
    };
    log.into_iter().try_for_each(&mut add)?;
    for snapshot in &inputs.snapshots {
        let (mut after, mut count) = (None, 0);
        loop {
            let rows = snapshot.log_page(after, CHUNK)?;
            let Some(last) = rows.last() else { break };
            after = Some((last.instance, last.sequence));
            count += rows.len() as u64;
            for row in rows {
                add(row)?;
            }
        }
        // Damage can hide commits of a log; nothing else would notice.
        if count != snapshot.meta().commits {
            let what = format!(
                "its log holds {count} of {}",
                plural::count(snapshot.meta().commits, "commit")
            );
            let (snapshot, key, source) = (snapshot.id(), None, None);
            return Err(SnapshotError::Damaged { snapshot, key, what, source }.into());
        }
    }
    Ok(())
}

/// Reads the new snapshot back and compares it with what was put in.
fn verify(snapshot: &Snapshot, expected: &[Expected], pace: Pace) -> Result<()> {
    let mut rows = Rows::new(snapshot);
    for Expected { key, digest: wanted } in expected {
        pace.give_way();
        let lacks = |what: &str| Error::Unverified { problem: format!("lacks {what} of {key}") };
        let row = rows.next_if(key)?.ok_or_else(|| lacks("the row"))?;
        if digest(&row) != *wanted {
            return Err(lacks("the document as it was written"));
        }
    }
    match rows.peek()? {
        None => Ok(()),
        Some(key) => Err(Error::Unverified { problem: format!("holds {key}, which no input has") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::SnapshotId;
    use crate::snapshot::{Row, Source};

    fn row(key: &str, text: &[u8], waiting: &[&[u8]]) -> Row {
        Row {
            key: Key::new(key).unwrap(),
            document: text.to_vec(),
            heads: Default::default(),
            view: String::new(),
            waiting: waiting.iter().map(|bytes| bytes.to_vec()).collect(),
            absorbed: Vec::new(),
        }
    }

    fn snapshot(rows: &[Row]) -> Snapshot {
        let meta = Meta {
            snapshot: SnapshotId([1; 16]),
            palace: PalaceId([2; 16]),
            created_ms: 0,
            covers: Vec::new(),
            supersedes: Vec::new(),
            beside: Vec::new(),
            all_readings: true,
            appended: 0,
            documents: 0,
            commits: 0,
        };
        let mut builder = Builder::in_memory(meta).unwrap();
        rows.iter().for_each(|row| builder.add(row, "").unwrap());
        let (meta, bytes) = builder.finish_bytes().unwrap();
        Snapshot::open(Source::Bytes(bytes), meta.snapshot).unwrap()
    }

    #[test]
    fn a_snapshot_that_is_not_what_was_put_in_is_not_verified() {
        let (a, b) = (row("a", b"one", &[b"raw"]), row("b", b"two", &[]));
        let expected = |row: &Row| Expected { key: row.key.clone(), digest: digest(row) };
        let wanted = [expected(&a), expected(&b)];
        let check = |rows: &[Row]| {
            verify(&snapshot(rows), &wanted, Pace::brisk()).map_err(|e| e.to_string())
        };
        check(&[a.clone(), b.clone()]).unwrap();
        let c = row("c", b"", &[]);
        for (rows, told) in [
            (vec![a.clone()], "the row of b"),
            (vec![row("a", b"one", &[]), b.clone()], "the document as it was written of a"),
            (vec![row("a", b"oneraw", &[]), b.clone()], "the document as it was written of a"),
            (vec![a.clone(), row("b", b"too", &[])], "the document as it was written of b"),
            (vec![a.clone(), b.clone(), c], "holds c, which no input has"),
        ] {
            let error = check(&rows).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
