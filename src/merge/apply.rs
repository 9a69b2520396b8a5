//! Applies changes from outside: in any order, repeated, damaged or hostile.
//!
//! Every change passes the checks of `chunk`, `size_bounds`, `ancestry` and `well_formed` before Automerge sees it.
//! Automerge gets whole batches, because applying a change costs it a walk over every object that the batch touches.

use super::ancestry::Ancestry;
use super::chunk::{Chunk, hash_of};
use super::doc::{Doc, PendingChange};
use super::error::MergeError;
use super::panic_guard::{catch_panic, decode_change};
use super::size_bounds::{DocSize, READABLE};
use super::well_formed::Objects;
use crate::format::hash::ChangeHash;
use automerge::{Automerge, Change};
use std::collections::{HashMap, HashSet};

/// Result of [`Doc::apply`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Applied {
    /// Number of changes that are applied now and were not before.
    pub new: usize,
    /// Changes that were refused, with their hash if the bytes have one. All others were applied, are pending, or
    /// were there before.
    pub rejected: Vec<(Option<ChangeHash>, MergeError)>,
}

/// Document that a batch is applied to.
#[derive(Debug, Clone, Copy)]
enum ApplyTo {
    /// A copy. If Automerge fails, the document stays as it was.
    Copy,
    /// The document itself. If Automerge fails, the document is lost.
    Original,
}

/// A change whose dependencies are applied or come before it in the batch.
#[derive(Clone)]
struct ReadyChange {
    hash: ChangeHash,
    change: Change,
    size: DocSize,
}

