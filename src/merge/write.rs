//! Making changes: the difference between what a document shows and what it shall show.

use super::doc::Doc;
use super::error::MergeError;
use super::intake::check_counter;
use super::message::{ChangeKind, Message};
use super::plan::{Plan, Step, hydrated, without_nulls};
use super::read::{Found, Kind, MapNode, Reader, Sorted};
use super::view::pointer;
use crate::format::hash::{ChangeHash, Heads};
use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{ActorId, Automerge, AutomergeError, ObjId, PatchLog, ROOT, ReadDoc, ScalarValue};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

/// The longest value of a `put` or `patch`, in bytes of compact JSON.
pub const VALUE_BYTES_MAX: u64 = 1 << 20;
/// How deeply maps and lists may nest in a written value, the document itself included.
pub const NESTING_MAX: usize = 64;

type Hashes = [automerge::ChangeHash];

/// Who writes, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The instance that writes. Only one process may ever use it, and every change that it made to
    /// a document must be in the [`Doc`] (applied or waiting) that it writes with.
    pub actor: [u8; 16],
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Free text, such as `claude-code/2.1 (crdt-palace 0.1.0)`.
    pub by: &'a str,
}

/// A change that was just made and is part of the document already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChange {
    /// Its name.
    pub hash: ChangeHash,
    /// The uncompressed chunk: what a segment keeps.
    pub bytes: Vec<u8>,
}

impl Stamp<'_> {
    pub(super) fn options(&self, kind: ChangeKind) -> CommitOptions {
        let options = CommitOptions::default().with_time(self.time_ms);
        match Message::new(self.by, kind).encode() {
            Some(message) => options.with_message(message),
            None => options,
        }
    }
}

impl Doc {
    /// Makes the document `value`: what differs is written, nothing else. `None` if nothing differs.
    ///
    /// It states the whole document, so every field in conflict is settled, also where the shown
    /// value is the one that is put. A deleted document comes back; its hidden content is what
    /// `value` is compared with. A number over a counter is an increment by the difference.
    ///
    /// With a `base`, the change is made at that version and is concurrent with everything since.
    /// If the stamp's actor has written since, an actor of its own is used for it: the 16 bytes and
    /// a suffix of four.
    ///
    /// # Errors
    /// If the value is over [`VALUE_BYTES_MAX`] or [`NESTING_MAX`], or `base` is not of this
    /// document.
    pub fn put(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        value: &Map<String, Json>,
    ) -> Result<Option<NewChange>, MergeError> {
        check_value(value)?;
        let base = self.base(base)?;
        if base.is_none() && self.am.stats().num_ops == 0 && !value.is_empty() {
            return self.first_write(stamp, value).map(Some);
        }
        let mut plan = Plan::default();
        plan.put(&self.root(base.as_deref()), value);
        self.commit(stamp, base.as_deref(), plan)
    }

    /// Merges `patch` into the document as RFC 7396 says: `null` removes a field, a map is merged,
    /// anything else replaces. The fields that it names are settled if they are in conflict, also
    /// with the shown value. `None` if nothing differs. A deleted document counts as an empty one.
    ///
    /// # Errors
    /// As [`Doc::put`].
    pub fn patch(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        patch: &Map<String, Json>,
    ) -> Result<Option<NewChange>, MergeError> {
        check_value(patch)?;
        let base = self.base(base)?;
        let root = self.root(base.as_deref());
        let mut plan = Plan::default();
        if self.hidden_at(base.as_deref()) {
            if let Json::Object(value) = without_nulls(&Json::Object(patch.clone())) {
                plan.put(&root, &value);
            }
        } else {
            plan.patch(&root, patch);
        }
        self.commit(stamp, base.as_deref(), plan)
    }

    /// Hands an Automerge transaction to `f`, for what `put` and `patch` cannot say (texts that
    /// several people edit, list positions, counters). Whatever `f` did is undone if it fails. The
    /// change is `None` if it did nothing. A deleted document shows its hidden content to `f`.
    ///
    /// # Errors
    /// Those of `f`, and [`MergeError::TooMany`] over 100,000 operations.
    pub fn edit<T>(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, AutomergeError>,
    ) -> Result<(T, Option<NewChange>), MergeError> {
        let base = self.base(base)?;
        self.transact(stamp, base.as_deref(), |tx| Ok(f(tx)?))
    }

