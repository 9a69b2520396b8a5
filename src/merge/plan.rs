//! Plans a write: from a wanted value to the operations that make a document show it, and no others.
//!
//! A `put` names every field of the document, a `patch` the fields that it holds. A field that is named is written if
//! it shows another value, and that settles its conflict. If it shows the wanted value, a `patch` settles the conflict,
//! because its caller meant this field; a `put` leaves it open, because its caller may not know of it. In a text, the same
//! holds for each place in conflict.

use super::json_values::hydrated;
use super::list_diff;
use super::text_merge::RewrittenText;
use super::tree::{ListNode, Loser, MapNode, Node, Slot};
use automerge::{ChangeHash, ObjId, Prop, ScalarValue, hydrate};
use serde_json::{Map, Number, Value as Json};

/// One call on an Automerge transaction.
///
/// The steps on one list go from its end to its start, so that no step moves the index of a later one.
#[derive(Debug)]
pub(super) enum Step {
    /// Write a scalar.
    Put { obj: ObjId, prop: Prop, value: ScalarValue },
    /// Create a map or a list with its content.
    Create { obj: ObjId, prop: Prop, value: hydrate::Value },
    /// Insert elements into a list.
    Insert { list: ObjId, index: usize, values: Vec<hydrate::Value> },
    /// Remove a field or an element, with all its values.
    Delete { obj: ObjId, prop: Prop },
    /// Add to a counter.
    Increment { obj: ObjId, prop: Prop, by: i64 },
    /// Change the characters in which a text differs from `to`.
    Rewrite { text: ObjId, to: String },
    /// Remove one value of a field in conflict, and leave the others.
    RemoveLoser { loser: ObjId },
}

/// The steps of one write.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub steps: Vec<Step>,
    /// True if the write touches anything that is in conflict, and so may settle it.
    pub meets_conflict: bool,
    /// True if a field or an element is removed that has a map, a list or a text.
    pub removes_objects: bool,
    /// Writes of texts that stay in conflict elsewhere.
    pub rewrites: Vec<Rewrite>,
    /// True if naming a field settles its conflict, even with the value that is shown.
    pub settles_named: bool,
}

/// A text that is written in place of one that is in conflict with others, on that one alone. So the conflict stays.
#[derive(Debug)]
pub(super) struct Rewrite {
    pub obj: ObjId,
    pub prop: Prop,
    pub text: String,
    /// Changes whose texts it replaces. They are the version that it is made from.
    pub on: Vec<ChangeHash>,
}

/// Target of a step: a field of a map (one object for each part) or an element of a list (one object).
pub(super) struct Target<'a> {
    pub parts: &'a [ObjId],
    pub prop: Prop,
}

impl Target<'_> {
    fn part(&self, part: usize) -> Option<ObjId> {
        self.parts.get(part).cloned()
    }
}

impl Plan {
    /// Makes the map show `wanted`, nothing more and nothing less.
    pub fn put(&mut self, map: &MapNode, wanted: &Map<String, Json>) {
        for (key, slot) in &map.fields {
            let target = Target { parts: &map.parts, prop: key.as_str().into() };
            match wanted.get(key) {
                Some(value) => self.set(slot, &target, value),
                None => self.remove(slot, &target),
            }
        }
        for (key, value) in wanted.iter().filter(|(key, _)| map.field(key).is_none()) {
            self.add(map, key, value);
        }
    }

    /// Merges `patch` into the map (RFC 7396).
    pub fn patch(&mut self, map: &MapNode, patch: &Map<String, Json>) {
        for (key, value) in patch {
            let target = Target { parts: &map.parts, prop: key.as_str().into() };
            match (map.field(key), value) {
                (None, Json::Null) => {}
                (None, value) => self.add(map, key, &without_nulls(value)),
                (Some(slot), Json::Null) => self.remove(slot, &target),
                // The inner map is kept, so that concurrent edits in it are kept too.
                (Some(Slot { shown: Node::Map(inner), losers, .. }), Json::Object(patch)) => {
                    self.meets_conflict |= !losers.is_empty();
                    self.patch(inner, patch);
                    self.remove_losers(losers.iter());
                }
                (Some(slot), value) => self.set(slot, &target, &without_nulls(value)),
            }
        }
    }

    /// Removes every field.
    pub fn clear(&mut self, map: &MapNode) {
        self.put(map, &Map::new());
    }

