//! The writing end of a palace: commits go into this instance's own segment, in order, many at a time.
//!
//! Invariant: [`Log::wait`] says yes only after the commit's bytes are in a segment that still had its
//! name after they were written, and, if asked for, on disk. A segment is never touched again after a
//! failed write or sync; the same bytes go into a new one. If that fails too, the instance id is given
//! up, since whether its last sequence numbers are taken is unknown.

use super::StoreError;
use super::own::OwnSegments;
use super::root::Root;
use crate::format::filename::{OPEN, SEALED, TMP};
use crate::format::header::Header;
use crate::format::id::{InstanceId, SegmentId};
use crate::segment::writer::Writer;
use bytes::Bytes;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A segment is sealed and followed by a new one when it has this many bytes.
pub const SEGMENT_BYTES: u64 = 1 << 20;

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On disk: it survives a power cut.
    #[default]
    Durable,
    /// With the operating system: it survives the end of this process, also by SIGKILL, and reaches
    /// the disk within [`BUFFERED_MS`].
    Buffered,
}

/// How long a buffered commit may wait for its sync, in milliseconds.
pub const BUFFERED_MS: u64 = 1_000;

/// A place in this instance's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The instance that the commit belongs to.
    pub instance: InstanceId,
    /// Its running number.
    pub sequence: u64,
}

#[derive(Clone, Debug)]
struct Queued {
    sequence: u64,
    body: Bytes,
}

/// An instance that was given up, how far its commits are good, and why.
#[derive(Debug)]
struct Failure {
    instance: InstanceId,
    written: u64,
    synced: u64,
    /// Whether something may have been written.
    unknown: bool,
    source: Arc<StoreError>,
}

#[derive(Debug)]
struct Inner {
    instance: Option<InstanceId>,
    writer: Option<Writer>,
    next: u64,
    queue: Vec<Queued>,
    /// Written and named, not yet known to be on disk.
    unsynced: Vec<Queued>,
    written: u64,
    synced: u64,
    sync_wanted: bool,
    leading: bool,
    failures: Vec<Failure>,
}

/// The log of this process. Shared by its threads.
#[derive(Debug)]
pub struct Log {
    root: Arc<Root>,
    program: String,
    own: Arc<OwnSegments>,
    inner: Mutex<Inner>,
    turn: Condvar,
}

impl Log {
    /// A log without an instance: the first commit mints one.
    #[must_use]
    pub fn new(root: Arc<Root>, own: Arc<OwnSegments>, program: String) -> Self {
        let inner = Inner {
            instance: None,
            writer: None,
            next: 1,
            queue: Vec::new(),
            unsynced: Vec::new(),
            written: 0,
            synced: 0,
            sync_wanted: false,
            leading: false,
            failures: Vec::new(),
        };
        Log { root, program, own, inner: Mutex::new(inner), turn: Condvar::new() }
    }

    /// A thread that panicked elsewhere in this module's short critical sections leaves counters and
    /// queues that are still whole, so its poison is ignored.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process's writing identity, minted on the first call.
    ///
    /// # Errors
    /// If no randomness can be had.
    pub fn instance(&self) -> Result<InstanceId, StoreError> {
        let mut inner = self.lock();
        if let Some(instance) = inner.instance {
            return Ok(instance);
        }
        let instance = InstanceId(self.root.random()?);
        inner.instance = Some(instance);
        Ok(instance)
    }

    /// This process's writing identity, if it has written.
    #[must_use]
    pub fn instance_if_any(&self) -> Option<InstanceId> {
        self.lock().instance
    }

    /// Gives a commit of `instance` its place. Nothing is written yet; call [`Log::wait`]. `None` if
    /// that instance was given up in the meantime: what the commit builds on may be lost.
    pub fn enqueue(&self, instance: InstanceId, body: Bytes) -> Option<Ticket> {
        let mut inner = self.lock();
        if inner.instance != Some(instance) {
            return None;
        }
        let sequence = inner.next;
        inner.next += 1;
        inner.queue.push(Queued { sequence, body });
        Some(Ticket { instance, sequence })
    }

