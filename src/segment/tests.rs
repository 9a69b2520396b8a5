//! A writer and a reader on one segment, on a simulated disk.

use super::SegmentError;
use super::reader::{Commit, Reader};
use super::writer::Writer;
use crate::format::filename;
use crate::format::header::Header;
use crate::format::id::{InstanceId, PalaceId, SegmentId};
use crate::format::key::Key;
use crate::format::record::{Entry, encode_commit};
use crate::fs::sim::{Call, Failure, SimDisk, SimFs};
use crate::fs::{File, Fs, LockOwner, Stat, read_from};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const ID: SegmentId = SegmentId([7; 16]);

fn path() -> PathBuf {
    Path::new("/open").join(filename::segment(ID))
}

fn writer(fs: &SimFs) -> Writer {
    let header = Header {
        segment: ID,
        instance: InstanceId([1; 16]),
        palace: PalaceId([2; 16]),
        machine: [3; 16],
        boot: [4; 16],
        created_ms: 5,
        fs_type: 0xEF53,
        pid: 6,
        program: "test".to_owned(),
    };
    for dir in ["/tmp", "/open"] {
        fs.create_dir(Path::new(dir)).unwrap();
    }
    Writer::create(fs, Path::new("/tmp"), Path::new("/open"), &header).unwrap()
}

fn reader(fs: &SimFs) -> Reader {
    Reader::new(ID, &path(), fs.open(&path()).unwrap())
}

/// Returns the body of a commit with a change of this many bytes.
fn body(bytes: usize) -> Vec<u8> {
    encode_commit(&[Entry { key: Key::new("k").unwrap(), change: vec![9; bytes] }])
}

fn sequences(commits: &[Commit]) -> Vec<u64> {
    commits.iter().map(|commit| commit.sequence).collect()
}

#[test]
fn padding_is_filled_without_a_new_length() {
    let fs = SimDisk::new(1).process();
    let mut writer = writer(&fs);
    let bytes = || read_from(&*fs.open(&path()).unwrap(), 0).unwrap();
    let (mut lengths, mut sequence) = (vec![bytes().len()], 0);
    while writer.end() < 300 << 10 {
        sequence += 1;
        writer.append([(sequence, &body(700)[..])]).unwrap();
        let bytes = bytes();
        assert!(bytes[writer.end() as usize..].iter().all(|byte| *byte == 0));
        lengths.push(bytes.len());
    }
    assert!(lengths.iter().all(|length| length % 4096 == 0), "{lengths:?}");
    lengths.dedup();
    let last = lengths.last().unwrap();
    assert!(lengths.len() < 12, "{lengths:?}: most writes fit into the room");
    assert!(*last as u64 <= writer.end() + (68 << 10), "{lengths:?}: no more than is needed soon");
    assert!(lengths[0] <= 4096, "{lengths:?}: a segment with little in it is short");
}

#[test]
fn reader_returns_each_commit_once_at_any_size() {
    let fs = SimDisk::new(1).process();
    let (mut writer, mut reader) = (writer(&fs), reader(&fs));
    let sizes = [10, 700, 3_900, 4_000, 4_100, 5_000, 20_000, 70_000, 1, 0, 200_000];
    let mut sequence = 0;
    for batch in [1, 2, 7, 1, 30, 3] {
        for (n, size) in sizes.iter().enumerate() {
            let bodies: Vec<_> = (0..batch).map(|m| body(size / (1 + (n + m) % 3))).collect();
            let first = sequence + 1;
            writer.append((first..).zip(bodies.iter().map(Vec::as_slice))).unwrap();
            sequence += batch as u64;
            let found = reader.read_new().unwrap();
            assert_eq!(sequences(&found), (first..=sequence).collect::<Vec<_>>());
            assert!(found.iter().zip(&bodies).all(|(found, body)| found.body == body[..]));
            assert_eq!(reader.length(), writer.end());
            assert!(reader.read_new().unwrap().is_empty());
        }
    }
    assert_eq!(reader.regions().count(), 0);
}

/// The file has padding for later records, so its length says nothing.
#[test]
fn foreign_sync_covers_only_what_was_read_before() {
    let fs = SimDisk::new(1).process();
    let (mut writer, mut reader) = (writer(&fs), reader(&fs));
    writer.append([(1, &body(10)[..])]).unwrap();
    let first = reader.read_new().unwrap().remove(0);
    let durability = reader.foreign_sync();
    assert!(!durability.covers(first.end));
    assert!(durability.sync_while_owned(&fs).unwrap());
    assert!(durability.covers(first.end));
    writer.append([(2, &body(10)[..])]).unwrap();
    let second = reader.read_new().unwrap().remove(0);
    assert!(!reader.foreign_sync().covers(second.end));
}