    /// Adds a field that the map does not have yet. It goes into the winner, which is shown even by plain Automerge.
    pub fn add(&mut self, map: &MapNode, key: &str, value: &Json) {
        if let Some(obj) = map.parts.last() {
            self.write(obj.clone(), key.into(), value);
        }
    }

    fn write(&mut self, obj: ObjId, prop: Prop, value: &Json) {
        self.steps.push(match hydrated(value) {
            hydrate::Value::Scalar(value) => Step::Put { obj, prop, value },
            value => Step::Create { obj, prop, value },
        });
    }

    /// Makes a field or an element show `value`, and settles its conflict.
    pub fn set(&mut self, slot: &Slot, target: &Target<'_>, value: &Json) {
        self.meets_conflict |= !slot.losers.is_empty();
        if !self.settles_named && !slot.losers.is_empty() && slot.shown.to_json() == *value {
            return;
        }
        // An object is edited in place. A new one in its place would cut off concurrent edits of the old one.
        match (&slot.shown, value) {
            (Node::Map(map), Json::Object(wanted)) => self.put(map, wanted),
            (Node::List(list), Json::Array(wanted)) => self.list(list, wanted),
            (Node::Text { id, text }, Json::String(to)) => {
                if text != to {
                    self.steps.push(Step::Rewrite { text: id.clone(), to: to.clone() });
                }
            }
            (Node::Counter(now), Json::Number(to)) if distance(*now, to).is_some() => {
                return self.count(slot, target, distance(*now, to).unwrap_or(0));
            }
            (Node::Json(now), wanted) if now == wanted && !self.closes_texts(slot) => {}
            (Node::Json(_), Json::String(wanted)) if self.rewrite(slot, target, wanted) => return,
            _ => return self.replace(slot, target, value),
        }
        self.remove_losers(slot.losers.iter());
    }

    /// Returns true if naming this field with the text that it shows settles conflicts in the text.
    fn closes_texts(&self, slot: &Slot) -> bool {
        self.settles_named && slot.texts.as_ref().is_some_and(|texts| texts.is_in_conflict())
    }

    /// Writes a text that leaves conflicts open, if it does. Returns false if it leaves none.
    fn rewrite(&mut self, slot: &Slot, target: &Target<'_>, wanted: &str) -> bool {
        let Some(texts) = slot.texts.as_ref().filter(|_| !self.settles_named) else { return false };
        let rewritten = texts.compared().and_then(|compared| compared.rewritten(wanted));
        let Some(rewritten) = rewritten else { return false };
        self.rewrite_as(slot, target, rewritten);
        true
    }

    /// Makes a reading stand at one conflict of a text. Returns `None` if there is no such conflict.
    pub fn settle_text(
        &mut self,
        slot: &Slot,
        target: &Target<'_>,
        conflict: usize,
        reading: &str,
    ) -> Option<()> {
        let compared = slot.texts.as_ref()?.compared()?;
        let settled = compared.settled(conflict, reading)?;
        match settled.as_slice() {
            [RewrittenText { text, .. }] => self.replace(slot, target, &Json::from(text.as_str())),
            _ => self.rewrite_as(slot, target, settled),
        }
        Some(())
    }

    fn rewrite_as(&mut self, slot: &Slot, target: &Target<'_>, mut rewritten: Vec<RewrittenText>) {
        let (Some(texts), Some(obj)) = (&slot.texts, target.part(slot.part)) else { return };
        self.meets_conflict = true;
        let change = |text: usize| texts.values.get(text).map(|value| value.change);
        // In the order of the last text of each, so that the same reading is shown afterwards.
        rewritten.sort_by_key(|one| one.texts.last().copied());
        self.rewrites.extend(rewritten.into_iter().map(|one| Rewrite {
            obj: obj.clone(),
            prop: target.prop.clone(),
            text: one.text,
            on: one.texts.into_iter().filter_map(change).collect(),
        }));
    }

    /// Increments a counter. That overwrites what is in conflict with it in the same object, so only the losers in
    /// other parts are settled.
    fn count(&mut self, slot: &Slot, target: &Target<'_>, by: i64) {
        // An increment by 0 would be an operation that says nothing.
        if by == 0 {
            return self.remove_losers(slot.losers.iter());
        }
        if let Some(obj) = target.part(slot.part) {
            self.steps.push(Step::Increment { obj, prop: target.prop.clone(), by });
        }
        self.remove_losers(slot.losers.iter().filter(|loser| loser.part != slot.part));
    }