    /// Adds `by` to the counter at `path`, and creates it, with the maps around it, if it is not
    /// there. `None` if there is one and `by` is 0.
    ///
    /// # Errors
    /// [`MergeError::WrongType`] if something else is there, and as [`Doc::put`].
    pub fn increment(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        path: &[&str],
        by: i64,
    ) -> Result<Option<NewChange>, MergeError> {
        let base = self.base(base)?;
        let new = automerge::hydrate::Value::Scalar(ScalarValue::counter(by));
        let plan = self.at_path(base.as_deref(), path, new, |parts, key, found| {
            if !matches!(found.winner.kind, Kind::Counter(_)) {
                return Err((found.winner.kind.name(), "a counter"));
            }
            let obj = parts.get(found.winner.part).cloned().unwrap_or(ROOT);
            let step = Step::Increment { obj, prop: key.into(), by };
            Ok(if by == 0 { Vec::new() } else { vec![step] })
        })?;
        self.commit(stamp, base.as_deref(), plan)
    }

    /// Adds elements to the end of the list at `path`, and creates it, with the maps around it, if
    /// it is not there. `None` if `values` is empty.
    ///
    /// # Errors
    /// [`MergeError::WrongType`] if something else is there, and as [`Doc::put`].
    pub fn append(
        &mut self,
        stamp: &Stamp<'_>,
        path: &[&str],
        values: &[Json],
    ) -> Result<Option<NewChange>, MergeError> {
        if values.is_empty() {
            return Ok(None);
        }
        let whole = Json::Array(values.to_vec());
        check_nesting(&whole, NESTING_MAX.saturating_sub(path.len()))?;
        check_size(&whole)?;
        let am = &self.am;
        let plan = self.at_path(None, path, hydrated(&whole), |_, _, found| {
            let list = list_parts(&found)?.into_iter().next_back().unwrap_or(ROOT);
            let index = am.length(&list);
            Ok(vec![Step::Insert { list, index, values: values.iter().map(hydrated).collect() }])
        })?;
        self.commit(stamp, None, plan)
    }

    /// Removes the elements that `unwanted` names from the list at `path`, and touches no other.
    /// `None` if there is none of them, or no list.
    ///
    /// # Errors
    /// [`MergeError::WrongType`] if something else is there.
    pub fn remove_items(
        &mut self,
        stamp: &Stamp<'_>,
        path: &[&str],
        unwanted: &dyn Fn(&Json) -> bool,
    ) -> Result<Option<NewChange>, MergeError> {
        if self.is_deleted() {
            return Ok(None);
        }
        let reader = Reader { am: &self.am, heads: None };
        let mut plan = Plan::default();
        if let Some((_, found)) = self.find(None, path)? {
            let parts = list_parts(&found).map_err(|types| wrong_type(path, types))?;
            let list = reader.list(parts, 0);
            let gone = |item: &&super::read::Item| unwanted(&item.slot.shown.to_json());
            let delete = |item: &super::read::Item| {
                let obj = list.parts.get(item.part)?.clone();
                Some(Step::Delete { obj, prop: item.index.into() })
            };
            plan.steps.extend(list.items.iter().rev().filter(gone).filter_map(delete));
        }
        self.commit_unless_empty(stamp, plan)
    }

    /// Deletes the document: it stops to be shown, and comes back whole with the next edit, also
    /// with one that is made at the same time. `None` if it is deleted already, or empty.
    ///
    /// # Errors
    /// [`MergeError::CounterTooFar`] at the end of the counters.
    pub fn delete(&mut self, stamp: &Stamp<'_>) -> Result<Option<NewChange>, MergeError> {
        if self.heads().is_empty() || self.is_deleted() {
            return Ok(None);
        }
        self.empty_change(stamp, ChangeKind::Delete).map(Some)
    }

    /// `None` where `base` is absent or the present version.
    pub(super) fn base(
        &self,
        base: Option<&Heads>,
    ) -> Result<Option<Vec<automerge::ChangeHash>>, MergeError> {
        match base {
            Some(base) if *base != self.heads() => self.known(base).map(Some),
            _ => Ok(None),
        }
    }

    fn root(&self, base: Option<&Hashes>) -> MapNode {
        Reader { am: &self.am, heads: base }.root()
    }

    fn hidden_at(&self, base: Option<&Hashes>) -> bool {
        base.map_or_else(|| self.is_deleted(), |base| self.deleted_at(base))
    }