/// The file was copied here by another program, from a segment in which a power cut left a hole.
#[test]
fn record_after_a_hole_is_found_when_it_appears() {
    let fs = SimDisk::new(1).process();
    let (mut writer, mut ends) = (writer(&fs), Vec::new());
    for sequence in 1..=3 {
        writer.append([(sequence, &body(1_000)[..])]).unwrap();
        ends.push(writer.end() as usize);
    }
    let mut bytes = read_from(&*fs.open(&path()).unwrap(), 0).unwrap();
    bytes[ends[0]..ends[1]].fill(0);
    let copy = fs.create(Path::new("/copy")).unwrap();
    copy.write_at(&bytes[..ends[0] + 500], 0).unwrap();
    let mut reader = Reader::new(ID, Path::new("/copy"), fs.open(Path::new("/copy")).unwrap());
    assert_eq!(sequences(&reader.read_new().unwrap()), [1]);
    copy.write_at(&bytes[ends[0] + 500..], ends[0] as u64 + 500).unwrap();
    assert_eq!(sequences(&reader.read_new().unwrap()), [3]);
    assert_eq!(reader.regions().count(), 1);
    assert!(reader.read_new().unwrap().is_empty());
}

/// A file whose first readings show a piece as it was before the owner wrote it: a reading copies one
/// page after the other, and the owner is as fast.
#[derive(Debug)]
struct Overtaken {
    inner: Box<dyn File>,
    late: Range<u64>,
    readings: Arc<AtomicU64>,
}

impl File for Overtaken {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.inner.read_at(buffer, offset)?;
        let left = |left: u64| left.checked_sub(1);
        let covers = self.late.start < offset + count as u64 && offset < self.late.end;
        if covers && self.readings.fetch_update(Relaxed, Relaxed, left).is_ok() {
            let place = |at: u64| (at.max(offset) - offset).min(count as u64) as usize;
            buffer[place(self.late.start)..place(self.late.end)].fill(0);
        }
        Ok(count)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.inner.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
    fn stat(&self) -> io::Result<Stat> {
        self.inner.stat()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.inner.try_lock()
    }
    fn is_locked(&self) -> io::Result<bool> {
        self.inner.is_locked()
    }

    fn lock_owner(&self) -> io::Result<Option<LockOwner>> {
        self.inner.lock_owner()
    }
}

/// A cursor that has seen the later one would skip the earlier one for good.
#[test]
fn commits_read_during_writes_come_in_order() {
    // A reader that has read before reads two windows, and then all that is new.
    let cases = [(false, 0), (false, 1), (true, 0), (true, 1), (true, 2), (true, 3)];
    for (looked, readings) in cases {
        for bytes in [200, 30_000] {
            let fs = SimDisk::new(1).process();
            let mut writer = writer(&fs);
            writer.append([(1, &body(10)[..])]).unwrap();
            let start = writer.end();
            let (inner, late) = (fs.open(&path()).unwrap(), start + 100..start + bytes);
            let left = Arc::new(AtomicU64::new(0));
            let file = Overtaken { inner, late, readings: left.clone() };
            let mut reader = Reader::new(ID, &path(), Box::new(file));
            let mut found = if looked { reader.read_new().unwrap() } else { Vec::new() };
            left.store(readings, Relaxed);
            writer.append([(2, &body(bytes as usize)[..])]).unwrap();
            writer.append([(3, &body(10)[..]), (4, &body(10)[..])]).unwrap();
            found.extend(reader.read_new().unwrap());
            assert_eq!(sequences(&found), [1, 2, 3, 4], "{looked} {readings} {bytes}");
            assert_eq!(reader.regions().count(), 0);
        }
    }
}

#[test]
fn failed_look_at_a_name_is_an_error() {
    let disk = SimDisk::new(1);
    let fs = disk.process();
    let (writer, reader) = (writer(&fs), reader(&fs));
    // A reader asks for its file and for the name, a writer knows its file.
    for nth in [1, 2] {
        disk.fail_nth(Call::Stat, nth, Failure::Io);
        assert!(reader.has_name(&fs).is_err());
    }
    disk.fail_nth(Call::Stat, 1, Failure::Io);
    assert!(writer.has_name(&fs).is_err());
    assert!(reader.has_name(&fs).unwrap() && writer.has_name(&fs).unwrap());
    fs.rename(&path(), Path::new("/open/other")).unwrap();
    assert!(!reader.has_name(&fs).unwrap() && !writer.has_name(&fs).unwrap());
}