    /// Writes a new value. That overwrites all values in the same object; those in other parts are deleted.
    fn replace(&mut self, slot: &Slot, target: &Target<'_>, value: &Json) {
        self.meets_conflict |= slot.in_conflict();
        if let Some(obj) = target.part(slot.part) {
            self.write(obj, target.prop.clone(), value);
        }
        self.remove_from(slot.also_in.iter(), target);
    }

    /// Removes a field from every part.
    fn remove(&mut self, slot: &Slot, target: &Target<'_>) {
        self.meets_conflict |= slot.in_conflict();
        self.removes_objects |= slot.has_object();
        self.remove_from(slot.also_in.iter().chain([&slot.part]), target);
    }

    fn remove_from<'a>(&mut self, parts: impl Iterator<Item = &'a usize>, target: &Target<'_>) {
        let objects = parts.filter_map(|part| target.part(*part));
        self.steps.extend(objects.map(|obj| Step::Delete { obj, prop: target.prop.clone() }));
    }

    fn remove_losers<'a>(&mut self, losers: impl Iterator<Item = &'a Loser>) {
        self.steps.extend(losers.map(|loser| Step::RemoveLoser { loser: loser.id.clone() }));
    }

    /// Makes a list show `wanted`. Elements that stay are not touched, so they keep concurrent edits and their place.
    fn list(&mut self, list: &ListNode, wanted: &[Json]) {
        let shown: Vec<Json> = list.items.iter().map(|item| item.slot.shown.to_json()).collect();
        let kept = list_diff::kept(&shown, wanted);
        // From the end to the start: a gap, then the element before it.
        let (mut old_end, mut new_end) = (list.items.len(), wanted.len());
        for (old, new) in kept.into_iter().rev() {
            let replaced = wanted.get(new + 1..new_end).unwrap_or_default();
            self.gap(list, old + 1, old_end, replaced);
            // The element that stays shows the wanted value already, but may be in conflict, which this settles.
            self.gap(list, old, old + 1, wanted.get(new..=new).unwrap_or_default());
            (old_end, new_end) = (old, new);
        }
        self.gap(list, 0, old_end, wanted.get(..new_end).unwrap_or_default());
    }

    /// Makes the elements `start..end` show `wanted`: sets one by one as long as there are both, and inserts or deletes
    /// the rest.
    fn gap(&mut self, list: &ListNode, start: usize, end: usize, wanted: &[Json]) {
        let old = list.items.get(start..end).unwrap_or_default();
        let both = old.len().min(wanted.len());
        // First the insertion, which stands behind the elements that are set: steps go from the end to the start.
        if let Some(extra) = wanted.get(both..).filter(|extra| !extra.is_empty()) {
            self.insert(list, end, extra);
        }
        for (n, item) in old.iter().enumerate().rev() {
            let parts = list.parts.get(item.part..=item.part).unwrap_or_default();
            let target = Target { parts, prop: item.index.into() };
            match wanted.get(n) {
                Some(value) => self.set(&item.slot, &target, value),
                None => self.remove(&item.slot, &target),
            }
        }
    }

    /// Inserts elements behind the one before them, into the part in which that one lives.
    ///
    /// At the start they go before the first element, and into the winner if the list is empty.
    fn insert(&mut self, list: &ListNode, at: usize, values: &[Json]) {
        let before = at.checked_sub(1).and_then(|n| list.items.get(n));
        let (part, index) = match (before, list.items.first()) {
            (Some(item), _) => (list.parts.get(item.part), item.index + 1),
            (None, Some(first)) => (list.parts.get(first.part), first.index),
            (None, None) => (list.parts.last(), 0),
        };
        if let Some(list) = part.cloned() {
            let values = values.iter().map(hydrated).collect();
            self.steps.push(Step::Insert { list, index, values });
        }
    }
}

/// Returns the increment that makes a counter show `to`, or `None` if a counter cannot show it.
fn distance(now: i64, to: &Number) -> Option<i64> {
    to.as_i64()?.checked_sub(now)
}

/// Drops the nulls of a patch for something that is not there, as RFC 7396 says.
pub(super) fn without_nulls(value: &Json) -> Json {
    let Json::Object(map) = value else { return value.clone() };
    let fields = map.iter().filter(|(_, value)| !value.is_null());
    Json::Object(fields.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
}
