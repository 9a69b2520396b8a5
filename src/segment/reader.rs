//! The reading end of a segment, live or sealed.

use super::SegmentError;
use crate::format::damage::Region;
use crate::format::header::{Header, decode_footer};
use crate::format::id::SegmentId;
use crate::format::record::{Kind, Record, RecordError, SEGMENT_BYTES_MAX, decode_commit};
use crate::format::scan::{Scan, scan};
use crate::fs::{At, File, Fs, read_between};
use bytes::Bytes;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One commit as it stands in a segment. The body is known to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Where its record starts.
    pub offset: u64,
    /// Where its record ends.
    pub end: u64,
    /// The instance's running number of this commit.
    pub sequence: u64,
    /// See [`crate::format::record::decode_commit`].
    pub body: Bytes,
}

/// How much of the room at a segment's end is looked at first.
const WINDOW: usize = 4 << 10;

/// And how much if that does not show everything that was written into it.
const LARGER_WINDOW: usize = 20 << 10;

/// What a look at the room found.
enum Padding {
    /// Nothing was written there.
    Empty,
    /// Everything that was.
    Commits(Vec<Commit>),
    /// Something that is more than the window shows, or no record.
    Unclear,
}

/// Follows one segment: each [`Reader::read_new`] gives what was appended since.
#[derive(Debug)]
pub struct Reader {
    id: SegmentId,
    path: PathBuf,
    file: Arc<dyn File>,
    header: Option<Header>,
    footer: Option<u64>,
    /// Everything before is read and good.
    valid_upto: u64,
    /// Where the last record or invalid region ends. What others may sync knows it too.
    end: Arc<AtomicU64>,
    /// How long the file was when it was last read: from `end` on it was zeros.
    length: u64,
    /// Everything before is known to be on disk.
    synced_upto: Arc<AtomicU64>,
    /// So its owner says; before it wrote on, it also found the segment in its place.
    owner_synced_upto: u64,
    /// A sync of it failed here.
    sync_failed: Arc<AtomicBool>,
    /// Offsets of commits that were given although an invalid region stands before them.
    given: HashSet<u64>,
    /// See [`Scan::passed`], as of the last read.
    passed: Option<u64>,
    regions: Vec<Region>,
    /// Records with a good checksum whose body is not what it should be.
    malformed: Vec<Region>,
    /// What is not even looked at.
    beyond: Option<Region>,
    /// Commits before `valid_upto`, and all commits.
    commits_valid: u64,
    commits: u64,
    finished: bool,
}

impl Reader {
    /// Starts at the beginning of an open file. Nothing is read yet.
    #[must_use]
    pub fn new(id: SegmentId, path: &Path, file: Box<dyn File>) -> Self {
        Reader {
            id,
            path: path.to_owned(),
            file: file.into(),
            header: None,
            footer: None,
            valid_upto: 0,
            end: Arc::default(),
            length: 0,
            synced_upto: Arc::default(),
            owner_synced_upto: 0,
            sync_failed: Arc::default(),
            given: HashSet::new(),
            passed: None,
            regions: Vec::new(),
            malformed: Vec::new(),
            beyond: None,
            commits_valid: 0,
            commits: 0,
            finished: false,
        }
    }

    /// The commits that appeared since the last call.
    ///
    /// As long as there is an invalid region, everything from its start on is looked at again each
    /// time: it may be a write under way.
    ///
    /// # Errors
    /// [`SegmentError::Fs`] if the file cannot be read.
    pub fn read_new(&mut self) -> Result<Vec<Commit>, SegmentError> {
        if self.finished {
            return Ok(Vec::new());
        }
        let padding = if self.regions.is_empty() { self.read_padding()? } else { Padding::Unclear };
        if let Padding::Commits(commits) = padding {
            return Ok(commits);
        }
        let length = self.file.stat().at("look at", &self.path)?.len;
        let nothing = matches!(padding, Padding::Empty) && length == self.length;
        if nothing { Ok(Vec::new()) } else { self.read_tail(length) }
    }

    /// Reads what was written into the room at the end. Its owner fills it from the front; most often
    /// with nothing, or little, since the last look.
    fn read_padding(&mut self) -> Result<Padding, SegmentError> {
        match self.read_window(&mut [0; WINDOW])? {
            Padding::Unclear => self.read_window(&mut vec![0; LARGER_WINDOW]),
            found => Ok(found),
        }
    }

