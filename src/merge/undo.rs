//! Takes back what some changes did to a document, and keeps what others wrote since.
//!
//! Invariant: nothing that was written since is overwritten. What still stands as the changes left it gets the value from
//! before them. A counter is counted back. A text or a list that was changed since is written at the version right after the
//! changes, so that it is merged with what came since. Everything else stays, and is named.

use super::change_info::ChangeInfo;
use super::change_message::{ChangeKind, Written};
use super::doc::Doc;
use super::effects::DocumentStep;
use super::error::MergeError;
use super::hashes::native;
use super::json_pointer::pointer;
use super::new_change::{NewChange, Stamp};
use super::tree::{MapNode, Node};
use super::view::View;
use crate::format::hash::{ChangeHash, Heads};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Most changes that are searched for the writer of a field.
const SEARCHED_MAX: usize = 200;

/// A field of a map: the names on the way to it.
pub type FieldPath = Vec<String>;

/// A field that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptField {
    /// The names on the way to it.
    pub path: FieldPath,
    /// True if it is in conflict now. Otherwise it has another value than the changes left.
    pub in_conflict: bool,
}

/// The writes that take an edit back.
#[derive(Debug, Default, PartialEq)]
pub struct UndoPlan {
    /// The whole document to write at the version right after the changes; `None` if nothing has to be merged.
    pub beside: Option<Map<String, Json>>,
    /// The fields to write at the present version. `None` removes one.
    pub on_top: Vec<(FieldPath, Option<Json>)>,
    /// The fields that stay.
    pub kept: Vec<KeptField>,
}

/// A document before and after the changes, and as it is now.
struct Planner<'a> {
    after: &'a Map<String, Json>,
    /// JSON pointers of the open conflicts.
    conflicts: BTreeSet<&'a str>,
    /// The present tree, which tells counters from numbers.
    tree: MapNode,
    prose: Option<&'a str>,
    plan: UndoPlan,
}

/// The values of one field before and after the changes, and now.
#[derive(Clone, Copy)]
struct Three<'v> {
    before: Option<&'v Json>,
    after: Option<&'v Json>,
    now: Option<&'v Json>,
}

impl Doc {
    /// Plans the writes that take back what some changes edited.
    #[must_use]
    pub fn undo_plan(&self, step: &DocumentStep, now: &View) -> UndoPlan {
        let mut planner = Planner {
            after: &step.after.value,
            conflicts: now.conflicts.iter().map(|conflict| conflict.path.as_str()).collect(),
            tree: self.tree(None),
            prose: self.prose,
            plan: UndoPlan::default(),
        };
        planner.maps(&mut Vec::new(), [&step.before.value, &step.after.value, &now.value]);
        planner.plan
    }

    /// Joins all heads in one change without operations, unless there is one head only.
    ///
    /// # Errors
    /// As [`Doc::delete`].
    pub fn join_heads(&mut self, stamp: &Stamp<'_>) -> Result<Option<NewChange>, MergeError> {
        if self.heads().hashes().len() < 2 {
            return Ok(None);
        }
        self.empty_change(stamp, ChangeKind::Edit).map(Some)
    }

    /// Returns the last of the changes since a version that are not in `own`; `None` if there is none. If one of those that
    /// were searched changed this field of the root, it is the last one that did.
    ///
    /// # Errors
    /// As [`Doc::step`].
    pub fn changed_since(
        &self,
        version: &Heads,
        own: &[ChangeHash],
        field: Option<&str>,
    ) -> Result<Option<Written>, MergeError> {
        let foreign = self.foreign_since(version, own);
        let searched = if field.is_some() { SEARCHED_MAX } else { 0 };
        for info in foreign.iter().rev().take(searched) {
            let step = self.step(&[info.hash])?;
            let names = step.map(|step| step.effects.fields).unwrap_or_default();
            if names.iter().any(|name| Some(&**name) == field) {
                return Ok(self.written(info));
            }
        }
        Ok(foreign.iter().max_by_key(|info| info.time_ms).and_then(|info| self.written(info)))
    }

    /// Returns the last change since a version, and not in `own`, that filed the content of the document again.
    #[must_use]
    pub fn filed_since(&self, version: &Heads, own: &[ChangeHash]) -> Option<Written> {
        let foreign = self.foreign_since(version, own);
        let filed = foreign.iter().rev().find(|info| info.kind == ChangeKind::Filed)?;
        self.written(filed)
    }

    fn foreign_since(&self, version: &Heads, own: &[ChangeHash]) -> Vec<ChangeInfo> {
        let since: BTreeSet<ChangeHash> = self.since(version).into_iter().collect();
        let is_foreign =
            |info: &ChangeInfo| since.contains(&info.hash) && !own.contains(&info.hash);
        self.history().into_iter().filter(is_foreign).collect()
    }