    /// Waits until a commit is done. Whoever waits first writes for all that are queued by then.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`], or [`StoreError::NotWritten`].
    pub fn wait(&self, ticket: Ticket, durability: Durability) -> Result<(), StoreError> {
        let mut inner = self.lock();
        while !inner.is_done(ticket, durability)? {
            inner.sync_wanted |= durability == Durability::Durable;
            inner = if inner.leading {
                self.turn.wait(inner).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.lead(inner)
            };
        }
        Ok(())
    }

    /// How far the commits of `instance` are written.
    #[must_use]
    pub fn written(&self, instance: InstanceId) -> u64 {
        let inner = self.lock();
        match inner.failures.iter().find(|failure| failure.instance == instance) {
            Some(failure) => failure.written,
            None => inner.written,
        }
    }

    /// Puts every commit written so far on disk.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`].
    pub fn sync(&self) -> Result<(), StoreError> {
        let inner = self.lock();
        let Some(instance) = inner.instance else { return Ok(()) };
        let ticket = Ticket { instance, sequence: inner.next - 1 };
        drop(inner);
        self.wait(ticket, Durability::Durable)
    }

    /// Whether commits wait for their sync.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        !self.lock().unsynced.is_empty()
    }

    /// One turn of writing for everybody. The lock is not held while the disk works.
    fn lead<'a>(&'a self, mut inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        // Nobody waits for an instance that does not exist.
        let Some(instance) = inner.instance else { return inner };
        inner.leading = true;
        let batch = std::mem::take(&mut inner.queue);
        let mut turn = Turn {
            root: &self.root,
            program: &self.program,
            instance,
            own: &self.own,
            writer: inner.writer.take(),
            unsynced: std::mem::take(&mut inner.unsynced),
            touched: false,
            sync: std::mem::take(&mut inner.sync_wanted),
        };
        drop(inner);
        let outcome = turn.write(batch);
        let mut inner = self.lock();
        let Turn { writer, unsynced, touched, .. } = turn;
        match outcome {
            Ok(written) => {
                inner.written = inner.written.max(written);
                inner.synced = unsynced.first().map_or(inner.written, |first| first.sequence - 1);
                (inner.writer, inner.unsynced) = (writer, unsynced);
            }
            Err(error) => inner.give_up(error, touched),
        }
        inner.leading = false;
        self.turn.notify_all();
        inner
    }

    /// Seals this instance's segment; the next commit starts a new one.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`] if a commit could not be put on disk; what the system says if
    /// only the sealing failed: then another process will do it.
    pub fn seal(&self) -> Result<(), StoreError> {
        self.sync()?;
        let mut inner = self.lock();
        while inner.leading {
            inner = self.turn.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let last = inner.written;
        let Some(writer) = inner.writer.take() else { return Ok(()) };
        drop(inner);
        let sealed = self.root.path().join(SEALED);
        Ok(writer.seal(self.root.fs(), &sealed, last)?)
    }
}

impl Inner {
    fn is_done(&self, ticket: Ticket, durability: Durability) -> Result<bool, StoreError> {
        let reached = |written: u64, synced: u64| match durability {
            Durability::Durable => ticket.sequence <= synced,
            Durability::Buffered => ticket.sequence <= written,
        };
        let failure = self.failures.iter().find(|failure| failure.instance == ticket.instance);
        match failure {
            None => Ok(reached(self.written, self.synced)),
            Some(failure) if reached(failure.written, failure.synced) => Ok(true),
            Some(Failure { unknown: true, source, .. }) => {
                Err(StoreError::OutcomeUnknown { source: source.clone() })
            }
            Some(Failure { source, .. }) => Err(StoreError::NotWritten { source: source.clone() }),
        }
    }

    /// What was queued meanwhile may depend on what failed, so it fails too.
    fn give_up(&mut self, error: StoreError, unknown: bool) {
        let (written, synced) = (self.written, self.synced);
        let source = Arc::new(error);
        let failure = self.instance.take().map(|instance| Failure {
            instance,
            written,
            synced,
            unknown,
            source,
        });
        self.failures.extend(failure);
        self.writer = None;
        self.queue.clear();
        self.unsynced.clear();
        (self.next, self.written, self.synced) = (1, 0, 0);
    }
}