    fn read_window(&mut self, window: &mut [u8]) -> Result<Padding, SegmentError> {
        let start = self.valid_upto;
        if start >= self.length.min(SEGMENT_BYTES_MAX) {
            return Ok(Padding::Empty);
        }
        let count = self.file.read_at(window, start).at("read", &self.path)?;
        let read = window.get(..count).unwrap_or_default();
        if read.first().is_none_or(|first| *first == 0) {
            return Ok(Padding::Empty);
        }
        let found = scan(read, start);
        // Otherwise more may follow, or the window cuts a record off.
        let whole = found.regions.is_empty() && found.end(start) < start + count as u64;
        Ok(if whole { Padding::Commits(self.take_all(start, found)) } else { Padding::Unclear })
    }

    /// The last look at a segment that nobody appends to any more.
    ///
    /// # Errors
    /// [`SegmentError::Fs`] if the file cannot be read.
    pub fn read_final(&mut self) -> Result<Vec<Commit>, SegmentError> {
        if self.finished {
            return Ok(Vec::new());
        }
        let length = self.file.stat().at("look at", &self.path)?.len;
        let commits = self.read_tail(length)?;
        self.finished = true;
        Ok(commits)
    }

    /// The same file, under a new name.
    #[must_use]
    pub fn moved_to(self, path: &Path) -> Self {
        Reader { path: path.to_owned(), ..self }
    }

    /// Reads again as long as a record stands behind a region that the reading before did not show.
    ///
    /// A reading takes one page after the other while the owner writes: it can show a record half written
    /// and the next one whole. The next reading shows both. Otherwise the later commit would be given
    /// first, and a cursor that has seen it would pass the earlier one for good.
    fn read_tail(&mut self, length: u64) -> Result<Vec<Commit>, SegmentError> {
        let start = self.valid_upto;
        // Its length is somebody's word: a file may say that it has a terabyte, and have nothing.
        let end = length.min(SEGMENT_BYTES_MAX);
        loop {
            let bytes = read_between(&*self.file, start, end).at("read", &self.path)?;
            let found = scan(&bytes, start);
            let known = std::mem::replace(&mut self.passed, found.passed());
            if self.passed.is_none() || self.passed == known {
                self.beyond = (length > end).then_some(Region {
                    bytes: end..length,
                    damaged: true,
                    reason: RecordError::Beyond,
                });
                let read = start + bytes.len() as u64;
                self.length = if self.beyond.is_some() { length } else { read };
                return Ok(self.take_all(start, found));
            }
        }
    }

    fn take_all(&mut self, start: u64, found: Scan<'_>) -> Vec<Commit> {
        self.valid_upto = found.valid_upto(start);
        self.end.store(found.end(start), Ordering::Relaxed);
        let mut commits = Vec::with_capacity(found.records.len());
        self.malformed.retain(|region| region.bytes.start < start);
        for record in &found.records {
            self.owner_synced_upto = self.owner_synced_upto.max(record.synced_upto);
            match self.take(record) {
                Ok(commit) => commits.extend(commit),
                Err(reason) => {
                    let bytes = record.offset..record.end();
                    self.malformed.push(Region { bytes, damaged: true, reason });
                }
            }
        }
        self.synced_upto.fetch_max(self.owner_synced_upto, Ordering::Relaxed);
        self.regions = found.regions;
        self.commits = self.commits_valid + commits.len() as u64;
        let valid = commits.iter().filter(|c| c.end <= self.valid_upto).count();
        self.commits_valid += valid as u64;
        commits.retain(|commit| !self.given.contains(&commit.offset));
        let beyond = commits.iter().filter(|commit| commit.end > self.valid_upto);
        self.given.extend(beyond.map(|commit| commit.offset));
        commits
    }

    fn take(&mut self, record: &Record<'_>) -> Result<Option<Commit>, RecordError> {
        match record.kind {
            Kind::Header => self.header = Some(Header::decode(record.body)?),
            Kind::Footer => self.footer = Some(decode_footer(record.body)?),
            Kind::Commit => {
                decode_commit(record.body)?;
                return Ok(Some(Commit {
                    offset: record.offset,
                    end: record.end(),
                    sequence: record.sequence,
                    body: Bytes::copy_from_slice(record.body),
                }));
            }
        }
        Ok(None)
    }

