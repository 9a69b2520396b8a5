//! Writes to the field at one path: counters and the elements of lists.
//!
//! They read the fields along the path and nothing else, so their cost does not grow with the document.

use super::doc::Doc;
use super::error::{MergeError, ValueType};
use super::hashes::Hashes;
use super::json_pointer::pointer;
use super::json_values::{ValueKind, hydrated};
use super::new_change::{NewChange, Stamp};
use super::plan::{Plan, Step, Target};
use super::stored_values::{RankedValues, StoredValue};
use super::tree_reader::TreeReader;
use super::value_limits::{NESTING_MAX, check_nesting, check_size};
use crate::format::hash::Heads;
use automerge::{ObjId, ROOT, ReadDoc, ScalarValue, hydrate};
use serde_json::Value as Json;

/// Type that was found and type that was wanted, for [`MergeError::WrongType`].
type Types = (ValueType, ValueType);

/// The largest value that an increment gives a counter, and with a minus sign the smallest: beyond, programs that read
/// JSON numbers as doubles are not exact. Concurrent increments may add up to more.
pub const COUNTER_VALUE_MAX: i64 = (1 << 53) - 1;

impl Doc {
    /// Adds `by` to the counter at `path`. Creates the counter and the maps around it if they are not there.
    ///
    /// Returns `None` if the counter is there and `by` is 0.
    ///
    /// # Errors
    /// [`MergeError::WrongType`] if something else is there, [`MergeError::CounterRange`] if the counter would go beyond
    /// [`COUNTER_VALUE_MAX`]; otherwise as [`Doc::put`].
    pub fn increment(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        path: &[&str],
        by: i64,
    ) -> Result<Option<NewChange>, MergeError> {
        let base = self.base_heads(base)?;
        // A counter, not a number: concurrent increments of a number would be a conflict instead of a sum.
        let new = hydrate::Value::Scalar(ScalarValue::counter(by));
        let mut now = 0;
        let plan = self.at_path(base.as_deref(), path, new, |parts, key, found| {
            if !matches!(found.winner.kind, ValueKind::Counter(_)) {
                return Err((found.winner.kind.value_type(), ValueType::Counter));
            }
            now = self.read(base.as_deref(), |reader| reader.sum(&found.merged));
            let obj = parts.get(found.winner.part).cloned().unwrap_or(ROOT);
            Ok(match by {
                0 => Vec::new(),
                _ if found.winner.is_kept => counted_anew(obj, key, &found, now.saturating_add(by)),
                _ => vec![Step::Increment { obj, prop: key.into(), by }],
            })
        })?;
        check_range(now, by)?;
        self.commit(stamp, base.as_deref(), plan)
    }

    /// Adds elements to the end of the list at `path`. Creates the list and the maps around it if they are not there.
    ///
    /// Returns `None` if `values` is empty.
    ///
    /// # Errors
    /// [`MergeError::WrongType`] if something else is there; otherwise as [`Doc::put`].
    pub fn append(
        &mut self,
        stamp: &Stamp<'_>,
        path: &[&str],
        values: &[Json],
    ) -> Result<Option<NewChange>, MergeError> {
        if values.is_empty() {
            return Ok(None);
        }
        // The limits of a value hold for what is appended, nested as deep as it will stand in the document.
        let whole = Json::Array(values.to_vec());
        check_nesting(&whole, NESTING_MAX.saturating_sub(path.len()))?;
        check_size(&whole)?;
        let plan = self.at_path(None, path, hydrated(&whole), |_, _, found| {
            let parts = list_parts(&found)?;
            Ok(self.read(None, |reader| append_to(reader, parts, values)))
        })?;
        self.commit(stamp, None, plan)
    }