    /// The united map that the last step of `path` is a field of, and that field, if it is there.
    fn find(
        &self,
        base: Option<&Hashes>,
        path: &[&str],
    ) -> Result<Option<(Vec<ObjId>, Sorted)>, MergeError> {
        match self.descend(base, path)? {
            (parts, [key]) => {
                let field = Reader { am: &self.am, heads: base }.field(&parts, key);
                Ok(field.map(|found| (parts, found)))
            }
            _ => Ok(None),
        }
    }

    /// Goes down `path` as far as there are maps; returns the last one and what is left of the path.
    fn descend<'p, 'k>(
        &self,
        base: Option<&Hashes>,
        path: &'p [&'k str],
    ) -> Result<(Vec<ObjId>, &'p [&'k str]), MergeError> {
        let reader = Reader { am: &self.am, heads: base };
        let mut parts = vec![ROOT];
        let mut rest = path;
        while let [key, deeper @ ..] = rest {
            let found = if deeper.is_empty() { None } else { reader.field(&parts, key) };
            match found {
                Some(found) if found.winner.kind == Kind::Map => {
                    parts = ids(&found.united);
                    rest = deeper;
                }
                Some(found) => {
                    let here = path.len() - deeper.len();
                    let types = (found.winner.kind.name(), "a map");
                    return Err(wrong_type(path.get(..here).unwrap_or_default(), types));
                }
                None => return Ok((parts, rest)),
            }
        }
        Err(MergeError::EmptyPath)
    }

    /// Plans a write to the field at `path`: `change` says how if it is there, otherwise it is
    /// created with `new`. In a deleted document nothing is there.
    fn at_path(
        &self,
        base: Option<&Hashes>,
        path: &[&str],
        new: automerge::hydrate::Value,
        change: impl FnOnce(&[ObjId], &str, Sorted) -> Result<Vec<Step>, (&'static str, &'static str)>,
    ) -> Result<Plan, MergeError> {
        if path.len() > NESTING_MAX {
            return Err(MergeError::TooDeep { limit: NESTING_MAX });
        }
        let mut plan = Plan::default();
        let hidden = self.hidden_at(base);
        if hidden {
            plan.clear(&self.root(base));
        } else if let Some((parts, found)) = self.find(base, path)? {
            let key = path.last().copied().unwrap_or_default();
            plan.steps = change(&parts, key, found).map_err(|types| wrong_type(path, types))?;
            return Ok(plan);
        }
        let (parts, rest) = if hidden { (vec![ROOT], path) } else { self.descend(base, path)? };
        let (key, inner) = rest.split_first().ok_or(MergeError::EmptyPath)?;
        let value = inner.iter().rev().fold(new, |value, key| {
            let map = std::collections::HashMap::from([((*key).to_owned(), value)]);
            automerge::hydrate::Value::Map(map.into())
        });
        let obj = parts.into_iter().next_back().unwrap_or(ROOT);
        plan.steps.push(match value {
            automerge::hydrate::Value::Scalar(value) => {
                Step::Put { obj, prop: (*key).into(), value }
            }
            value => Step::Create { obj, prop: (*key).into(), value },
        });
        Ok(plan)
    }

    fn commit_unless_empty(
        &mut self,
        stamp: &Stamp<'_>,
        plan: Plan,
    ) -> Result<Option<NewChange>, MergeError> {
        if plan.steps.is_empty() { Ok(None) } else { self.commit(stamp, None, plan) }
    }

    /// Makes the change that a plan describes. If it describes none and the document is deleted, an
    /// empty change brings it back.
    fn commit(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        plan: Plan,
    ) -> Result<Option<NewChange>, MergeError> {
        let revive = self.hidden_at(base);
        let (settled, steps): (Vec<_>, Vec<_>) =
            plan.steps.into_iter().partition(|step| matches!(step, Step::Settle { .. }));
        let change = match (steps.is_empty(), settled.is_empty()) {
            (true, true) => None,
            (false, true) => self.transact(stamp, base, |tx| run(tx, &steps))?.1,
            (_, false) => Some(self.settle(stamp, base, &steps, &settled)?),
        };
        match change {
            None if revive => self.empty_change(stamp, ChangeKind::Edit).map(Some),
            change => Ok(change),
        }
    }

    /// The first content of a document goes in as one batch, which is faster than field by field.
    fn first_write(
        &mut self,
        stamp: &Stamp<'_>,
        value: &Map<String, Json>,
    ) -> Result<NewChange, MergeError> {
        let value = super::plan::hydrated_map(value);
        let (_, change) =
            self.transact(stamp, None, |tx| Ok(tx.init_root_from_hydrate(&value)?))?;
        change.ok_or_else(no_change)
    }

    fn transact<T>(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, MergeError>,
    ) -> Result<(T, Option<NewChange>), MergeError> {
        self.prepare(stamp, base)?;
        let mut tx = begin(&mut self.am, base)?;
        let result = f(&mut tx)?;
        check_operations(&tx)?;
        let (hash, _) = tx.commit_with(stamp.options(ChangeKind::Edit));
        let change = hash.map(|hash| new_change(&self.am, &hash)).transpose()?;
        Ok((result, change))
    }

    /// A change without operations, on top of all others.
    pub(super) fn empty_change(
        &mut self,
        stamp: &Stamp<'_>,
        kind: ChangeKind,
    ) -> Result<NewChange, MergeError> {
        self.prepare(stamp, None)?;
        let hash = self.am.empty_commit(stamp.options(kind));
        new_change(&self.am, &hash)
    }

    /// Sets the actor, after checking that its operations will have counters within bounds.
    pub(super) fn prepare(
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
        check_counter(base.map_or(now, end), now + 1, super::OPERATIONS_MAX)?;
        let actor = self.free_actor(stamp, base);
        self.am.set_actor(actor);
        Ok(())
    }

    /// The stamp's actor, unless it has a change that the new one will not build on: numbers of one
    /// actor must follow each other. Then a derived actor, the first that has none.
    ///
    /// Automerge would derive one too, but looks at operations only: it overlooks changes that have
    /// none, and those that wait here.
    fn free_actor(&self, stamp: &Stamp<'_>, base: Option<&Hashes>) -> ActorId {
        let since = base.map(|base| self.am.get_changes_meta(base)).unwrap_or_default();
        let since = since.iter().map(|meta| meta.actor.to_bytes());
        let waiting = self.waiting.values().map(|waiting| waiting.actor.as_slice());
        let taken: BTreeSet<&[u8]> = since.chain(waiting).collect();
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
    let (count, limit) = (tx.pending_ops() as u64, super::OPERATIONS_MAX);
    if count > limit {
        return Err(MergeError::TooMany { what: "operations", count, limit });
    }
    Ok(())
}

