//! The writing end of a palace: commits go into this instance's own segment, in order, many at a time.
//!
//! Invariant: [`Log::wait`] says yes only after the commit's bytes are in a segment that still had its
//! name after they were written, and, if asked for, on disk. A segment is never touched again after a
//! failed write or sync; the same bytes go into a new one. If that fails too, the instance id is given
//! up, since whether its last sequence numbers are taken is unknown.

use super::StoreError;
use super::own_segments::OwnSegments;
use super::root::Root;
use super::write_batch::{BatchWriter, Queued};
use crate::format::id::InstanceId;
use crate::fs::FsError;
use crate::segment::writer::Writer;
use bytes::Bytes;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// When a commit counts as done.
///
/// ```
/// use crdt_palace::palace::{Durability, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let quick = WriteOptions { durability: Durability::Buffered, ..WriteOptions::default() };
/// palace.put_with("a", json!({"n": 1}).as_object().ok_or("an object")?, &quick)?;
/// assert_eq!(palace.get("a")?.ok_or("it was written")?.value["n"], 1);
/// palace.sync()?; // now it would survive a power cut, too
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// A turn of writing ends with the commit that makes it this long, in bytes. So no segment, not even one that
/// starts with what another could not keep, comes near to `SEGMENT_BYTES_MAX`.
const TURN_BYTES: usize = 16 << 20;

/// Of so many instances that were given up it is known how far they came: a program that tries again and again on
/// a full disk gives up one each time. Who waits for a commit of an older one hears that its outcome is unknown.
const ABANDONED_MAX: usize = 256;

const PANICKED: &str = "a thread panicked while it wrote";

/// A place in this instance's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The instance that the commit belongs to.
    pub instance: InstanceId,
    /// Its running number.
    pub sequence: u64,
}

/// An instance that was given up, how far its commits are good, and why.
#[derive(Debug)]
struct AbandonedInstance {
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
    /// How many turns of writing there were.
    turns: u64,
    /// The last commit that the present turn writes.
    in_turn: u64,
    /// The newest last.
    abandoned: VecDeque<AbandonedInstance>,
    /// Why buffered commits may be lost to a power cut, until somebody was told.
    lost: Option<Arc<StoreError>>,
}