impl Doc {
    /// Adds raw changes, in any order and however often.
    ///
    /// A change that is refused is reported and does not keep the others out. A change whose dependencies are missing
    /// becomes pending.
    pub fn apply<'a>(&mut self, changes: impl IntoIterator<Item = &'a [u8]>) -> Applied {
        self.apply_with(changes, ApplyTo::Copy)
    }

    /// Adds raw changes without making a copy of the document first, which takes long for a long history.
    ///
    /// Returns `None` if a change was refused. The document is lost then: load it again and call [`Doc::apply`].
    pub fn apply_without_copy<'a>(
        mut self,
        changes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let applied = self.apply_with(changes, ApplyTo::Original);
        applied.rejected.is_empty().then_some(self)
    }

    /// Adds all changes of `other`, the pending ones too.
    ///
    /// # Errors
    /// [`MergeError::Panicked`] if `other` was forged and does not hold the changes that it lists. Nothing is changed
    /// then.
    pub fn merge(&mut self, other: &Doc) -> Result<Applied, MergeError> {
        // Not `Automerge::merge`: it would apply them without the checks and without a copy.
        let added = catch_panic(|| self.am.get_changes_added(&other.am))?;
        let pending = other.pending.values().map(|pending| pending.bytes.as_slice());
        Ok(self.apply(added.iter().map(Change::raw_bytes).chain(pending)))
    }

    fn apply_with<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a [u8]>,
        target: ApplyTo,
    ) -> Applied {
        let mut applied = Applied::default();
        for bytes in changes {
            match Chunk::parse(bytes) {
                Ok(chunk) if self.contains(&chunk.hash) => {}
                // Every new change is pending for a moment: its dependencies may stand behind it in the batch.
                Ok(Chunk { hash, deps, actor, size, .. }) => {
                    let (bytes, actor) = (bytes.to_vec(), actor.to_vec());
                    let pending = || PendingChange { bytes, deps, actor, size };
                    self.pending.entry(hash).or_insert_with(pending);
                }
                Err(error) => applied.rejected.push((hash_of(bytes).ok(), error)),
            }
        }
        self.apply_ready(target, &mut applied);
        applied
    }

    /// Applies the pending changes whose dependencies are there.
    fn apply_ready(&mut self, target: ApplyTo, applied: &mut Applied) {
        let (mut batch, mut all) = (Vec::new(), self.size);
        for hash in self.in_causal_order() {
            let Some(PendingChange { bytes, size, .. }) = self.pending.get(&hash) else { continue };
            // Only changes that fit are summed up, so a huge one does not keep out a small one after it.
            let (size, mut with) = (*size, all);
            with += size;
            match with.check(&READABLE).and_then(|()| decode_change(bytes)) {
                Ok(change) => {
                    all = with;
                    batch.push(ReadyChange { hash, change, size });
                }
                Err(error) => self.reject(hash, error, applied),
            }
        }
        self.apply_batch(&batch, target, applied);
    }

    fn reject(&mut self, hash: ChangeHash, error: MergeError, applied: &mut Applied) {
        self.pending.remove(&hash);
        applied.rejected.push((Some(hash), error));
    }

    /// Lists the pending changes for which nothing is missing, each after those that it depends on.
    ///
    /// Trap: Automerge would put a change that comes too early into its own queue.
    fn in_causal_order(&self) -> Vec<ChangeHash> {
        let mut dependents: HashMap<ChangeHash, Vec<ChangeHash>> = HashMap::new();
        let mut unmet: HashMap<ChangeHash, usize> = HashMap::new();
        let mut ready = Vec::new();
        for (hash, pending) in &self.pending {
            let open: HashSet<_> = pending.deps.iter().filter(|dep| !self.contains(dep)).collect();
            if open.is_empty() {
                ready.push(*hash);
            }
            unmet.insert(*hash, open.len());
            for dep in open {
                dependents.entry(*dep).or_default().push(*hash);
            }
        }
        // Kahn's algorithm. A loop over the list instead of recursion: a chain of changes can be very long.
        let mut next = 0;
        while let Some(hash) = ready.get(next).copied() {
            next += 1;
            for dependent in dependents.remove(&hash).unwrap_or_default() {
                let left = unmet.entry(dependent).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    ready.push(dependent);
                }
            }
        }
        ready
    }

    /// Applies a batch in causal order.
    ///
    /// Trap: Automerge refuses a whole batch for one bad change, such as one with a sequence number that is taken.
    /// So the halves of a refused batch are tried, until only the bad changes are left out. The changes that
    /// depend on them stay pending.
    fn apply_batch(&mut self, batch: &[ReadyChange], target: ApplyTo, applied: &mut Applied) {
        let fitting = self.fitting(batch, applied);
        if fitting.is_empty() {
            return;
        }
        match self.try_batch(&fitting, target) {
            Ok(()) => {
                applied.new += fitting.len();
                for ready in fitting {
                    self.pending.remove(&ready.hash);
                    self.size += ready.size;
                }
            }
            Err(error) => match (fitting.as_slice(), target) {
                // The original is lost, so one report is enough: the caller starts again with a copy.
                ([only], _) | ([only, ..], ApplyTo::Original) => {
                    self.reject(only.hash, error, applied);
                }
                _ => {
                    let (first, second) = fitting.split_at(fitting.len() / 2);
                    let owned =
                        |half: &[&ReadyChange]| half.iter().copied().cloned().collect::<Vec<_>>();
                    self.apply_batch(&owned(first), target, applied);
                    self.apply_batch(&owned(second), target, applied);
                }
            },
        }
    }

    /// Returns the changes of a batch that pass the checks against the document and the batch before them, and
    /// rejects those that do not. A change without its dependencies stays pending.
    fn fitting<'a>(
        &mut self,
        batch: &'a [ReadyChange],
        applied: &mut Applied,
    ) -> Vec<&'a ReadyChange> {
        let (mut ancestry, mut objects) = (Ancestry::of(&self.am), Objects::of(&self.am));
        let mut fitting = Vec::new();
        for ready in batch {
            let goes_on = ancestry.check(&ready.change);
            match goes_on.map(|goes_on| goes_on.and_then(|()| objects.check(&ready.change))) {
                // A change before it in the batch was refused, or is in the half that is not applied yet.
                None => {}
                Some(Ok(())) => {
                    ancestry.add(ready.hash, &ready.change);
                    fitting.push(ready);
                }
                Some(Err(error)) => {
                    self.pending.remove(&ready.hash);
                    applied.rejected.push((Some(ready.hash), error));
                }
            }
        }
        fitting
    }

    fn try_batch(&mut self, batch: &[&ReadyChange], target: ApplyTo) -> Result<(), MergeError> {
        let changes = batch.iter().map(|ready| &ready.change);
        match target {
            ApplyTo::Copy => self.apply_to_copy(changes),
            ApplyTo::Original => apply_to(&mut self.am, changes),
        }
    }

    /// Applies changes whose dependencies are all there to a copy, and replaces the document with the copy.
    ///
    /// Trap: a panic in the middle of `apply_changes` leaves a document half changed. This way the original stays whole.
    pub(super) fn apply_to_copy<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change> + Clone,
    ) -> Result<(), MergeError> {
        // Copying an empty document takes longer than making one.
        let mut copy = match self.am.get_heads().is_empty() {
            true => Box::default(),
            false => self.am.clone(),
        };
        apply_to(&mut copy, changes)?;
        self.am = copy;
        Ok(())
    }
}

/// Applies changes, and checks that Automerge can return them.
fn apply_to<'a>(
    am: &mut Automerge,
    changes: impl Iterator<Item = &'a Change> + Clone,
) -> Result<(), MergeError> {
    let before = am.get_heads();
    catch_panic(|| am.apply_changes(changes.clone().cloned()))?.map_err(MergeError::refused)?;
    // Trap: Automerge keeps operations, not bytes. It encodes a change anew whenever it is asked for it,
    // and panics if that gives another hash: such a document could be neither read nor saved.
    match catch_panic(|| gives_back(am, &before, changes)) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(MergeError::NotCanonical),
    }
}

/// Returns true if `am` returns the changes that came on top of `before` byte for byte.
fn gives_back<'a>(
    am: &Automerge,
    before: &[automerge::ChangeHash],
    mut changes: impl Iterator<Item = &'a Change>,
) -> bool {
    let given = am.get_changes(before);
    let given: HashMap<_, _> =
        given.iter().map(|given| (given.hash(), given.raw_bytes())).collect();
    changes.all(|change| given.get(&change.hash()).is_some_and(|g| *g == change.raw_bytes()))
}
