//! The appending end of a segment.

use super::mark::Mark;
use super::{BLOCK_BYTES, SegmentError};
use crate::format::header::{Header, encode_footer};
use crate::format::id::{InstanceId, SegmentId};
use crate::format::record::{Kind, Record, encode};
use crate::format::{filename, record};
use crate::fs::{At, File, Fs, Stat, exists, or_remove, stop};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// The most padding that is added at once, in bytes.
const PADDING_BYTES_MAX: u64 = 64 << 10;

/// A segment that this process appends to. It holds the file's flock as long as it lives: other processes
/// see from it that the segment is in use.
#[derive(Debug)]
pub struct Writer {
    id: SegmentId,
    instance: InstanceId,
    path: PathBuf,
    file: Arc<dyn File>,
    identity: Stat,
    end: u64,
    /// The last bytes before the last write, and after it.
    marks: [Mark; 2],
    /// The length of the file. From `end` on it is zeros: padding for later records. When a record goes
    /// into padding, the sync has no new length to write to disk, which would cost a file system about as
    /// much again.
    length: u64,
    synced_upto: u64,
    commits: u64,
}

impl Writer {
    /// Creates a segment in `tmp`, locks it, writes and syncs its header, gives it its name in `open`,
    /// and syncs that directory. From its first moment with a name it is locked and has a good header.
    ///
    /// # Errors
    /// [`SegmentError`]; an unfinished file may stay behind in `tmp` if it cannot be removed either.
    pub fn create(
        fs: &dyn Fs,
        tmp: &Path,
        open: &Path,
        header: &Header,
    ) -> Result<Self, SegmentError> {
        let name = filename::segment(header.segment);
        let (nameless, path) = (tmp.join(&name), open.join(&name));
        let file = fs.create(&nameless).at("create", &nameless)?;
        stop::at!("create.made");
        or_remove(Self::begin(fs, file, &nameless, &path, open, header), fs, &nameless)
    }

    fn begin(
        fs: &dyn Fs,
        file: Box<dyn File>,
        nameless: &Path,
        path: &Path,
        open: &Path,
        header: &Header,
    ) -> Result<Self, SegmentError> {
        // No other process can know this file yet, so the lock is free. Where flock does not work at all,
        // other processes will not seal the segment either (`store::seal` asks for the file system).
        file.try_lock().at("lock", nameless)?;
        stop::at!("create.locked");
        let identity = file.stat().at("access", nameless)?;
        let mut writer = Writer {
            id: header.segment,
            instance: header.instance,
            path: nameless.to_owned(),
            file: file.into(),
            identity,
            end: 0,
            marks: [Mark::default(); 2],
            length: 0,
            synced_upto: 0,
            commits: 0,
        };
        writer.write(&[(Kind::Header, 0, &header.encode())])?;
        stop::at!("create.written");
        writer.sync()?;
        stop::at!("create.synced");
        // Only a synced header gets a name, so that a bad header in `open/` is always damage.
        if exists(fs, path).at("access", path)? {
            Err(std::io::Error::from(ErrorKind::AlreadyExists)).at("create", path)?;
        }
        // Not by `rename_noreplace`, which is a link where the file system knows no such rename: FUSE takes
        // the linked name for another file, and would not show what is appended to the open one.
        fs.rename(nameless, path).at("create", path)?;
        stop::at!("create.named");
        fs.sync_dir(open).at("sync", open)?;
        stop::at!("create.durable");
        path.clone_into(&mut writer.path);
        Ok(writer)
    }

    /// Appends commits, each a sequence number and a body, with one `write`.
    ///
    /// # Errors
    /// [`SegmentError::Record`] before anything was written. After any other error the segment must not
    /// be used again, and it is unknown which of the commits can be read.
    pub fn append<'a>(
        &mut self,
        commits: impl IntoIterator<Item = (u64, &'a [u8])>,
    ) -> Result<(), SegmentError> {
        let records: Vec<_> =
            commits.into_iter().map(|(sequence, body)| (Kind::Commit, sequence, body)).collect();
        self.write(&records)?;
        self.commits += records.len() as u64;
        Ok(())
    }

