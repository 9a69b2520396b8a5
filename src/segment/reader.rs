//! The reading end of a segment, open or sealed.

pub use super::foreign_sync::ForeignSync;
use super::mark::{MARK_BYTES, Mark};
use super::{BLOCK_BYTES, SegmentError};
use crate::format::damage::Region;
use crate::format::header::{Header, decode_footer};
use crate::format::id::SegmentId;
use crate::format::record::{Kind, Record, RecordError, SEGMENT_BYTES_MAX, decode_commit};
use crate::format::scan::{Scan, scan};
use crate::fs::{At, File, Fs, Stat, read_between};
use bytes::Bytes;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One commit of a segment. Its body is known to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The start of its record.
    pub offset: u64,
    /// The end of its record.
    pub end: u64,
    /// The sequence number of this commit for its instance.
    pub sequence: u64,
    /// The body, for [`crate::format::record::decode_commit`].
    pub body: Bytes,
}

/// The size of the window in which the padding at a segment's end is read first, in bytes.
const WINDOW: usize = 4 << 10;

/// The size of the window if the first one does not show all new records.
const LARGER_WINDOW: usize = 20 << 10;

/// The result of reading the start of the padding.
enum Padding {
    /// Nothing was written there.
    Empty,
    /// All commits that were written there.
    Commits(Vec<Commit>),
    /// More than the window shows, or no record.
    Unclear,
}

/// Reads one segment as it grows: each [`Reader::read_new`] returns what was appended since the last.
#[derive(Debug)]
pub struct Reader {
    id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    header: Option<Header>,
    footer: Option<u64>,
    /// Every byte before is in a record that was read and is good.
    valid_upto: u64,
    /// The last bytes before `valid_upto`.
    pub(super) mark: Mark,
    /// The identity of the file, once it was asked for.
    pub(super) identity: Option<Stat>,
    /// True if the file lacks what was read from it before.
    pub(super) went_back: bool,
    /// The end of the last record or invalid region. Shared with every [`ForeignSync`] of this segment.
    end: Arc<AtomicU64>,
    /// The length of the file when it was last read: from `end` on it was zeros.
    length: u64,
    /// Every byte before is known to be on disk.
    pub(super) synced_upto: Arc<AtomicU64>,
    /// Every byte before is on disk as the owner says. Before the owner wrote that, it also found the
    /// segment in its place.
    pub(super) owner_synced_upto: u64,
    /// True once a sync of it failed in this process.
    pub(super) sync_failed: Arc<AtomicBool>,
    /// Offsets of commits that were returned although an invalid region stands before them.
    given: HashSet<u64>,
    /// The result of [`Scan::passed`] at the last read.
    passed: Option<u64>,
    regions: Vec<Region>,
    /// Records with a good checksum whose body does not decode.
    malformed: Vec<Region>,
    /// The part of the file that is too far from its start to be read.
    beyond: Option<Region>,
    /// The numbers of commits before `valid_upto`, and of all commits.
    commits_valid: u64,
    commits: u64,
    /// The lowest and the highest sequence number of its commits.
    sequences: Option<(u64, u64)>,
    finished: bool,
}

impl Reader {
    /// Starts at the beginning of an open file. Reads nothing yet.
    #[must_use]
    pub fn new(id: SegmentId, path: &Path, file: Box<dyn File>) -> Self {
        Reader {
            id,
            path: path.to_owned(),
            file: file.into(),
            header: None,
            footer: None,
            valid_upto: 0,
            mark: Mark::default(),
            identity: None,
            went_back: false,
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
            sequences: None,
            finished: false,
        }
    }

    /// Returns the commits that appeared since the last call.
    ///
    /// While there is an invalid region, every call reads from its start again: it may be a write under
    /// way. If the file lacks what was read before, nothing is returned, and [`Reader::went_back`] is true.
    ///
    /// # Errors
    /// [`SegmentError::Fs`] if the file cannot be read.
    pub fn read_new(&mut self) -> Result<Vec<Commit>, SegmentError> {
        if self.finished {
            return Ok(Vec::new());
        }
        // Behind an invalid region, the padding alone does not show all.
        let padding = if self.regions.is_empty() {
            self.read_padding()?
        } else {
            self.went_back |= !self.is_intact()?;
            Padding::Unclear
        };
        if let Padding::Commits(commits) = padding {
            return Ok(commits);
        }
        if self.went_back {
            return Ok(Vec::new());
        }
        let stat = self.file.stat().at("access", &self.path)?;
        self.identity = Some(stat);
        let length = stat.len;
        // A longer file may hold records beyond the known padding.
        let nothing = matches!(padding, Padding::Empty) && length == self.length;
        if nothing { Ok(Vec::new()) } else { self.read_tail(length) }
    }

    /// Reads records that were written into the padding at the end. The owner fills it from the front.
    /// Most often it has written nothing, or little, since the last read.
    fn read_padding(&mut self) -> Result<Padding, SegmentError> {
        match self.read_window(&mut [0; WINDOW])? {
            Padding::Unclear => self.read_window(&mut vec![0; LARGER_WINDOW]),
            found => Ok(found),
        }
    }