/// The end of the window may be the end of a record with another one behind it.
#[test]
fn read_returns_all_records_wherever_they_end() {
    let fs = SimDisk::new(1).process();
    let (mut writer, mut reader) = (writer(&fs), reader(&fs));
    reader.read_new().unwrap();
    writer.append([(1, &body(100)[..])]).unwrap();
    reader.read_new().unwrap();
    let before = writer.end();
    writer.append([(2, &body(4_096 - 63)[..])]).unwrap();
    assert_eq!(writer.end() - before, 4_096, "as long as the window");
    writer.append([(3, &body(10)[..])]).unwrap();
    assert_eq!(sequences(&reader.read_new().unwrap()), [2, 3]);
}

#[test]
fn sealed_segment_is_complete_once_all_commits_are_read() {
    let fs = SimDisk::new(1).process();
    let (mut writer, mut reader) = (writer(&fs), reader(&fs));
    for batch in [1..=2, 3..=5u64] {
        let bodies: Vec<_> = batch.map(|sequence| (sequence, body(10))).collect();
        writer.append(bodies.iter().map(|(sequence, body)| (*sequence, &body[..]))).unwrap();
        reader.read_new().unwrap();
    }
    assert!(!reader.is_complete(), "more may come");
    fs.create_dir(Path::new("/sealed")).unwrap();
    writer.seal(&fs, Path::new("/sealed"), 6).unwrap();
    let place = Path::new("/sealed").join(filename::segment(ID));
    assert!(!reader.has_name(&fs).unwrap());
    let mut reader = reader.moved_to(&place);
    assert!(reader.has_name(&fs).unwrap() && reader.path() == place);
    assert!(!reader.is_finished());
    assert!(reader.read_final().unwrap().is_empty());
    assert!(reader.is_finished() && reader.is_complete());

    // A copy in which one commit is damaged.
    let mut bytes = read_from(&*fs.open(&place).unwrap(), 0).unwrap();
    let middle = reader.length() as usize / 2;
    bytes[middle] ^= 0xff;
    fs.create(Path::new("/copy")).unwrap().write_at(&bytes, 0).unwrap();
    let mut copy = Reader::new(ID, Path::new("/copy"), fs.open(Path::new("/copy")).unwrap());
    assert_eq!(copy.read_final().unwrap().len(), 4);
    assert!(!copy.is_complete());
}

#[test]
fn a_write_that_is_cut_short_is_an_error() {
    let disk = SimDisk::new(1);
    let fs = disk.process();
    let mut writer = writer(&fs);
    disk.fail_nth(Call::Write, 1, Failure::Short);
    let error = writer.append([(1, &body(700)[..])]).unwrap_err();
    assert!(
        matches!(error, SegmentError::Short { written, wanted, .. } if written < wanted),
        "{error}"
    );
}

/// The owner may have let go of it because a sync failed.
#[test]
fn sync_of_a_segment_without_owner_is_not_relied_on() {
    let disk = SimDisk::new(1);
    let fs = disk.process();
    let (mut writer, mut reader) = (writer(&fs), reader(&fs));
    writer.append([(1, &body(10)[..])]).unwrap();
    let commit = reader.read_new().unwrap().remove(0);
    disk.fail_nth(Call::Open, 1, Failure::Io);
    assert!(reader.foreign_sync().sync_while_owned(&fs).is_err());
    fs.rename(&path(), Path::new("/open/other")).unwrap();
    assert!(!reader.foreign_sync().sync_while_owned(&fs).unwrap(), "there is no such name");
    fs.rename(Path::new("/open/other"), &path()).unwrap();
    drop(writer);
    assert!(!reader.foreign_sync().sync_while_owned(&fs).unwrap(), "nobody holds it");
    assert!(!reader.foreign_sync().covers(commit.end));
}

#[test]
fn segment_sealed_by_another_process_counts_as_sealed() {
    let disk = SimDisk::new(1);
    let fs = disk.process();
    let moved = writer(&fs);
    fs.create_dir(Path::new("/sealed")).unwrap();
    fs.rename(&path(), Path::new("/sealed/other")).unwrap();
    moved.seal(&fs, Path::new("/sealed"), 1).unwrap();
    assert_eq!(fs.list(Path::new("/sealed")).unwrap(), ["other"]);

    let disk = SimDisk::new(2);
    let fs = disk.process();
    let kept = writer(&fs);
    fs.create_dir(Path::new("/sealed")).unwrap();
    disk.fail_nth(Call::Rename, 1, Failure::Io);
    let error = kept.seal(&fs, Path::new("/sealed"), 1).unwrap_err();
    assert!(matches!(error, SegmentError::Fs(_)), "{error}");
}
