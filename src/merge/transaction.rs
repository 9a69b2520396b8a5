//! One Automerge transaction: the actor it is made by, the room there is for it, and the change that it leaves.

use super::ancestry::check_counter;
use super::change_message::ChangeKind;
use super::chunk::OPERATIONS_MAX;
use super::doc::Doc;
use super::error::MergeError;
use super::hashes::Hashes;
use super::new_change::{NewChange, Stamp};
use super::panic_guard::change_by_hash;
use super::plan::Step;
use super::size_bounds::WRITABLE;
use super::well_formed::Objects;
use automerge::transaction::{Transactable, Transaction};
use automerge::{ActorId, Automerge, PatchLog};
use std::collections::BTreeSet;

impl Doc {
    pub(super) fn transact<T>(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, MergeError>,
    ) -> Result<(T, Option<NewChange>), MergeError> {
        self.choose_actor(stamp, base)?;
        self.check_writable()?;
        let mut tx = begin(&mut self.am, base)?;
        let result = f(&mut tx)?;
        check_operations(&tx)?;
        let (hash, _) = tx.commit_with(stamp.options(ChangeKind::Edit));
        let change = hash.map(|hash| self.made(&hash)).transpose()?;
        Ok((result, change))
    }

    /// A change without operations, on top of all others. A history that is too long for more operations has
    /// room for it: every document can be deleted.
    pub(super) fn empty_change(
        &mut self,
        stamp: &Stamp<'_>,
        kind: ChangeKind,
    ) -> Result<NewChange, MergeError> {
        self.choose_actor(stamp, None)?;
        let hash = self.am.empty_commit(stamp.options(kind));
        self.made(&hash)
    }

    /// What Automerge just made of this document.
    fn made(&mut self, hash: &automerge::ChangeHash) -> Result<NewChange, MergeError> {
        let change = change_by_hash(&self.am, hash)?.ok_or_else(no_change)?;
        Objects::of(&self.am).check(&change)?;
        let (made, size) = NewChange::new(&change)?;
        self.size += size;
        Ok(made)
    }

    /// Sets the actor, after checking that its operations will have counters within bounds.
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
        check_counter(base.map_or(now, end), now + 1, OPERATIONS_MAX)?;
        let actor = self.free_actor(stamp, base);
        self.am.set_actor(actor);
        Ok(())
    }

    /// Whether the history may hold more.
    pub(super) fn check_writable(&self) -> Result<(), MergeError> {
        self.size.check(&WRITABLE)
    }

    /// The stamp's actor, unless it has a change that the new one will not build on: numbers of one
    /// actor must follow each other. Then a derived actor, the first that has none.
    ///
    /// Automerge would derive one too, but looks at operations only: it overlooks changes that have
    /// none, and those that wait here.
    fn free_actor(&self, stamp: &Stamp<'_>, base: Option<&Hashes>) -> ActorId {
        let since = base.map(|base| self.am.get_changes_meta(base)).unwrap_or_default();
        let since = since.iter().map(|meta| meta.actor.to_bytes());
        let pending = self.pending.values().map(|pending| pending.actor.as_slice());
        let taken: BTreeSet<&[u8]> = since.chain(pending).collect();
        let derived = (1..u32::MAX).map(|n| [&stamp.actor[..], &n.to_be_bytes()].concat());
        let mut candidates = std::iter::once(stamp.actor.to_vec()).chain(derived);
        let free = candidates.find(|actor| !taken.contains(actor.as_slice()));
        ActorId::from(free.unwrap_or_else(|| stamp.actor.to_vec()))
    }
}

/// Opens a transaction at `base`, or on top of everything.
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

/// Carries out all steps but those that settle.
pub(super) fn run(tx: &mut Transaction<'_>, steps: &[Step]) -> Result<(), MergeError> {
    for step in steps {
        match step {
            Step::Put { obj, prop, value } => tx.put(obj, prop.clone(), value.clone())?,
            Step::Create { obj, prop, value } => {
                tx.batch_create_object(obj, prop.clone(), value, false).map(drop)?;
            }
            Step::Insert { list, index, values } => {
                tx.splice(list, *index, 0, values.iter().cloned())?;
            }
            Step::Delete { obj, prop } => tx.delete(obj, prop.clone())?,
            Step::Increment { obj, prop, by } => tx.increment(obj, prop.clone(), *by)?,
            Step::Rewrite { text, to } => tx.update_text(text, to)?,
            Step::Settle { .. } => {}
        }
    }
    Ok(())
}

pub(super) fn check_operations(tx: &Transaction<'_>) -> Result<(), MergeError> {
    let (count, limit) = (tx.pending_ops() as u64, OPERATIONS_MAX);
    if count > limit {
        return Err(MergeError::TooMany { what: "operations", count, limit });
    }
    Ok(())
}

pub(super) fn no_change() -> MergeError {
    MergeError::Refused { why: "it does not give back the change that it just made".to_owned() }
}