    fn read_window(&mut self, window: &mut [u8]) -> Result<Padding, SegmentError> {
        let start = self.valid_upto;
        if start == 0 || start >= SEGMENT_BYTES_MAX {
            return Ok(Padding::Empty);
        }
        // The same call shows whether the records that were read before are still there.
        let count = self.file.read_at(window, self.mark.start()).at("read", &self.path)?;
        let read = window.get(..count).unwrap_or_default();
        let Some((last, read)) = read.split_at_checked(MARK_BYTES) else {
            self.went_back = true;
            return Ok(Padding::Empty);
        };
        if last != self.mark.last {
            self.went_back = true;
            return Ok(Padding::Empty);
        }
        // The first byte of a record is not zero, so a zero means that nothing was written.
        if read.first().is_none_or(|first| *first == 0) {
            return Ok(Padding::Empty);
        }
        let found = scan(read, start);
        // Otherwise more records may follow, or the window cuts one off.
        let whole = found.regions.is_empty() && found.end(start) < start + read.len() as u64;
        Ok(if whole {
            Padding::Commits(self.take_all(start, read, found))
        } else {
            Padding::Unclear
        })
    }

    /// Reads a segment for the last time, when nothing is appended to it any more.
    ///
    /// # Errors
    /// [`SegmentError::Fs`] if the file cannot be read.
    pub fn read_final(&mut self) -> Result<Vec<Commit>, SegmentError> {
        if self.finished {
            return Ok(Vec::new());
        }
        let length = self.file.stat().at("access", &self.path)?.len;
        let commits = self.read_tail(length)?;
        self.finished = true;
        Ok(commits)
    }

    /// Returns the reader of the same file under its new name.
    #[must_use]
    pub fn moved_to(self, path: &Path) -> Self {
        Reader { path: path.to_owned(), ..self }
    }

    /// Reads the segment from `valid_upto` to its end, and again while a record stands behind a region
    /// that the reading before did not show.
    ///
    /// A reading copies one page after the other while the owner writes. It can show a record half
    /// written and the next one whole. The next reading shows both. Otherwise the later commit would be
    /// returned first, and a cursor that has seen it would skip the earlier one for good.
    fn read_tail(&mut self, length: u64) -> Result<Vec<Commit>, SegmentError> {
        let start = self.valid_upto;
        // The length is not trusted: a sparse file may claim a terabyte and hold nothing.
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
                return Ok(self.take_all(start, &bytes, found));
            }
        }
    }

    fn take_all(&mut self, start: u64, bytes: &[u8], found: Scan<'_>) -> Vec<Commit> {
        self.valid_upto = found.valid_upto(start);
        let new = usize::try_from(self.valid_upto.saturating_sub(start)).unwrap_or(0);
        if let Some(records) = bytes.get(..new).filter(|records| !records.is_empty()) {
            self.mark = Mark::of(self.valid_upto, records);
        }
        self.end.store(found.end(start), Ordering::Relaxed);
        let mut commits = Vec::with_capacity(found.records.len());
        // Regions before `start` were not read again, so they stay.
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
        // A commit behind an invalid region was returned at once, and is read again each time.
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
                // Decoded now, so that a malformed body is reported with its place and later uses cannot
                // fail.
                decode_commit(record.body)?;
                let (first, last) = self.sequences.unwrap_or((record.sequence, record.sequence));
                self.sequences = Some((first.min(record.sequence), last.max(record.sequence)));
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

    /// Returns a handle that syncs this segment without its reader.
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

    /// Returns true if the segment still has the name under which it was opened. To be asked after a
    /// read: if it has, every compactor will read at least as much.
    ///
    /// # Errors
    /// [`SegmentError::Fs`]: then it is unknown whether it has.
    pub fn has_name(&self, fs: &dyn Fs) -> Result<bool, SegmentError> {
        self.is_at(fs, &self.path)
    }

    /// Returns true if this file has that name.
    ///
    /// # Errors
    /// [`SegmentError::Fs`]: then it is unknown whether it has.
    pub fn is_at(&self, fs: &dyn Fs, path: &Path) -> Result<bool, SegmentError> {
        let identity = self.file.stat().at("access", &self.path)?;
        super::has_name(fs, path, &identity)
    }

    /// Returns true after [`Reader::read_final`].
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Returns the segment's id, from its name.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Returns the path under which it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the header, once read; `None` also if the header is damaged.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Returns the lowest and the highest sequence number of the commits that were read.
    #[must_use]
    pub fn sequences(&self) -> Option<(u64, u64)> {
        self.sequences
    }

    /// Returns true if the file ends with a record that is no footer, and has no padding behind it. A
    /// writer does not leave such a file, also if it is killed: the file was cut off between two records,
    /// or copied in part. A power cut or a full disk that ends a write at exactly that byte looks the same.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        let ends_with_record =
            self.length() == self.length && !self.length.is_multiple_of(BLOCK_BYTES);
        ends_with_record && self.footer.is_none() && self.regions().next().is_none()
    }

    /// Returns true if its owner sealed it, and every commit that its footer counts was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.footer == Some(self.commits) && self.regions().next().is_none()
    }

    /// Returns the offset up to which its owner vouches for it: the disk has every byte before, and every
    /// compactor reads them, whatever became of the segment. An owner writes on in a segment only after
    /// it found that what it had synced there still had its name.
    #[must_use]
    pub fn owner_synced_upto(&self) -> u64 {
        self.owner_synced_upto
    }

    /// Returns the regions that are in no record, torn or damaged, as of the last read.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().chain(&self.malformed).chain(&self.beyond)
    }

    /// Returns the damaged ones among [`Reader::regions`]: bytes that were on disk once and are not good.
    /// The header is synced before the segment gets its name, so a bad header is always damage.
    pub fn damage(&self) -> impl Iterator<Item = &Region> {
        self.regions().filter(|r| r.damaged || r.bytes.start == 0)
    }

    /// Returns the number of bytes that were read, without the padding.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }
}
