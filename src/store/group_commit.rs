//! Group commit: threads queue commits, and the first that waits writes all of them to this instance's
//! segment.
//!
//! Invariant: [`Log::wait`] succeeds only after the commit's bytes are in a segment that still had its
//! name after they were written, and, if asked for, on disk. A segment is never used again after a failed
//! write or sync; the same bytes go into a new one. If that fails too, the instance is abandoned: it is
//! unknown whether its last sequence numbers are taken. Must not know: files (`write_batch`).

use super::StoreError;
use super::abandoned_instances::{AbandonedInstance, AbandonedInstances};
use super::own_segments::OwnSegments;
use super::root::Root;
use super::write_batch::{BatchWriter, Queued};
use crate::format::id::InstanceId;
use crate::fs::FsError;
use crate::segment::writer::Writer;
use crate::sync::{Condvar, Lock, Locked, Rank};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The point at which a commit counts as done.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.with(WriteOptions::new().buffered()).put("a", &json!({"n": 1}))?;
/// assert_eq!(palace.get("a")?.ok_or("it was written")?.value["n"], 1);
/// palace.sync()?; // now it would survive a power cut, too
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Durability {
    /// On disk: it survives a power cut.
    #[default]
    Durable,
    /// In the operating system's cache: it survives the end of this process, also by SIGKILL, and reaches
    /// the disk within [`BUFFERED_MS`].
    Buffered,
}

/// The longest time until a buffered commit is synced, in milliseconds.
pub const BUFFERED_MS: u64 = 1_000;

/// The size at which a batch ends, in bytes. So no segment comes near to `SEGMENT_BYTES_MAX`, not even
/// one that starts with the commits of an abandoned one.
const TURN_BYTES: usize = 16 << 20;

const PANICKED: &str = "a thread panicked while it wrote";

/// The position of a commit in this process's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The instance that the commit belongs to.
    pub instance: InstanceId,
    /// Its sequence number.
    pub sequence: u64,
}

#[derive(Debug)]
struct Inner {
    instance: Option<InstanceId>,
    writer: Option<Writer>,
    next: u64,
    queue: Vec<Queued>,
    /// Written to a segment that had its name, and not known to be on disk yet.
    unsynced: Vec<Queued>,
    written: u64,
    synced: u64,
    sync_wanted: bool,
    leading: bool,
    /// The number of turns so far. In a turn, one thread, the leader, writes a batch for all.
    turns: u64,
    /// The last commit that the present turn writes.
    in_turn: u64,
    abandoned: AbandonedInstances,
    /// The failure because of which buffered commits may be lost to a power cut, until it is reported.
    lost: Option<Arc<StoreError>>,
}

/// The log of this process, shared by its threads.
#[derive(Debug)]
pub struct Log {
    root: Arc<Root>,
    program: String,
    own: Arc<OwnSegments>,
    inner: Lock<Inner>,
    /// Threads that wait for the present turn and for the next, by whether the number of the turn is even
    /// or odd. A turn that ends wakes all of the former, and one of the latter to lead. The others sleep
    /// on.
    turn: [Condvar; 2],
}

