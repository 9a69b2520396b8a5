//! Taking in changes from outside: in any order, repeated, damaged or hostile.

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

/// What became of the changes given to [`Doc::apply`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Applied {
    /// How many changes are part of the document now and were not before.
    pub new: usize,
    /// Those that were refused, with their hash where the bytes have one. All others were applied,
    /// wait for a dependency, or were here before.
    pub rejected: Vec<(Option<ChangeHash>, MergeError)>,
}

/// What is done about a batch that Automerge cannot digest.
#[derive(Debug, Clone, Copy)]
enum ApplyTo {
    /// The document outlives it.
    Copy,
    /// It is noticed, and the document is lost.
    None,
}

#[derive(Clone)]
struct ReadyChange {
    hash: ChangeHash,
    change: Change,
    size: DocSize,
}

impl Doc {
    /// Adds raw changes, in any order and however often. One that cannot be taken is reported and
    /// does not keep the others out; one whose dependencies are missing waits.
    pub fn apply<'a>(&mut self, changes: impl IntoIterator<Item = &'a [u8]>) -> Applied {
        self.apply_with(changes, ApplyTo::Copy)
    }

    /// As [`Doc::apply`], without the copy that it makes of the document to fall back on: that takes
    /// long if the document has a long history. `None` if a change was refused; the document is lost
    /// then, and has to be loaded again and given to [`Doc::apply`].
    pub fn apply_without_copy<'a>(
        mut self,
        changes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let applied = self.apply_with(changes, ApplyTo::Original);
        applied.rejected.is_empty().then_some(self)
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

    /// Adds all changes of `other`, also those that wait there.
    ///
    /// # Errors
    /// [`MergeError::Panicked`] if `other` was forged so that it does not hold what it says; nothing is changed then.
    pub fn merge(&mut self, other: &Doc) -> Result<Applied, MergeError> {
        let added = catch_panic(|| self.am.get_changes_added(&other.am))?;
        let pending = other.pending.values().map(|pending| pending.bytes.as_slice());
        Ok(self.apply(added.iter().map(Change::raw_bytes).chain(pending)))
    }

    fn apply_ready(&mut self, target: ApplyTo, applied: &mut Applied) {
        let (mut batch, mut all) = (Vec::new(), self.size);
        for hash in self.in_causal_order() {
            let Some(PendingChange { bytes, size, .. }) = self.pending.get(&hash) else { continue };
            let (size, mut with) = (*size, all);
            with += size;
            match with.check(&READABLE).and_then(|()| decode_change(bytes)) {
                Ok(change) => {
                    all = with;
                    batch.push(ReadyChange { hash, change, size });
                }
                Err(error) => {
                    self.pending.remove(&hash);
                    applied.rejected.push((Some(hash), error));
                }
            }
        }
        self.apply_batch(&batch, target, applied);
    }

    /// The pending changes that nothing is missing for, each after those it depends on.
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

    /// Applies a batch in causal order. If Automerge refuses it, its halves are tried, so that only
    /// the culprits are left out; what depends on them goes on pending.
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
                ([only], _) | ([only, ..], ApplyTo::Original) => {
                    self.pending.remove(&only.hash);
                    applied.rejected.push((Some(only.hash), error));
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

    /// Those of a batch whose dependencies are here (or earlier in the batch), that go on from them, and whose operations
    /// fit.
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

    /// Applies changes whose dependencies are all there to a copy, which then takes the document's
    /// place: whatever Automerge does to it, the original stays whole.
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

fn apply_to<'a>(
    am: &mut Automerge,
    changes: impl Iterator<Item = &'a Change> + Clone,
) -> Result<(), MergeError> {
    let before = am.get_heads();
    catch_panic(|| am.apply_changes(changes.clone().cloned()))??;
    // Automerge keeps operations, not bytes. It encodes a change anew whenever it is asked for it,
    // and panics if that gives another hash: such a document could be neither read nor saved.
    match catch_panic(|| gives_back(am, &before, changes)) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(MergeError::NotCanonical),
    }
}

/// Whether `am` returns the changes that came on top of `before` byte for byte.
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