/// One turn of writing, away from the lock.
struct Turn<'a> {
    root: &'a Root,
    program: &'a str,
    instance: InstanceId,
    writer: Option<Writer>,
    /// Written since the last good sync: what a new segment must start with.
    unsynced: Vec<Queued>,
    own: &'a OwnSegments,
    /// Whether something was written, or may have been.
    touched: bool,
    sync: bool,
}

impl Turn<'_> {
    /// Writes `batch`, and gives the highest sequence number that is done.
    fn write(&mut self, batch: Vec<Queued>) -> Result<u64, StoreError> {
        if let Err(error) = self.rotate_if_full() {
            // The commits in it are safe and somebody else will seal it.
            tracing::warn!(%error, "a full segment could not be sealed");
        }
        let known = self.unsynced.len();
        self.unsynced.extend(batch);
        let last = self.unsynced.last().map_or(0, |queued| queued.sequence);
        let from = if self.writer.is_some() { known } else { 0 };
        let mut outcome = self.attempt(from);
        let mut failures = 0;
        loop {
            match outcome {
                Ok(true) => return Ok(last),
                // Sealed under us. That is no failure, and can happen again while this process is
                // stopped between two steps.
                Ok(false) => {}
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "a write to a segment failed");
                    if let Some(writer) = &self.writer {
                        self.own.disown(writer.id());
                    }
                    if failures == 2 {
                        return Err(error);
                    }
                }
            }
            self.writer = None;
            outcome = self.attempt(0);
        }
    }

    fn rotate_if_full(&mut self) -> Result<(), StoreError> {
        let Some(writer) = self.writer.take_if(|writer| writer.end() >= SEGMENT_BYTES) else {
            return Ok(());
        };
        let last = self.unsynced.last().map_or(0, |queued| queued.sequence);
        let sealed = self.root.path().join(SEALED);
        writer.seal(self.root.fs(), &sealed, last)?;
        // Sealing synced it, and every commit in it was found to have its name after it was written.
        self.unsynced.clear();
        Ok(())
    }

    /// Writes `unsynced` from index `from` on and says whether it counts. False: the segment was
    /// sealed under us, and may have been read before.
    fn attempt(&mut self, from: usize) -> Result<bool, StoreError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.create()?,
        };
        let items = self.unsynced.get(from..).unwrap_or_default();
        self.touched |= !items.is_empty();
        let appended =
            writer.append(items.iter().map(|queued| (queued.sequence, &queued.body[..])));
        let synced = match appended {
            Ok(()) if self.sync => writer.sync(),
            done => done,
        };
        let named = synced.and_then(|()| writer.has_name(self.root.fs()));
        let id = writer.id();
        self.writer = Some(writer);
        if !named? {
            return Ok(false);
        }
        // Only now: what was written after the segment lost its name is in no snapshot that replaces it.
        let items = self.unsynced.get(from..).unwrap_or_default();
        if let (Some(first), Some(last)) = (items.first(), items.last()) {
            self.own.wrote(id, first.sequence..=last.sequence);
        }
        if self.sync {
            self.unsynced.clear();
        }
        Ok(true)
    }

    fn create(&self) -> Result<Writer, StoreError> {
        let palace = self.root.ensure_created()?;
        let host = self.root.fs().host();
        let segment = SegmentId(self.root.random()?);
        let header = Header {
            segment,
            instance: self.instance,
            palace,
            machine: host.machine,
            boot: host.boot,
            created_ms: self.root.fs().now_ms(),
            fs_type: self.root.fs_type()?,
            pid: std::process::id(),
            program: self.program.to_owned(),
        };
        let (tmp, open) = (self.root.path().join(TMP), self.root.path().join(OPEN));
        self.own.add(segment, self.instance);
        let created = Writer::create(self.root.fs(), &tmp, &open, &header);
        match &created {
            Ok(_) => self.own.named(segment),
            Err(_) => self.own.disown(segment),
        }
        Ok(created?)
    }
}