    /// What it takes to put on disk what this segment holds, without this reader.
    #[must_use]
    pub fn foreign_sync(&self) -> ForeignSync {
        ForeignSync {
            path: self.path.clone(),
            file: self.file.clone(),
            end: self.end.clone(),
            synced_upto: self.synced_upto.clone(),
            sync_failed: self.sync_failed.clone(),
        }
    }

    /// Whether the segment still stands where it was found. Asked after a read: if it does, whoever
    /// folds it will read at least as much.
    ///
    /// # Errors
    /// [`SegmentError::Fs`]: a failure to look is not an answer.
    pub fn has_name(&self, fs: &dyn Fs) -> Result<bool, SegmentError> {
        self.is_at(fs, &self.path)
    }

    /// Whether this file has that name.
    ///
    /// # Errors
    /// [`SegmentError::Fs`]: a failure to look is not an answer.
    pub fn is_at(&self, fs: &dyn Fs, path: &Path) -> Result<bool, SegmentError> {
        let identity = self.file.stat().at("look at", &self.path)?;
        super::has_name(fs, path, &identity)
    }

    /// Whether its last look was taken: see [`Reader::read_final`].
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The segment's id, from its name.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Where it was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its header, once read; `None` also if the header is damaged.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Whether its owner sealed it and every commit that its footer counts was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.footer == Some(self.commits) && self.regions().next().is_none()
    }

    /// Whoever folds the segment reads everything before, and the disk has it, whatever became of the segment: its
    /// owner wrote on in it, and does so only after it found that what it had put on disk before still had its name.
    #[must_use]
    pub fn owner_synced_upto(&self) -> u64 {
        self.owner_synced_upto
    }

    /// What of it is in no record, as of the last read: torn or damaged.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().chain(&self.malformed).chain(&self.beyond)
    }

    /// The damaged ones among [`Reader::regions`]: bytes that were once on disk and are not good. The
    /// header is synced before the segment gets its name, so a bad one is always damage.
    pub fn damage(&self) -> impl Iterator<Item = &Region> {
        self.regions().filter(|r| r.damaged || r.bytes.start == 0)
    }

    /// How many bytes of it were looked at.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }
}

/// Puts somebody else's segment on disk: fdatasync works on any open file, whoever wrote it.
#[derive(Clone, Debug)]
pub struct ForeignSync {
    path: PathBuf,
    file: Arc<dyn File>,
    end: Arc<AtomicU64>,
    synced_upto: Arc<AtomicU64>,
    sync_failed: Arc<AtomicBool>,
}

impl ForeignSync {
    /// Where the segment was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a sync of it failed here.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Relaxed)
    }

    /// Whether every byte before `upto` is known to be on disk.
    #[must_use]
    pub fn covers(&self, upto: u64) -> bool {
        self.synced_upto() >= upto
    }

    /// Every byte before is known to be on disk.
    #[must_use]
    pub fn synced_upto(&self) -> u64 {
        self.synced_upto.load(Ordering::Relaxed)
    }

    /// Asks the system to put on disk whatever the file holds now.
    ///
    /// # Errors
    /// [`SegmentError::Fs`].
    pub fn sync(&self) -> Result<(), SegmentError> {
        Ok(self.file.sync().at("sync", &self.path)?)
    }

    /// Puts on disk whatever the file holds now, and says whether that can be relied upon.
    ///
    /// It can as long as the owner holds the segment. An owner whose sync failed lets go of it, and the
    /// bytes of that sync may never reach the disk: the kernel calls them clean, shows them to every
    /// reader, and tells nobody who opens the file later. For the same reason a sync that failed here is
    /// not tried again: the next one would say yes.
    ///
    /// # Errors
    /// Nothing that depends on the segment may be acknowledged then, nor after `false`.
    pub fn sync_while_owned(&self, fs: &dyn Fs) -> Result<bool, SegmentError> {
        if self.has_failed() {
            return Ok(false);
        }
        // Not the length of the file: there may be room in it, for what is written after the sync.
        let read = self.end.load(Ordering::Relaxed);
        self.sync().inspect_err(|_| self.sync_failed.store(true, Ordering::Relaxed))?;
        // Nobody but the owner ever takes this lock.
        let owned = match fs.open(&self.path) {
            Ok(file) => file.is_locked().at("ask for the lock of", &self.path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => Err(error).at("open", &self.path)?,
        };
        if owned {
            self.synced_upto.fetch_max(read, Ordering::Relaxed);
        }
        Ok(owned)
    }
}