pub(super) fn new_change(
    am: &Automerge,
    hash: &automerge::ChangeHash,
) -> Result<NewChange, MergeError> {
    let change = am.get_change_by_hash(hash).ok_or_else(no_change)?;
    Ok(NewChange { hash: ChangeHash(hash.0), bytes: change.raw_bytes().to_vec() })
}

fn no_change() -> MergeError {
    MergeError::Refused { why: "it does not give back the change that it just made".to_owned() }
}

fn ids(found: &[Found]) -> Vec<ObjId> {
    found.iter().map(|found| found.id.clone()).collect()
}

fn list_parts(found: &Sorted) -> Result<Vec<ObjId>, (&'static str, &'static str)> {
    match &found.winner.kind {
        Kind::List => Ok(ids(&found.united)),
        other => Err((other.name(), "a list")),
    }
}

fn wrong_type(path: &[&str], (found, wanted): (&'static str, &'static str)) -> MergeError {
    MergeError::WrongType { path: pointer(path.iter().copied()), found, wanted }
}

pub(super) fn check_value(value: &Map<String, Json>) -> Result<(), MergeError> {
    value.values().try_for_each(|value| check_nesting(value, NESTING_MAX - 1))?;
    check_size(value)
}

/// Counts the bytes of JSON without keeping them.
fn check_size(value: &impl serde::Serialize) -> Result<(), MergeError> {
    struct Count(u64);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value)
        .map_err(|error| MergeError::Refused { why: error.to_string() })?;
    if count.0 > VALUE_BYTES_MAX {
        return Err(MergeError::TooLarge { bytes: count.0, limit: VALUE_BYTES_MAX });
    }
    Ok(())
}

fn check_nesting(value: &Json, left: usize) -> Result<(), MergeError> {
    let inner = match value {
        Json::Array(items) => items.iter().collect::<Vec<_>>(),
        Json::Object(fields) => fields.values().collect(),
        _ => return Ok(()),
    };
    let left = left.checked_sub(1).ok_or(MergeError::TooDeep { limit: NESTING_MAX })?;
    inner.into_iter().try_for_each(|value| check_nesting(value, left))
}
