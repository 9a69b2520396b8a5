//! Runs one Automerge transaction: chooses its actor, checks its bounds, and returns the change that it makes.

use super::ancestry::check_counter;
use super::change_message::{ChangeKind, OpenText};
use super::chunk::OPERATIONS_MAX;
use super::doc::Doc;
use super::error::MergeError;
use super::hashes::Hashes;
use super::new_change::{NewChange, Stamp};
use super::panic_guard::change_by_hash;
use super::plan::Step;
use super::size_bounds::WRITABLE;
use super::well_formed::Objects;
use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{ActorId, Automerge, AutomergeError, ObjId, PatchLog, Prop, ReadDoc, ScalarValue};
use std::collections::BTreeSet;

impl Doc {
    /// Runs `f` in a transaction and commits it. The change is `None` if `f` did nothing.
    ///
    /// If `f` fails or does too much, the transaction is rolled back. An error after the commit leaves the change in this
    /// document: the caller must drop it.
    pub(super) fn transact<T>(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, AutomergeError>,
    ) -> Result<(T, Option<NewChange>), MergeError> {
        self.transact_with(stamp, base, |_| Ok(stamp.options(ChangeKind::Edit)), f)
    }

    fn transact_with<T>(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        options: impl FnOnce(&T) -> Result<CommitOptions, MergeError>,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, AutomergeError>,
    ) -> Result<(T, Option<NewChange>), MergeError> {
        // The actor must be set before the transaction: Automerge takes the actor and its next number when it begins.
        self.choose_actor(stamp, base)?;
        self.check_writable()?;
        let mut tx = begin(&mut self.am, base)?;
        // A transaction that is dropped without a commit rolls back.
        let result = f(&mut tx).map_err(MergeError::refused)?;
        check_operations(&tx)?;
        let options = options(&result)?;
        let (hash, _) = tx.commit_with(options);
        let change = hash.map(|hash| self.made(&hash)).transpose()?;
        Ok((result, change))
    }

    /// Carries out steps in one change, whose message lists the places of texts that they leave open.
    pub(super) fn run(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        steps: &[Step],
    ) -> Result<Option<NewChange>, MergeError> {
        let options = |open: &Vec<OpenText>| stamp.options_of(open);
        Ok(self.transact_with(stamp, base, options, |tx| run_steps(tx, steps))?.1)
    }

    /// Makes a change without operations on top of all others.
    ///
    /// The bounds of the history are not checked, so that every document can be deleted.
    pub(super) fn empty_change(
        &mut self,
        stamp: &Stamp<'_>,
        kind: ChangeKind,
    ) -> Result<NewChange, MergeError> {
        self.choose_actor(stamp, None)?;
        let hash = self.am.empty_commit(stamp.options(kind));
        self.made(&hash)
    }

    /// Returns the change that Automerge has just committed, after the checks that every reader will make.
    ///
    /// Trap: a transaction can make operations that Automerge cannot apply elsewhere, such as setting a character of a
    /// text. No such change may be acknowledged.
    fn made(&mut self, hash: &automerge::ChangeHash) -> Result<NewChange, MergeError> {
        let change = change_by_hash(&self.am, hash)?.ok_or_else(no_change)?;
        Objects::of(&self.am).check(&change)?;
        let (made, size) = NewChange::new(&change)?;
        self.size += size;
        Ok(made)
    }

    /// Sets the actor of the next change, after checking that the change will have operation counters within bounds.
    pub(super) fn choose_actor(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
    ) -> Result<(), MergeError> {
        let heads = self.am.get_heads();
        let end = |heads: &Hashes| {
            let metas = heads.iter().filter_map(|head| self.am.get_change_meta_by_hash(head));
            metas.map(|meta| meta.max_op).max().unwrap_or(0)
        };
        let now = end(&heads);
        // Every reader would refuse a change whose counters go beyond the end, so it must not be made.
        // It counts on from all changes that it has, also in a transaction at an earlier version.
        check_counter(base.map_or(now, end), now + 1, OPERATIONS_MAX)?;
        let actor = self.free_actor(stamp, base);
        self.am.set_actor(actor);
        Ok(())
    }

    /// Checks that the history has room for more operations.
    pub(super) fn check_writable(&self) -> Result<(), MergeError> {
        self.size.check(&WRITABLE)
    }

