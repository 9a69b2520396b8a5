//! Committing: several writes that happen together or not at all.
//!
//! Invariant: a commit builds on everything that was acknowledged before it started, and is
//! acknowledged only after its bytes, and those that they build on, are where the caller asked for.

use super::again::Basis;
use super::conditions::{check_condition, check_readable, resolve_base};
use super::draft::{Draft, Written};
use super::once::Once;
use super::request::{Condition, Outcome, Receipt, WriteOptions};
use super::rescue::{foreign_places, records, to_rescue, unwritten};
use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::format::key::{Key, ONCE};
use crate::format::record::Entry;
use crate::fs::stop;
use crate::merge::{Doc, MergeError, Stamp};
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::{Palace, Shared};
use crate::palace::handle::unsynced::UnsyncedDependencies;
use crate::palace::handle::writer::Writer;
use crate::palace::view::directory::Directory;
use crate::palace::view::tail::entries;
use crate::palace::view::view::View;
use crate::store::StoreError;
use crate::store::group_commit::{Durability, Ticket};
use crate::store::lock::{self, Guard};
use crate::store::rescan::Backlog;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{apart, mutant};
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

type Write<'a> = Box<dyn FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError> + 'a>;

/// Several writes that happen together or not at all. See [`Palace::batch`].
///
/// ```
/// use crdt_palace::palace::Key;
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let mut batch = palace.batch();
/// batch.write(Key::new("notes/a")?, |draft| draft.increment(&["read"], 1));
/// batch.write(Key::new("notes/b")?, |draft| draft.increment(&["read"], 2));
/// let receipt = batch.commit()?;
/// assert_eq!(receipt.outcomes[1].key.as_str(), "notes/b");
/// assert_eq!(palace.get("notes/b")?.ok_or("it was written")?.value["read"], 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch<'a> {
    palace: &'a Palace,
    options: WriteOptions,
    writes: Vec<(Key, Option<Condition>, Write<'a>)>,
}

impl<'a> Batch<'a> {
    pub(in crate::palace) fn new(palace: &'a Palace, options: WriteOptions) -> Self {
        Batch { palace, options, writes: Vec::new() }
    }

    /// Adds a write of one document. The closure is called once, at the commit, with the document as
    /// it then is; if it fails, nothing of the batch happens.
    pub fn write(
        &mut self,
        key: Key,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError> + 'a,
    ) -> &mut Self {
        self.writes.push((key, None, Box::new(write)));
        self
    }

    /// Adds a write of one document, like [`Batch::write`], on a condition of its own.
    ///
    /// ```
    /// # use crdt_palace::palace::{Condition, Key};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.increment("b", &["n"], 1)?;
    ///
    /// let mut batch = palace.batch();
    /// batch.write(Key::new("a")?, |draft| draft.increment(&["n"], 1));
    /// batch.write_if(Key::new("b")?, Condition::Absent, |draft| draft.increment(&["n"], 1));
    /// assert!(batch.commit().is_err());
    /// assert_eq!(palace.get("a")?, None); // all or nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_if(
        &mut self,
        key: Key,
        condition: Condition,
        write: impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError> + 'a,
    ) -> &mut Self {
        self.writes.push((key, Some(condition), Box::new(write)));
        self
    }

    /// Adds the record of a call that is made once, on the condition that there is none yet. `answer` is called after the
    /// writes before it.
    pub(crate) fn record(&mut self, once: &'a Once, answer: impl FnOnce() -> Value + 'a) {
        self.write_if(once.key.clone(), Condition::Absent, move |draft| {
            draft.put_object(&once.record(answer()))
        });
    }

    /// Makes the commit.
    ///
    /// ```
    /// # use crdt_palace::palace::{Error, Key, MergeError};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let mut batch = palace.batch();
    /// batch.write(Key::new("a")?, |draft| draft.increment(&["n"], 1));
    /// batch.write(Key::new("b")?, |_| Err(MergeError::EmptyPath));
    /// let error = batch.commit().unwrap_err();
    /// assert!(matches!(error, Error::Document { key, .. } if key.as_str() == "b"));
    /// assert_eq!(palace.get("a")?, None); // all or nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::write`]; [`Error::EmptyBatch`] if there is no write; [`Error::TwoWrites`] if there are two of one
    /// document;
    /// [`RecordError::TooLarge`] if all changes together have more than [`BODY_BYTES_MAX`] bytes.
    pub fn commit(self) -> Result<Receipt> {
        let Batch { palace, options, mut writes } = self;
        check_keys(&writes)?;
        if let Some(once) = options.once.clone() {
            leave_record(&mut writes, once);
        }
        palace.writable()?;
        palace.shared.writer.check_not_held()?;
        let _under_way = UnderWay::new(&palace.shared.committing);
        let conditional = options.if_match.is_some()
            || writes.iter().any(|(_, condition, _)| condition.is_some());
        let serial = match conditional {
            true => {
                palace.shared.notice_replacement(&mut palace.shared.directory())?;
                palace.shared.root.ensure_created()?;
                Some(lock::conditional(&palace.shared.root)?)
            }
            false => None,
        };
        let made = palace.shared.make(writes, &options, serial.as_ref())?;
        stop::at!("commit.queued");
        let written = palace.wait(made.ticket, made.dependencies, options.durability);
        palace.shared.confirm(made.basis, options.durability, written)?;
        if let Some(guard) = serial {
            // Another writer may have held another lock file meanwhile, and seen nothing of this commit.
            let root = &palace.shared.root;
            let lost = |error| StoreError::OutcomeUnknown { source: Arc::new(error) };
            guard.still_there(root).and_then(|()| root.still_there()).map_err(lost)?;
        }
        stop::at!("commit.done");
        palace.after_commit(options.durability, made.backlog);
        Ok(Receipt { outcomes: made.outcomes, durability: options.durability })
    }
}