    fn written(&self, info: &ChangeInfo) -> Option<Written> {
        let meta = self.am.get_change_meta_by_hash(&native(&info.hash))?;
        Some(Written::new(&meta))
    }
}

impl Planner<'_> {
    fn maps(&mut self, path: &mut FieldPath, [before, after, now]: [&Map<String, Json>; 3]) {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            path.push(name.clone());
            let (before, after, now) = (before.get(name), after.get(name), now.get(name));
            self.field(path, Three { before, after, now });
            path.pop();
        }
    }

    fn field(&mut self, path: &mut FieldPath, values: Three<'_>) {
        let Three { before, after, now } = values;
        if before == after {
            return;
        }
        if let Some(counted) = self.counted_back(path, values) {
            self.plan.on_top.push((path.clone(), Some(counted)));
            return;
        }
        // It is as it was before already.
        if before == now {
            return;
        }
        let in_conflict = self.is_in_conflict(path);
        if after == now && !in_conflict {
            self.plan.on_top.push((path.clone(), before.cloned()));
        } else if let Some(maps) = inner_maps(values) {
            self.maps(path, maps.each_ref().map(Cow::as_ref));
        } else if self.is_merged(path, values) {
            let beside = self.plan.beside.get_or_insert_with(|| self.after.clone());
            set_at(beside, path, before);
        } else {
            self.plan.kept.push(KeptField { path: path.clone(), in_conflict });
        }
    }

    /// Returns what a counter shows once the changes' part of it is taken away; `None` if this is no counter.
    fn counted_back(&self, path: &FieldPath, values: Three<'_>) -> Option<Json> {
        let number = |value: Option<&Json>| value.and_then(Json::as_i64);
        // The changes may have made the counter. It stays, so that what others count at this moment is kept.
        let before = if values.before.is_none() { Some(0) } else { number(values.before) };
        let by = before?.checked_sub(number(values.after)?)?;
        let back = number(values.now)?.checked_add(by)?;
        is_counter(&self.tree, path).then(|| Json::from(back))
    }

    fn is_in_conflict(&self, path: &FieldPath) -> bool {
        let here = pointer(path.iter().map(String::as_str));
        let is_here = |conflict: &&str| {
            conflict
                .strip_prefix(&*here)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.conflicts.iter().any(is_here)
    }

    /// Returns true if concurrent versions of a field are merged in parts: lists, and texts of more than a line.
    fn is_merged(&self, path: &FieldPath, Three { before, after, now }: Three<'_>) -> bool {
        let is_prose = path.len() == 1 && path.first().map(String::as_str) == self.prose;
        match (before, after, now) {
            (Some(Json::Array(_)), Some(Json::Array(_)), Some(Json::Array(_))) => true,
            (Some(Json::String(a)), Some(Json::String(b)), Some(Json::String(c))) => {
                is_prose || [a, b, c].iter().any(|text| text.contains('\n'))
            }
            _ => false,
        }
    }
}

/// Returns the maps of a field that is a map now, if those that made or removed it count as empty.
fn inner_maps<'v>(values: Three<'v>) -> Option<[Cow<'v, Map<String, Json>>; 3]> {
    let map = |value: Option<&'v Json>| match value {
        None => Some(Cow::Owned(Map::new())),
        Some(Json::Object(map)) => Some(Cow::Borrowed(map)),
        Some(_) => None,
    };
    let Three { before, after, now } = values;
    now.filter(|now| now.is_object())?;
    Some([map(before)?, map(after)?, map(now)?])
}

fn is_counter(tree: &MapNode, path: &[String]) -> bool {
    let Some((last, way)) = path.split_last() else { return false };
    let mut map = tree;
    for name in way {
        match map.field(name).map(|slot| &slot.shown) {
            Some(Node::Map(inner)) => map = inner,
            _ => return false,
        }
    }
    map.field(last).is_some_and(|slot| matches!(slot.shown, Node::Counter(_)))
}

/// Sets or removes a field. Maps on the way to it that are not there are made.
pub fn set_at(map: &mut Map<String, Json>, path: &[String], value: Option<&Json>) {
    match (path, value) {
        ([], _) => {}
        ([name], None) => drop(map.remove(name)),
        ([name], Some(value)) => drop(map.insert(name.clone(), value.clone())),
        ([name, rest @ ..], value) => {
            let inner = map.entry(name.clone()).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                set_at(inner, rest, value);
            }
        }
    }
}