    /// Returns the stamp's actor, or a derived one if the stamp's actor has a change that the new one will not build on.
    ///
    /// Trap: the changes of one actor must build on each other, or one of two with the same number is refused for ever.
    /// Automerge would derive an actor too, but looks at operations only: it overlooks changes that have none, and
    /// pending ones, which it does not know.
    fn free_actor(&self, stamp: &Stamp<'_>, base: Option<&Hashes>) -> ActorId {
        // Without a base there is no change to be beside, and the graph is not read.
        let graph = base.map(|base| (base, self.graph.of(&self.am)));
        let since = graph.iter().flat_map(|(base, graph)| graph.actors_since(base));
        let since = since.map(ActorId::to_bytes);
        let pending = self.pending.values().map(|pending| pending.actor.as_slice());
        let taken: BTreeSet<&[u8]> = since.chain(pending).collect();
        // The suffix is counted, not random: this layer has no source of randomness.
        let derived = (1..u32::MAX).map(|n| [&stamp.actor[..], &n.to_be_bytes()].concat());
        let mut candidates = std::iter::once(stamp.actor.to_vec()).chain(derived);
        let free = candidates.find(|actor| !taken.contains(actor.as_slice()));
        ActorId::from(free.unwrap_or_else(|| stamp.actor.to_vec()))
    }
}

/// Opens a transaction at `base`, or on top of all changes if `None`.
pub(super) fn begin<'a>(
    am: &'a mut Automerge,
    base: Option<&Hashes>,
) -> Result<Transaction<'a>, MergeError> {
    match base {
        None => Ok(am.transaction()),
        Some(base) => am
            .transaction_at(PatchLog::inactive(), base)
            .map_err(|error| MergeError::Refused { why: error.to_string() }),
    }
}

/// Carries out all steps but those that remove a value. Returns the texts with open places that they write.
pub(super) fn run_steps(
    tx: &mut Transaction<'_>,
    steps: &[Step],
) -> Result<Vec<OpenText>, AutomergeError> {
    let mut written = Vec::new();
    for step in steps {
        match step {
            Step::PutText { obj, prop, text, open } => {
                let operation = put_text(tx, obj, prop, text)?;
                let places = open.clone();
                written.extend((!open.is_empty()).then_some(OpenText { operation, places }));
            }
            Step::Put { obj, prop, value } => put(tx, obj, prop, value)?,
            Step::Create { obj, prop, value } => {
                // One call for the whole value: with a call for each field a write takes twice as long.
                tx.batch_create_object(obj, prop.clone(), value, false).map(drop)?;
            }
            Step::Insert { list, index, values } => {
                tx.splice(list, *index, 0, values.iter().cloned())?;
            }
            Step::Delete { obj, prop } => tx.delete(obj, prop.clone())?,
            Step::Increment { obj, prop, by } => tx.increment(obj, prop.clone(), *by)?,
            Step::Rewrite { text, to } => tx.update_text(text, to)?,
            // No call of a transaction does that: see `remove_values`.
            Step::RemoveValue { .. } => {}
        }
    }
    Ok(written)
}

/// Writes a text, also if it is there. Returns the number of the operation in its change.
fn put_text(
    tx: &mut Transaction<'_>,
    obj: &ObjId,
    prop: &Prop,
    text: &str,
) -> Result<u64, AutomergeError> {
    put(tx, obj, prop, &text.into())?;
    Ok(tx.pending_ops().saturating_sub(1) as u64)
}

/// Writes a value, also if it is there.
///
/// Trap: if the value is there alone, Automerge makes no operation. If it is the winner of a conflict, Automerge only deletes
/// the losers. What another writer puts there at the same time replaces the winner, so that this writer's choice would go
/// unseen. Of a text, other places may be open from now on.
fn put(
    tx: &mut Transaction<'_>,
    obj: &ObjId,
    prop: &Prop,
    value: &ScalarValue,
) -> Result<(), AutomergeError> {
    let winner = tx.get(obj, prop.clone())?;
    if winner.is_some_and(|(winner, _)| winner.as_scalar() == Some(value)) {
        let other = if *value == ScalarValue::Null {
            ScalarValue::Boolean(false)
        } else {
            ScalarValue::Null
        };
        tx.put(obj, prop.clone(), other)?;
    }
    tx.put(obj, prop.clone(), value.clone())
}

/// Checks the number of operations before they are committed: afterwards it would be too late.
pub(super) fn check_operations(tx: &Transaction<'_>) -> Result<(), MergeError> {
    let (count, limit) = (tx.pending_ops() as u64, OPERATIONS_MAX);
    if count > limit {
        return Err(MergeError::TooMany { what: "operations", count, limit });
    }
    Ok(())
}

/// Returns the error for a commit whose change cannot be found.
pub(super) fn no_change() -> MergeError {
    MergeError::Refused { why: "it does not return the change that it has just made".to_owned() }
}
