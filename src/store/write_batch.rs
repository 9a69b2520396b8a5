//! Writes one batch of commits to this instance's segment, and again to a new one if that fails.
//!
//! Invariant: commits count only in a segment that still had its name after they were written. A segment
//! is never used again after a failed write or sync: the same bytes go into a new one, once. Must not
//! know: the threads that wait for the commits (`group_commit`).

use super::StoreError;
use super::own_segments::OwnSegments;
use super::root::Root;
use super::seal::{is_full, seal_failed};
use crate::format::filename::{OPEN, SEALED, TMP};
use crate::format::header::Header;
use crate::format::id::{InstanceId, SegmentId};
use crate::fs::fs_type::{self, FileSystem};
use crate::fs::visibility::shows_writes;
use crate::fs::{At, FsError, stop};
use crate::segment::writer::Writer;
use bytes::Bytes;
use std::path::Path;

/// The number of times that a segment may lose its name during one batch. Each time costs a new segment.
/// If something removes every name, a write would make segments until the disk is full.
const LOST_AT_MOST: u32 = 8;

/// A commit that waits to be written, or to be synced.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub sequence: u64,
    pub body: Bytes,
}

/// The writer of one batch. It works without the log's lock.
pub(super) struct BatchWriter<'a> {
    pub root: &'a Root,
    pub program: &'a str,
    pub instance: InstanceId,
    pub writer: Option<Writer>,
    /// The last commit that is in a segment which had its name afterwards.
    pub written: u64,
    /// Commits since the last successful sync. A new segment must start with them.
    pub unsynced: Vec<Queued>,
    pub own: &'a OwnSegments,
    /// True if something was written, or may have been.
    pub touched: bool,
    pub sync: bool,
}