    fn write(&mut self, records: &[(Kind, u64, &[u8])]) -> Result<(), SegmentError> {
        let frames = records.len() * (record::FRAME_HEAD + record::CHECKSUM);
        let bodies: usize = records.iter().map(|(_, _, body)| body.len()).sum();
        let mut bytes = Vec::with_capacity(frames + bodies);
        for (kind, sequence, body) in records {
            // Its offset and the synced part before it let a scan tell damage from a torn write.
            let record = Record {
                kind: *kind,
                sequence: *sequence,
                offset: self.end + bytes.len() as u64,
                synced_upto: self.synced_upto,
                body,
            };
            encode(&record, &mut bytes)?;
        }
        let end = self.end + bytes.len() as u64;
        let mark = Mark::of(end, &bytes);
        self.add_padding(&mut bytes);
        let written = self.file.write_at(&bytes, self.end).at("append to", &self.path)?;
        // Not continued by a second write: the file ends within a record, and the disk is probably full.
        if written < bytes.len() {
            let path = self.path.clone();
            return Err(SegmentError::Short { path, written, wanted: bytes.len() });
        }
        self.length = self.length.max(self.end + written as u64);
        self.end = end;
        // Without records, what was written last stays so.
        if !records.is_empty() {
            let [_, before] = self.marks;
            self.marks = [before, mark];
        }
        Ok(())
    }

    /// Adds zeros behind records that go beyond the padding: about as many as the segment has bytes, so
    /// that a short segment stays short.
    fn add_padding(&self, bytes: &mut Vec<u8>) {
        let end = self.end + bytes.len() as u64;
        if end > self.length {
            let length = (end + end.min(PADDING_BYTES_MAX)).next_multiple_of(BLOCK_BYTES);
            bytes.resize((length - self.end) as usize, 0);
        }
    }

    /// Syncs everything appended so far.
    ///
    /// # Errors
    /// After any error the segment must not be used again.
    pub fn sync(&mut self) -> Result<(), SegmentError> {
        self.file.sync().at("sync", &self.path)?;
        self.synced_upto = self.end;
        Ok(())
    }

    /// Returns true if the segment still has its name. To be asked after a write and before it is
    /// acknowledged: if the name is gone, another process sealed the segment, and a compactor may have
    /// read it before the write.
    ///
    /// # Errors
    /// [`SegmentError::Fs`]: then it is unknown whether it has.
    pub fn has_name(&self, fs: &dyn Fs) -> Result<bool, SegmentError> {
        super::has_name(fs, &self.path, &self.identity)
    }

    /// Returns true if the file holds what was written to it last. If it does not, it was cut off or put back
    /// to an older state. To be asked before a write, which would leave a gap there.
    ///
    /// # Errors
    /// [`SegmentError::Fs`]: then it is unknown whether it does.
    pub fn ends_as_written(&self) -> Result<bool, SegmentError> {
        Ok(self.mark().is_in(&*self.file).at("read", &self.path)?)
    }

    /// Returns true if the file holds what was written to it last, and what was written before. To be asked
    /// after a write: the file may have gone back just before it.
    ///
    /// # Errors
    /// [`SegmentError::Fs`]: then it is unknown whether it does.
    pub fn is_intact(&self) -> Result<bool, SegmentError> {
        let [before, last] = &self.marks;
        Ok(before.is_in_with(last, &*self.file).at("read", &self.path)?)
    }

    /// Returns the last bytes that were written.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let [_, last] = self.marks;
        last
    }

    /// Returns the identity of the file.
    #[must_use]
    pub fn identity(&self) -> Stat {
        self.identity
    }

    /// Returns the file, for as long as this lives: whoever holds it, holds its flock.
    #[must_use]
    pub fn file(&self) -> Weak<dyn File> {
        Arc::downgrade(&self.file)
    }

    /// Appends the footer, syncs, and moves the segment to `sealed`.
    ///
    /// # Errors
    /// [`SegmentError`]; the segment's commits are on disk in any case, and the next compactor will seal
    /// it.
    pub fn seal(mut self, fs: &dyn Fs, sealed: &Path, sequence: u64) -> Result<(), SegmentError> {
        // So that the footer can say of all commits that they are on disk, and no process that builds on
        // one of them has to sync the segment.
        if self.synced_upto < self.end {
            self.sync()?;
        }
        stop::at!("seal.synced");
        let footer = encode_footer(self.commits);
        self.write(&[(Kind::Footer, sequence, &footer)])?;
        stop::at!("seal.footer");
        self.sync()?;
        stop::at!("seal.whole");
        let to = sealed.join(filename::segment(self.id));
        if exists(fs, &to).at("access", &to)? {
            // A copied file has the name. This segment stays here, and is sealed once that one is
            // compacted.
            return Ok(());
        }
        // The name may be that of an older copy, which a person put there.
        if !self.has_name(fs)? {
            return Ok(());
        }
        match fs.rename(&self.path, &to) {
            // Another process sealed it a moment ago, which has the same effect.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => {
                done.at("seal", &self.path)?;
                stop::at!("seal.moved");
                Ok(())
            }
        }
    }

    /// Returns its path, or its last one.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the segment's id.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Returns the instance that writes it.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Returns its length in bytes, without the padding.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }
}