    /// Removes the elements for which `unwanted` returns true from the list at `path`, and touches no other.
    ///
    /// Returns `None` if there is no such element, or no list.
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
        let mut plan = Plan::default();
        if let Some((_, found)) = self.find(None, path)? {
            let parts = list_parts(&found).map_err(|types| wrong_type(path, types))?;
            let list = self.read(None, |reader| reader.list(parts, 0));
            // From the end: a removal moves the positions behind it. A removed element may hold conflicts, which go with it
            // and are reported as settled.
            for item in list.items.iter().rev() {
                if unwanted(&item.slot.shown.to_json()) {
                    let parts = list.parts.get(item.part..=item.part).unwrap_or_default();
                    plan.remove(&item.slot, &Target { parts, prop: item.index.into() });
                }
            }
        }
        if plan.steps.is_empty() { Ok(None) } else { self.commit(stamp, None, plan) }
    }

    /// Finds the field at `path`, and the parts of the map that it is in. Returns `None` if it is not there.
    fn find(
        &self,
        base: Option<&Hashes>,
        path: &[&str],
    ) -> Result<Option<(Vec<ObjId>, RankedValues)>, MergeError> {
        match self.descend(base, path)? {
            (parts, [key]) => {
                let field = self.read(base, |reader| reader.field(&parts, key));
                Ok(field.map(|found| (parts, found)))
            }
            _ => Ok(None),
        }
    }

    /// Goes down `path` as far as there are maps. Returns the parts of the last map, and the rest of the path.
    fn descend<'p, 'k>(
        &self,
        base: Option<&Hashes>,
        path: &'p [&'k str],
    ) -> Result<(Vec<ObjId>, &'p [&'k str]), MergeError> {
        let mut parts = vec![ROOT];
        let mut rest = path;
        while let [key, deeper @ ..] = rest {
            let field = || self.read(base, |reader| reader.field(&parts, key));
            let found = if deeper.is_empty() { None } else { field() };
            match found {
                Some(found) if found.winner.kind == ValueKind::Map => {
                    parts = ids(&found.merged);
                    rest = deeper;
                }
                Some(found) => {
                    let here = path.len() - deeper.len();
                    let types = (found.winner.kind.value_type(), ValueType::Map);
                    return Err(wrong_type(path.get(..here).unwrap_or_default(), types));
                }
                None => return Ok((parts, rest)),
            }
        }
        Err(MergeError::EmptyPath)
    }

    /// Plans a write to the field at `path`: the steps of `change` if the field is there, its creation with `new` if not.
    ///
    /// In a deleted document no field is there.
    fn at_path(
        &self,
        base: Option<&Hashes>,
        path: &[&str],
        new: hydrate::Value,
        change: impl FnOnce(&[ObjId], &str, RankedValues) -> Result<Vec<Step>, Types>,
    ) -> Result<Plan, MergeError> {
        // The maps along the path are nested as deep as a written value may be.
        if path.len() > NESTING_MAX {
            return Err(MergeError::TooDeep { limit: NESTING_MAX });
        }
        let mut plan = Plan::default();
        let hidden = self.hidden_at(base);
        // The write brings the document back, but not its hidden content.
        if hidden {
            plan.clear(&self.tree(base));
        } else if let Some((parts, found)) = self.find(base, path)? {
            let key = path.last().copied().unwrap_or_default();
            plan.meets_conflict = !found.losers.is_empty();
            plan.steps = change(&parts, key, found).map_err(|types| wrong_type(path, types))?;
            return Ok(plan);
        }
        let (parts, rest) = if hidden { (vec![ROOT], path) } else { self.descend(base, path)? };
        let (key, inner) = rest.split_first().ok_or(MergeError::EmptyPath)?;
        // The missing maps are created with their content, from the inside out.
        let value = inner.iter().rev().fold(new, |value, key| {
            let map = std::collections::HashMap::from([((*key).to_owned(), value)]);
            hydrate::Value::Map(map.into())
        });
        let obj = parts.into_iter().next_back().unwrap_or(ROOT);
        plan.steps.push(match value {
            hydrate::Value::Scalar(value) => Step::Put { obj, prop: (*key).into(), value },
            value => Step::Create { obj, prop: (*key).into(), value },
        });
        Ok(plan)
    }
}

/// Returns the steps that write a counter in place of one that was removed and stays. No transaction increments that.
fn counted_anew(obj: ObjId, key: &str, found: &RankedValues, to: i64) -> Vec<Step> {
    let kept = found.merged.iter().map(|kept| Step::RemoveValue { value: kept.id.clone() });
    let put = Step::Put { obj, prop: key.into(), value: ScalarValue::counter(to) };
    std::iter::once(put).chain(kept).collect()
}

/// Returns the steps that add elements to the end of a list.
fn append_to(reader: &TreeReader<'_>, parts: Vec<ObjId>, values: &[Json]) -> Vec<Step> {
    // The last part is the winner, and its end is the end of the whole list.
    let list = parts.last().cloned().unwrap_or(ROOT);
    if reader.kept_in(&list).is_empty() {
        let (index, values) = (reader.am.length(&list), values.iter().map(hydrated).collect());
        return vec![Step::Insert { list, index, values }];
    }
    // An element that was removed and stays may be the last one that is shown.
    let (list, mut plan) = (reader.list(parts, 0), Plan::default());
    let shown = list.items.iter().map(|item| item.slot.shown.to_json());
    plan.list(&list, &shown.chain(values.iter().cloned()).collect::<Vec<_>>());
    plan.steps
}

fn ids(found: &[StoredValue]) -> Vec<ObjId> {
    found.iter().map(|found| found.id.clone()).collect()
}

fn list_parts(found: &RankedValues) -> Result<Vec<ObjId>, Types> {
    match &found.winner.kind {
        ValueKind::List => Ok(ids(&found.merged)),
        other => Err((other.value_type(), ValueType::List)),
    }
}

fn wrong_type(path: &[&str], (found, wanted): Types) -> MergeError {
    MergeError::WrongType { path: pointer(path.iter().copied()), found, wanted }
}

/// Checks the value that a counter would have. One that is beyond the limit already may come back.
fn check_range(now: i64, by: i64) -> Result<(), MergeError> {
    let limit = COUNTER_VALUE_MAX;
    let farthest = limit.unsigned_abs().max(now.unsigned_abs());
    match now.checked_add(by).is_some_and(|then| then.unsigned_abs() <= farthest) {
        true => Ok(()),
        false => Err(MergeError::CounterRange { now, by, limit }),
    }
}