impl BatchWriter<'_> {
    /// Writes `batch`, and seals the segment before if it is full.
    pub fn write(&mut self, batch: Vec<Queued>) -> Result<(), StoreError> {
        if self.writer.as_ref().is_some_and(is_full)
            && let Err(error) = self.seal()
        {
            // The commits in it are on disk, and the next compactor will seal it.
            tracing::warn!(%error, "a full segment could not be sealed: the next compaction seals it");
        }
        let known = self.unsynced.len();
        self.touched = known > 0;
        self.unsynced.extend(batch);
        // Without commits, all there was to do was to sync what has just been sealed.
        if let Some(last) = self.unsynced.last().map(|queued| queued.sequence) {
            self.write_with_retries(if self.writer.is_some() { known } else { 0 })?;
            self.written = last;
        }
        Ok(())
    }

    /// Writes `unsynced` from index `from` on; if that does not count, writes all of it to a new segment.
    fn write_with_retries(&mut self, from: usize) -> Result<(), StoreError> {
        let mut outcome = self.try_write(from);
        let (mut failures, mut lost) = (0, 0);
        loop {
            match outcome {
                Ok(true) => return Ok(()),
                // Another process sealed the segment. That is no failure, and can happen again while this
                // process is stopped between two steps.
                Ok(false) => {
                    self.own.note_loss();
                    lost += 1;
                    if lost == LOST_AT_MOST {
                        return Err(self.name_lost_error());
                    }
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "a write to a segment failed");
                    if let Some(writer) = &self.writer {
                        self.own.abandon(writer.id());
                        self.seal_failed_at(writer.path());
                    }
                    if failures == 2 {
                        return Err(error);
                    }
                }
            }
            self.writer = None;
            outcome = self.try_write(0);
        }
    }

    fn name_lost_error(&self) -> StoreError {
        let source = std::io::Error::other(
            "each new one lost its name: another program moves files there, or this file system gives renamed \
             files a new identity; stop that program, or move the palace to a local disk",
        );
        FsError { action: "keep a segment in", path: self.root.path().join(OPEN), source }.into()
    }

    /// Moves a failed segment out of `open/`, which tells other processes that its last commits may be
    /// lost.
    fn seal_failed_at(&self, path: &Path) {
        // If that fails as well, processes that build on it still find that its flock is free.
        if let Err(error) = seal_failed(self.root, path) {
            tracing::warn!(%error, "a failed segment could not be moved to sealed/");
        }
    }

    /// Moves the segment to `sealed/`, synced and with its footer. The next commit starts a new one.
    pub fn seal(&mut self) -> Result<(), StoreError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        if !writer.is_intact()? {
            // What is not synced yet is written again with the next batch.
            self.own.note_loss();
            return Ok(());
        }
        let (id, path, bytes) = (writer.id(), writer.path().to_owned(), writer.end());
        let sealed = writer.seal(self.root.fs(), &self.root.path().join(SEALED), self.written);
        // If the name is gone, another process probably sealed it. But the whole directory may be gone.
        let sealed = sealed.map_err(StoreError::from).and_then(|()| self.root.still_there());
        sealed.inspect_err(|_| self.seal_failed_at(&path))?;
        self.own.sealed_at(id, bytes);
        // Sealing synced it, and every commit in it was found to have its name after it was written.
        self.unsynced.clear();
        Ok(())
    }

    /// Writes `unsynced` from index `from` on. Returns false if that does not count: another process
    /// sealed the segment, and a compactor may have read it before.
    fn try_write(&mut self, from: usize) -> Result<bool, StoreError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.create()?,
        };
        let items = self.unsynced.get(from..).unwrap_or_default();
        // A record behind a gap would look like damage.
        let intact = writer.ends_as_written();
        if !matches!(intact, Ok(true)) {
            self.writer = Some(writer);
            return Ok(intact?);
        }
        self.touched |= !items.is_empty();
        stop::at!("append.begun");
        let appended =
            writer.append(items.iter().map(|queued| (queued.sequence, &queued.body[..])));
        stop::at!("append.written");
        let synced = match appended {
            Ok(()) if self.sync => writer.sync(),
            done => done,
        };
        stop::at!("append.synced");
        let stands = synced.map_err(StoreError::from).and_then(|()| self.stands(&writer));
        let (id, mark) = (writer.id(), writer.mark());
        self.writer = Some(writer);
        if !stands? {
            stop::at!("append.again");
            return Ok(false);
        }
        stop::at!("append.named");
        // Only now: commits that were written after the segment lost its name are in no snapshot that
        // replaces it.
        let items = self.unsynced.get(from..).unwrap_or_default();
        if let (Some(first), Some(last)) = (items.first(), items.last()) {
            self.own.wrote(id, first.sequence..=last.sequence);
            self.own.reaches(id, mark);
        }
        if self.sync {
            self.unsynced.clear();
        }
        Ok(true)
    }

    /// Returns true if what was just written counts: it is in the file, and the file has its name in the
    /// palace that the commits build on.
    fn stands(&self, writer: &Writer) -> Result<bool, StoreError> {
        if !writer.is_intact()? {
            return Ok(false);
        }
        self.root.still_there()?;
        stop::at!("append.there");
        // Last: a restore between these checks leaves palace.json as it is, and takes the name.
        Ok(writer.has_name(self.root.fs())?)
    }

    fn create(&self) -> Result<Writer, StoreError> {
        let palace = self.root.ensure_created()?;
        let fs_type = self.root.fs_type()?;
        self.check_visible(fs_type)?;
        let host = self.root.fs().host();
        let segment = SegmentId(self.root.random()?);
        let header = Header {
            segment,
            instance: self.instance,
            palace,
            machine: host.machine,
            boot: host.boot,
            created_ms: self.root.fs().now_ms(),
            fs_type,
            pid: std::process::id(),
            program: self.program.to_owned(),
        };
        let (tmp, open) = (self.root.path().join(TMP), self.root.path().join(OPEN));
        self.own.add(segment, self.instance);
        let created = Writer::create(self.root.fs(), &tmp, &open, &header);
        match &created {
            Ok(writer) => self.own.named(segment, writer),
            Err(_) => self.own.abandon(segment),
        }
        Ok(created?)
    }

    /// Fails if other processes would not see what is appended to a segment here. The file systems on the
    /// list are those of the kernel, which keeps one cache for each file, so only others are tried.
    fn check_visible(&self, fs_type: u64) -> Result<(), StoreError> {
        if fs_type::lock_trusted(fs_type) {
            return Ok(());
        }
        let name = self.root.tmp(&format!("{}.try", SegmentId(self.root.random()?)));
        match shows_writes(self.root.fs(), &name.with_extension("draft"), &name) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let (path, file_system) = (self.root.path().to_owned(), FileSystem::of(fs_type));
                Err(StoreError::Invisible { path, file_system })
            }
            Err(error) => Ok(Err(error).at("try", &name)?),
        }
    }
}