/// The log of this process. Shared by its threads.
#[derive(Debug)]
pub struct Log {
    root: Arc<Root>,
    program: String,
    own: Arc<OwnSegments>,
    inner: Mutex<Inner>,
    /// Who waits for the present turn, and who for the next: by the number of the turn, odd or even. A
    /// turn that ends wakes all of the former and one of the latter, to lead; not everybody.
    turn: [Condvar; 2],
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
            turns: 0,
            in_turn: 0,
            abandoned: VecDeque::new(),
            lost: None,
        };
        Log { root, program, own, inner: Mutex::new(inner), turn: Default::default() }
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
        while !self.is_done(&inner, ticket, durability)? {
            inner.sync_wanted |= durability == Durability::Durable;
            inner = if inner.leading {
                let later = ticket.sequence > inner.in_turn;
                self.wait_for_turn(inner, u64::from(later))
            } else {
                self.lead(inner)
            };
        }
        Ok(())
    }

    /// How far the commits of `instance` can be built on. Of one that was given up, what it had not
    /// put on disk may be lost, whether or not it counted as buffered; as much of it as is in the
    /// segment is read from there, like another process's. To be asked of the present instance and of the one
    /// before it: of one that was given up long ago nothing is known.
    #[must_use]
    pub fn written(&self, instance: InstanceId) -> u64 {
        let inner = self.lock();
        inner.abandoned(instance).map_or(inner.written, |failure| failure.synced)
    }

    /// Puts every commit written so far on disk.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.last().map_or(Ok(()), |last| self.wait(last, Durability::Durable))
    }

    /// The last place that this process's instance has given away; `None` if it has not written.
    #[must_use]
    pub fn last(&self) -> Option<Ticket> {
        let inner = self.lock();
        inner.instance.map(|instance| Ticket { instance, sequence: inner.next - 1 })
    }

    /// Whether commits wait for their sync.
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
        match inner.abandoned(ticket.instance) {
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

    /// That nothing can be written here, for another reason than one that the system gives.
    #[must_use]
    pub fn failed(&self, why: &'static str) -> StoreError {
        let (path, source) = (self.root.path().to_owned(), std::io::Error::other(why));
        FsError { action: "write to", path, source }.into()
    }

    /// One turn of writing for everybody.
    fn lead<'a>(&'a self, mut inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        // Nobody waits for an instance that does not exist.
        let Some(instance) = inner.instance else { return inner };
        let batch = inner.take_batch();
        inner.in_turn = batch.last().map_or(inner.written, |queued| queued.sequence);
        self.take_turn(inner, instance, |turn| turn.write(batch))
    }

    /// Does something that nothing else may be done beside. The lock is not held while the disk works.
    fn take_turn<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        instance: InstanceId,
        work: impl FnOnce(&mut BatchWriter<'_>) -> Result<(), StoreError>,
    ) -> MutexGuard<'a, Inner> {
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
        drop(inner);
        // A panic is a bug, but whoever waits for this turn must not wait for ever.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut turn))).unwrap_or_else(|_| {
            turn.touched = true;
            Err(self.failed(PANICKED))
        });
        let mut inner = self.lock();
        let BatchWriter { writer, written, unsynced, touched, .. } = turn;
        inner.written = written;
        // Also if it failed: a segment that was sealed before is on disk.
        inner.synced = unsynced.first().map_or(written, |first| first.sequence - 1);
        (inner.writer, inner.unsynced) = (writer, unsynced);
        if let Err(error) = outcome {
            self.abandon_instance(&mut inner, error, touched);
        }
        inner.leading = false;
        self.end_turn(&mut inner);
        inner
    }

    fn abandon_instance(&self, inner: &mut Inner, error: StoreError, unknown: bool) {
        // Before anybody forgets what is not on disk, so that the next look finds it in the segments: whatever
        // became of them, they may hold it. Those that this process sealed hold nothing that is forgotten.
        self.own.abandon_unsealed();
        inner.abandon(error, unknown);
        // Those of the next turn have failed too, and nobody would wake them.
        self.turn.iter().for_each(Condvar::notify_all);
    }

    /// Sleeps until the end of the present turn, or, if `ahead` is 1, until then or the end of the next.
    fn wait_for_turn<'a>(&self, inner: MutexGuard<'a, Inner>, ahead: u64) -> MutexGuard<'a, Inner> {
        let [even, odd] = &self.turn;
        let turn = if (inner.turns + ahead).is_multiple_of(2) { even } else { odd };
        turn.wait(inner).unwrap_or_else(PoisonError::into_inner)
    }

    fn end_turn(&self, inner: &mut Inner) {
        let [even, odd] = &self.turn;
        let (present, next) = if inner.turns.is_multiple_of(2) { (even, odd) } else { (odd, even) };
        inner.turns += 1;
        present.notify_all();
        next.notify_one();
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
            inner = self.wait_for_turn(inner, 0);
        }
        let (Some(instance), Some(_)) = (inner.instance, &inner.writer) else { return Ok(()) };
        inner.in_turn = inner.written;
        // What is said unless it comes to an end.
        let mut sealed = Err(self.failed(PANICKED));
        let seal = |turn: &mut BatchWriter<'_>| {
            sealed = turn.seal();
            Ok(())
        };
        drop(self.take_turn(inner, instance, seal));
        sealed
    }

    /// Gives the instance up: the directory that it wrote to is not there any more. Commits that are not
    /// on disk fail, and the next one belongs to a new instance, since the numbers of this one are taken
    /// in files that may come back.
    pub fn abandon(&self, error: StoreError) {
        let mut inner = self.lock();
        while inner.leading {
            inner = self.wait_for_turn(inner, 0);
        }
        if inner.instance.is_some() {
            self.abandon_instance(&mut inner, error, true);
        }
    }

    /// Whether commits that counted as buffered may be lost to a power cut, because the disk failed
    /// before they were on it. Said once.
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
    fn abandoned(&self, instance: InstanceId) -> Option<&AbandonedInstance> {
        self.abandoned.iter().find(|failure| failure.instance == instance)
    }

    /// What the next turn writes: a segment must not become longer than readers read.
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

    /// What was queued meanwhile may depend on what failed, so it fails too.
    fn abandon(&mut self, error: StoreError, unknown: bool) {
        let (written, synced) = (self.written, self.synced);
        let source = Arc::new(error);
        if written > synced {
            self.lost = Some(source.clone());
        }
        let failure = self.instance.take().map(|instance| AbandonedInstance {
            instance,
            written,
            synced,
            unknown,
            source,
        });
        self.abandoned.extend(failure);
        if self.abandoned.len() > ABANDONED_MAX {
            self.abandoned.pop_front();
        }
        self.writer = None;
        self.queue.clear();
        self.unsynced.clear();
        (self.next, self.written, self.synced, self.in_turn) = (1, 0, 0, 0);
    }
}