impl Palace {
    /// Waits until a commit and its dependencies are where the caller asked for.
    fn wait(
        &self,
        ticket: Option<Ticket>,
        dependencies: UnsyncedDependencies,
        durability: Durability,
    ) -> Result<()> {
        let rescued = match durability {
            Durability::Durable => self.shared.put_on_disk(&dependencies)?,
            Durability::Buffered => {
                self.shared.sync_later(dependencies);
                None
            }
        };
        stop::at!("commit.dependencies_synced");
        self.wait_for(ticket, durability)?;
        let waited = self.wait_for(rescued, durability);
        waited.map_err(|error| self.shared.outcome_unknown(error))
    }

    fn wait_for(&self, ticket: Option<Ticket>, durability: Durability) -> Result<()> {
        let Some(ticket) = ticket else { return Ok(()) };
        self.shared.log.wait(ticket, durability).map_err(|error| {
            let log = &self.shared.log;
            let mut directory = self.shared.directory();
            // The caller hears why its write failed. Should the rescan fail too, the next read makes another.
            if let Err(error) = directory.forget_unwritten(log, log.instance_if_any()) {
                tracing::debug!(%error, "the segments of an abandoned instance are read later");
            }
            error.into()
        })
    }
}

/// Counted for as long as it lives.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        UnderWay(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn check_keys(writes: &[(Key, Option<Condition>, Write<'_>)]) -> Result<()> {
    let mut keys: Vec<&Key> = writes.iter().map(|(key, ..)| key).collect();
    keys.sort_unstable();
    if keys.is_empty() {
        return Err(Error::EmptyBatch);
    }
    match keys.iter().zip(keys.iter().skip(1)).find(|(a, b)| a == b) {
        Some((key, _)) => Err(Error::TwoWrites { key: (*key).clone() }),
        None => Ok(()),
    }
}

