//! Writes to one field: counters and the elements of lists.
//!
//! They go down to the field and read nothing else, so that their cost does not follow the size of
//! the document.

use super::doc::Doc;
use super::error::MergeError;
use super::hashes::Hashes;
use super::json_values::{ValueKind, hydrated};
use super::new_change::{NewChange, Stamp};
use super::plan::{Plan, Step};
use super::tree::{Item, RankedValues, StoredValue, TreeReader};
use super::value_limits::{NESTING_MAX, check_nesting, check_size};
use super::view::pointer;
use crate::format::hash::Heads;
use automerge::{ObjId, ROOT, ReadDoc, ScalarValue, hydrate};
use serde_json::Value as Json;

/// What was found and what was wanted, for [`MergeError::WrongType`].
type Types = (&'static str, &'static str);

impl Doc {
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
        let base = self.base_heads(base)?;
        let new = hydrate::Value::Scalar(ScalarValue::counter(by));
        let plan = self.at_path(base.as_deref(), path, new, |parts, key, found| {
            if !matches!(found.winner.kind, ValueKind::Counter(_)) {
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
        let reader = TreeReader { am: &self.am, heads: None };
        let mut plan = Plan::default();
        if let Some((_, found)) = self.find(None, path)? {
            let parts = list_parts(&found).map_err(|types| wrong_type(path, types))?;
            let list = reader.list(parts, 0);
            let gone = |item: &&Item| unwanted(&item.slot.shown.to_json());
            let delete = |item: &Item| {
                let obj = list.parts.get(item.part)?.clone();
                Some(Step::Delete { obj, prop: item.index.into() })
            };
            let gone: Vec<&Item> = list.items.iter().rev().filter(gone).collect();
            plan.meets_conflict = gone.iter().any(|item| item.slot.in_conflict());
            plan.steps.extend(gone.into_iter().filter_map(delete));
        }
        if plan.steps.is_empty() { Ok(None) } else { self.commit(stamp, None, plan) }
    }

    /// The merged map that the last step of `path` is a field of, and that field, if it is there.
    fn find(
        &self,
        base: Option<&Hashes>,
        path: &[&str],
    ) -> Result<Option<(Vec<ObjId>, RankedValues)>, MergeError> {
        match self.descend(base, path)? {
            (parts, [key]) => {
                let field = TreeReader { am: &self.am, heads: base }.field(&parts, key);
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
        let reader = TreeReader { am: &self.am, heads: base };
        let mut parts = vec![ROOT];
        let mut rest = path;
        while let [key, deeper @ ..] = rest {
            let found = if deeper.is_empty() { None } else { reader.field(&parts, key) };
            match found {
                Some(found) if found.winner.kind == ValueKind::Map => {
                    parts = ids(&found.merged);
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
        new: hydrate::Value,
        change: impl FnOnce(&[ObjId], &str, RankedValues) -> Result<Vec<Step>, Types>,
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
            plan.meets_conflict = !found.losers.is_empty();
            plan.steps = change(&parts, key, found).map_err(|types| wrong_type(path, types))?;
            return Ok(plan);
        }
        let (parts, rest) = if hidden { (vec![ROOT], path) } else { self.descend(base, path)? };
        let (key, inner) = rest.split_first().ok_or(MergeError::EmptyPath)?;
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

fn ids(found: &[StoredValue]) -> Vec<ObjId> {
    found.iter().map(|found| found.id.clone()).collect()
}

fn list_parts(found: &RankedValues) -> Result<Vec<ObjId>, Types> {
    match &found.winner.kind {
        ValueKind::List => Ok(ids(&found.merged)),
        other => Err((other.name(), "a list")),
    }
}

fn wrong_type(path: &[&str], (found, wanted): Types) -> MergeError {
    MergeError::WrongType { path: pointer(path.iter().copied()), found, wanted }
}