impl Log {
    /// Makes a log without an instance: the first commit makes one.
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
            turns: 0,
            in_turn: 0,
            abandoned: AbandonedInstances::default(),
            lost: None,
        };
        Log { root, program, own, inner: Lock::new(Rank::Log, inner), turn: Default::default() }
    }

    /// Locks the state. The critical sections are short and leave counters and queues whole, so the
    /// poison of a panic is ignored.
    fn lock(&self) -> Locked<'_, Inner> {
        self.inner.lock()
    }

    /// Returns the writing identity of this process. The first call makes it.
    ///
    /// # Errors
    /// An error of the operating system: no random bits can be had.
    pub fn instance(&self) -> Result<InstanceId, StoreError> {
        let mut inner = self.lock();
        if let Some(instance) = inner.instance {
            return Ok(instance);
        }
        let instance = InstanceId(self.root.random()?);
        inner.instance = Some(instance);
        Ok(instance)
    }

    /// Returns the writing identity of this process, if it has written.
    #[must_use]
    pub fn instance_if_any(&self) -> Option<InstanceId> {
        self.lock().instance
    }

    /// Queues a commit of `instance`. Nothing is written yet; call [`Log::wait`]. Returns `None` if that
    /// instance was abandoned in the meantime: commits that this one builds on may be lost.
    pub fn enqueue(&self, instance: InstanceId, body: Bytes) -> Option<Ticket> {
        let mut inner = self.lock();
        // The caller built the commit for an instance that was abandoned since.
        if inner.instance != Some(instance) {
            return None;
        }
        let sequence = inner.next;
        inner.next += 1;
        inner.queue.push(Queued { sequence, body });
        Some(Ticket { instance, sequence })
    }

    /// Waits until a commit is done. The first thread that waits writes for all that are queued by then.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`], or [`StoreError::NotWritten`].
    pub fn wait(&self, ticket: Ticket, durability: Durability) -> Result<(), StoreError> {
        let mut inner = self.lock();
        while !self.is_done(&inner, ticket, durability)? {
            // One durable commit makes its whole batch durable: a sync covers the file.
            inner.sync_wanted |= durability == Durability::Durable;
            inner = if inner.leading {
                // A commit that the present turn does not write waits for the next one.
                let later = ticket.sequence > inner.in_turn;
                self.wait_for_turn(inner, u64::from(later))
            } else {
                self.lead(inner)
            };
        }
        Ok(())
    }

    /// Returns the sequence number up to which commits of `instance` can be built on. Of an abandoned
    /// instance, commits that were not on disk may be lost, also those that counted as buffered. If they
    /// are in the segment, they are read from there, like another process's. To be asked of the present
    /// instance and of the one before it: nothing is known of those that were abandoned long ago.
    #[must_use]
    pub fn written(&self, instance: InstanceId) -> u64 {
        let inner = self.lock();
        inner.abandoned.find(instance).map_or(inner.written, |failure| failure.synced)
    }

    /// Syncs every commit written so far.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.last().map_or(Ok(()), |last| self.wait(last, Durability::Durable))
    }

    /// Returns the position of the last commit that was queued; `None` if this process has not written.
    #[must_use]
    pub fn last(&self) -> Option<Ticket> {
        let inner = self.lock();
        inner.instance.map(|instance| Ticket { instance, sequence: inner.next - 1 })
    }

    /// Returns true if commits wait for their sync.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        !self.lock().unsynced.is_empty()
    }

    fn is_done(
        &self,
        inner: &Inner,
        ticket: Ticket,
        durability: Durability,
    ) -> Result<bool, StoreError> {
        let reached = |written: u64, synced: u64| match durability {
            Durability::Durable => ticket.sequence <= synced,
            Durability::Buffered => ticket.sequence <= written,
        };
        if inner.instance == Some(ticket.instance) {
            return Ok(reached(inner.written, inner.synced));
        }
        match inner.abandoned.find(ticket.instance) {
            Some(failure) if reached(failure.written, failure.synced) => Ok(true),
            Some(AbandonedInstance { unknown: false, source, .. }) => {
                Err(StoreError::NotWritten { source: source.clone() })
            }
            Some(AbandonedInstance { source, .. }) => {
                Err(StoreError::OutcomeUnknown { source: source.clone() })
            }
            None => {
                let source = Arc::new(self.failed("too many writes failed after this one"));
                Err(StoreError::OutcomeUnknown { source })
            }
        }
    }

    /// Makes the error that nothing can be written here, for a cause that is not the system's.
    #[must_use]
    pub fn failed(&self, why: &'static str) -> StoreError {
        let (path, source) = (self.root.path().to_owned(), std::io::Error::other(why));
        FsError { action: "write to", path, source }.into()
    }

    /// Writes one batch for all threads.
    fn lead<'a>(&'a self, mut inner: Locked<'a, Inner>) -> Locked<'a, Inner> {
        // No commit waits for an instance that does not exist.
        let Some(instance) = inner.instance else { return inner };
        let batch = inner.take_batch();
        inner.in_turn = batch.last().map_or(inner.written, |queued| queued.sequence);
        self.take_turn(inner, instance, |turn| turn.write(batch))
    }

    /// Runs `work` as the leader, of which there is one at a time. The lock is not held while the disk
    /// works.
    fn take_turn<'a>(
        &'a self,
        mut inner: Locked<'a, Inner>,
        instance: InstanceId,
        work: impl FnOnce(&mut BatchWriter<'_>) -> Result<(), StoreError>,
    ) -> Locked<'a, Inner> {
        inner.leading = true;
        let mut turn = BatchWriter {
            root: &self.root,
            program: &self.program,
            instance,
            own: &self.own,
            writer: inner.writer.take(),
            written: inner.written,
            unsynced: std::mem::take(&mut inner.unsynced),
            touched: false,
            sync: std::mem::take(&mut inner.sync_wanted),
        };
        // Other threads queue commits while this one writes.
        drop(inner);
        // A panic is a bug, but the threads that wait for this turn must not wait for ever.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut turn))).unwrap_or_else(|_| {
            turn.touched = true;
            Err(self.failed(PANICKED))
        });
        let mut inner = self.lock();
        let BatchWriter { writer, written, unsynced, touched, .. } = turn;
        inner.written = written;
        // Also after a failure: a segment that was sealed before is on disk.
        inner.synced = unsynced.first().map_or(written, |first| first.sequence - 1);
        (inner.writer, inner.unsynced) = (writer, unsynced);
        if let Err(error) = outcome {
            self.abandon_instance(&mut inner, error, touched);
        }
        // Only now, when the state is whole again: the next leader may start at once.
        inner.leading = false;
        self.end_turn(&mut inner);
        inner
    }

    fn abandon_instance(&self, inner: &mut Inner, error: StoreError, unknown: bool) {
        // First, so that a rescan reads the abandoned segments, whatever became of them, before their
        // commits are forgotten here. Sealed segments are on disk and stay known.
        self.own.abandon_unsealed();
        inner.abandon(error, unknown);
        // Commits of the next turn have failed too, and no leader would wake their threads.
        self.turn.iter().for_each(Condvar::notify_all);
    }

    /// Sleeps until the end of the present turn, or, if `ahead` is 1, until then or the end of the next.
    fn wait_for_turn<'a>(&self, inner: Locked<'a, Inner>, ahead: u64) -> Locked<'a, Inner> {
        let [even, odd] = &self.turn;
        let turn = if (inner.turns + ahead).is_multiple_of(2) { even } else { odd };
        inner.wait(turn)
    }

    fn end_turn(&self, inner: &mut Inner) {
        let [even, odd] = &self.turn;
        let (present, next) = if inner.turns.is_multiple_of(2) { (even, odd) } else { (odd, even) };
        inner.turns += 1;
        present.notify_all();
        next.notify_one();
    }

    /// Seals this instance's segment. The next commit starts a new one.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`] if a commit could not be synced. An error of the operating system
    /// if only the sealing failed: then a compactor will seal the segment.
    pub fn seal(&self) -> Result<(), StoreError> {
        self.sync()?;
        let mut inner = self.lock();
        // The leader has the writer, so there is nothing to seal until it is back.
        while inner.leading {
            inner = self.wait_for_turn(inner, 0);
        }
        let (Some(instance), Some(_)) = (inner.instance, &inner.writer) else { return Ok(()) };
        // This turn writes no commit, so threads that wait for one must wait for the next.
        inner.in_turn = inner.written;
        // The result if `work` does not come to its end.
        let mut sealed = Err(self.failed(PANICKED));
        let seal = |turn: &mut BatchWriter<'_>| {
            sealed = turn.seal();
            Ok(())
        };
        drop(self.take_turn(inner, instance, seal));
        sealed
    }

    /// Abandons the instance, because the directory that it wrote to is gone. Commits that are not on
    /// disk fail. The next one belongs to a new instance, since the sequence numbers of this one are
    /// taken in files that may come back.
    pub fn abandon(&self, error: StoreError) {
        let mut inner = self.lock();
        while inner.leading {
            inner = self.wait_for_turn(inner, 0);
        }
        if inner.instance.is_some() {
            self.abandon_instance(&mut inner, error, true);
        }
    }

    /// Fails if buffered commits may be lost to a power cut, because the disk failed before they were
    /// synced. Reports each such failure once.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`].
    pub fn report_lost(&self) -> Result<(), StoreError> {
        match self.lock().lost.take() {
            Some(source) => Err(StoreError::OutcomeUnknown { source }),
            None => Ok(()),
        }
    }
}

impl Inner {
    /// Takes the commits for the next turn off the queue. Their size is limited, because readers read a
    /// limited part of a segment.
    fn take_batch(&mut self) -> Vec<Queued> {
        let mut bytes = 0;
        let fits = |queued: &&Queued| {
            let before = bytes;
            bytes += queued.body.len();
            before < TURN_BYTES
        };
        let count = self.queue.iter().take_while(fits).count();
        let later = self.queue.split_off(count);
        std::mem::replace(&mut self.queue, later)
    }

    /// Forgets the instance. Commits that were queued meanwhile may depend on those that failed, so they
    /// fail too.
    fn abandon(&mut self, error: StoreError, unknown: bool) {
        let (written, synced) = (self.written, self.synced);
        let source = Arc::new(error);
        // Their callers got a success already, so the loss has to be reported by a later call.
        if written > synced {
            self.lost = Some(source.clone());
        }
        if let Some(instance) = self.instance.take() {
            self.abandoned.add(AbandonedInstance { instance, written, synced, unknown, source });
        }
        self.writer = None;
        self.queue.clear();
        self.unsynced.clear();
        // The next instance counts from 1.
        (self.next, self.written, self.synced, self.in_turn) = (1, 0, 0, 0);
    }
}