/// Adds the record of a call that is made once, unless the caller did.
fn leave_record(writes: &mut Vec<(Key, Option<Condition>, Write<'_>)>, once: Once) {
    let is_record = |(key, ..): &(Key, Option<Condition>, Write<'_>)| *key == once.key;
    if !writes.iter().any(is_record) {
        let record = once.record(Value::Null);
        let write = move |draft: &mut Draft<'_>| draft.put_object(&record);
        writes.push((once.key, Some(Condition::Absent), Box::new(write)));
    }
}

/// A commit that has its place in the log.
struct Made {
    /// The place that has to be waited for. Of a commit in which nothing differed, it is that of the commit of this process
    /// that made it so, if any: "it is there already" is a promise too.
    ticket: Option<Ticket>,
    dependencies: UnsyncedDependencies,
    basis: Basis,
    outcomes: Vec<Outcome>,
    /// The backlog of the compaction when it was made.
    backlog: Backlog,
}

/// One write of a commit, made and not yet in the log.
struct Drafted {
    key: Key,
    /// The document with the change; `None` if the change was made without it.
    doc: Option<Doc>,
    /// Number of changes of the tail that were in the document before.
    applied: usize,
    outcome: Outcome,
    made: Vec<Entry<Bytes>>,
    /// If the changes are by the author of all of this process: those of its changes of the document, with these, that no
    /// other of them builds on.
    last: Option<Vec<ChangeHash>>,
}

impl Shared {
    /// Makes the changes of a commit, and gives it its place in the log.
    fn make(
        &self,
        writes: Vec<(Key, Option<Condition>, Write<'_>)>,
        options: &WriteOptions,
        serial: Option<&Guard>,
    ) -> Result<Made> {
        // Asked before the other writers are waited for: one rescan may serve all that wait.
        let begun = self.rescans_begun();
        let mut guard = self.writer.lock()?;
        self.write_missing(begun)?;
        let (instance, view) = self.view_to_write(begun)?;
        if let Some(guard) = serial {
            // The rescan may have seen another directory than the one that was locked.
            guard.still_there(&self.root)?;
            check_readable(&view)?;
        }
        let writer = &mut guard.writer;
        let draft = |write| self.draft(&view, writer, instance, write, options);
        let drafted = writes.into_iter().map(draft).collect::<Result<Vec<_>>>()?;
        let generation = view.generation;
        // Without a view that shares it, the tail is changed in place.
        drop(view);
        if mutant!(CommitQueuedOutsideTheLock) {
            drop(guard);
            guard = self.writer.lock()?;
        }
        let mut directory = self.directory();
        directory.forget_view();
        self.add(&mut directory, &mut guard.writer, instance, drafted, generation)
    }

    /// Makes one write. The document is taken out of those that are loaded, so that one with a change that does not
    /// become a commit is forgotten: a local Automerge commit cannot be rolled back.
    fn draft(
        &self,
        view: &View,
        writer: &mut Writer,
        instance: InstanceId,
        (key, condition, write): (Key, Option<Condition>, Write<'_>),
        options: &WriteOptions,
    ) -> Result<Drafted> {
        let doc = view.load(&key)?;
        let condition = condition.as_ref().or(options.if_match.as_ref());
        check_condition(view, doc.as_ref(), &key, condition)?;
        // The record of a call has no history that a base could be in.
        let base = options.base.as_ref().filter(|_| !key.as_str().starts_with(ONCE));
        let base = resolve_base(doc.as_ref(), &key, base)?;
        let name = || self.root.random();
        // Queued changes of this very actor may be among the pending ones, and would collide.
        let pending = doc.as_ref().is_some_and(|doc| doc.pending().next().is_some());
        let actor =
            if pending { name()? } else { writer.author(instance).of(&key, doc.as_ref(), name)? };
        let by = options.by.as_deref().unwrap_or(&self.program);
        let stamp = Stamp { actor, time_ms: self.root.fs().now_ms(), by, undoes: "" };
        let mut draft = Draft::new(&key, doc, stamp, base);
        // The closure may use another palace.
        let written = apart(|| write(&mut draft)).and_then(|()| draft.finish());
        let Written { doc, heads, own, changes } =
            written.map_err(|source| Error::Document { key: key.clone(), source })?;
        let changed = !changes.is_empty();
        let entry = |change| Entry { key: key.clone(), change };
        // The closure may have chosen an older version, so only the result tells what the change builds on.
        let last = (changed && !pending).then(|| {
            let beside = writer.author(instance).beside(&key, doc.as_ref(), &own);
            own.hashes().iter().copied().chain(beside).collect()
        });
        let (mut made, mut settled) = (Vec::new(), Vec::new());
        for change in changes {
            made.push(entry(Bytes::from(change.bytes)));
            settled.extend(change.settled);
        }
        let applied = view.tail.changes(key.as_str()).len();
        let (etag, current_etag) = (own.etag(), heads.etag());
        let key_of = key.clone();
        let outcome =
            Outcome { key: key_of, etag, current_etag, changed, settled, own, current: heads };
        Ok(Drafted { key, doc, applied, outcome, made, last })
    }

    /// Adds the commit to the log and to the tail, with what it has to rescue.
    fn add(
        &self,
        directory: &mut Directory,
        writer: &mut Writer,
        instance: InstanceId,
        drafted: Vec<Drafted>,
        generation: u64,
    ) -> Result<Made> {
        let mut keys: BTreeSet<Key> = drafted.iter().map(|drafted| drafted.key.clone()).collect();
        let rescued = to_rescue(&directory.tail, &directory.catalog, &keys)?;
        keys.extend(rescued.iter().flat_map(entries).map(|entry| entry.key));
        let places = foreign_places(&directory.tail, &keys);
        let own = drafted.iter().flat_map(|drafted| drafted.made.iter().cloned()).collect();
        let mut basis = Basis::of(&self.root, directory, &keys, &places, own);
        let segments = directory.catalog.unsynced(places);
        let dependencies = UnsyncedDependencies { keys, segments };
        let (mut made, mut outcomes, mut docs, mut last) = (vec![], vec![], vec![], vec![]);
        for drafted in drafted {
            made.extend(drafted.made);
            last.extend(drafted.last.map(|last| (drafted.key.clone(), last)));
            outcomes.push(drafted.outcome);
            let known = directory.tail.changes(drafted.key.as_str()).len();
            docs.extend(drafted.doc.map(|doc| (drafted.key, doc, drafted.applied, known)));
        }
        for body in records(unwritten(&directory.tail, &rescued), made)? {
            self.enqueue(directory, instance, body)?;
        }
        for (key, changes) in last {
            writer.author(instance).made(&key, changes);
        }
        for (key, doc, applied, known) in docs {
            // If a rescan brought changes meanwhile, the document has its own change and not those before it.
            let all = directory.tail.changes(key.as_str()).len();
            let applied = if applied == known { all } else { applied };
            directory.keep(key, doc, generation, applied);
        }
        let ticket = directory.tail.last_own(instance, &dependencies.keys);
        basis.ticket = ticket;
        let backlog = directory.catalog.backlog();
        Ok(Made { ticket, dependencies, basis, outcomes, backlog })
    }

    fn enqueue(&self, directory: &mut Directory, instance: InstanceId, body: Bytes) -> Result<()> {
        let abandoned = || self.log.failed("the write before this one failed; try again");
        directory.enqueue(&self.log, instance, body).ok_or_else(abandoned)?;
        Ok(())
    }
}
