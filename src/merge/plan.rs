//! Plans a write: from a wanted value to the operations that make a document show it, and no others.
//!
//! A `put` names every field of the document, a `patch` the fields that it holds. A field that is named is written if
//! it shows another value, and that settles its conflict. If it shows the wanted value, a `patch` settles the conflict,
//! because its caller meant this field; a `put` leaves it open, because its caller may not know of it. In a text, the same
//! holds for each place in conflict.

use super::json_values::hydrated;
use super::list_diff;
use super::open_places::{AnnotatedText, OpenPlace};
use super::tree::{Item, ListNode, Loser, MapNode, Node, Slot, Texts};
use automerge::{ObjId, Prop, ScalarValue, hydrate};
use serde_json::{Map, Number, Value as Json};
use std::ops::Range;

/// One call on an Automerge transaction.
///
/// The steps on one list go from its end to its start, so that no step moves the index of a later one.
#[derive(Debug)]
pub(super) enum Step {
    /// Write a scalar.
    Put { obj: ObjId, prop: Prop, value: ScalarValue },
    /// Write a text, and list the places that are open in it.
    PutText { obj: ObjId, prop: Prop, text: String, open: Vec<OpenPlace> },
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
    /// Remove one value of a field, and leave the others.
    RemoveValue { value: ObjId },
}

/// The steps of one write.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub steps: Vec<Step>,
    /// True if the write touches anything that is in conflict, and so may settle it.
    pub meets_conflict: bool,
    /// True if naming a field settles its conflict, even with the value that is shown.
    pub settles_named: bool,
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
            self.write(obj.clone(), key.into(), hydrated(value));
        }
    }

    fn write(&mut self, obj: ObjId, prop: Prop, value: hydrate::Value) {
        self.steps.push(match value {
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
            (Node::Json(now), wanted) if now == wanted && !self.decides(slot) => {}
            (Node::Json(_), wanted) => match (&slot.texts, wanted) {
                (Some(texts), Json::String(wanted)) => {
                    return self.text(slot, target, texts, wanted);
                }
                _ => return self.replace(slot, target, hydrated(value)),
            },
            _ => return self.replace(slot, target, hydrated(value)),
        }
        self.remove_losers(slot.losers.iter());
    }

    /// Returns true if naming this field with the value that it shows settles a conflict of it. Then the value is written
    /// anew: another client may decide otherwise at the same time, and that is a conflict again.
    fn decides(&self, slot: &Slot) -> bool {
        let in_text = || slot.texts.as_ref().is_some_and(|texts| texts.is_in_conflict());
        self.settles_named && (!slot.losers.is_empty() || in_text())
    }

    /// Writes a text. Each open place at which it shows what is shown now stays open, unless naming the field settles it.
    fn text(&mut self, slot: &Slot, target: &Target<'_>, texts: &Texts, wanted: &str) {
        let open = match self.settles_named {
            true => Vec::new(),
            false => texts.shown.left_in(texts.size, wanted),
        };
        self.put_text(slot, target, AnnotatedText { text: wanted.to_owned(), open });
        self.remove_kept(slot);
    }

    /// Makes a reading stand at one open place of a text. Returns `None` if there is no such place.
    pub fn settle_text(
        &mut self,
        slot: &Slot,
        target: &Target<'_>,
        place: usize,
        reading: &str,
    ) -> Option<()> {
        let texts = slot.texts.as_ref()?;
        // Another conflict of the same field stays open.
        self.put_text(slot, target, texts.shown.settled(texts.size, place, reading)?);
        Some(())
    }

    fn put_text(&mut self, slot: &Slot, target: &Target<'_>, wanted: AnnotatedText) {
        let AnnotatedText { text, open } = wanted;
        self.meets_conflict |= slot.in_conflict();
        if let Some(obj) = target.part(slot.part) {
            self.steps.push(Step::PutText { obj, prop: target.prop.clone(), text, open });
        }
        self.remove_from(slot.also_in.iter(), slot, target);
    }

    /// Increments a counter. That overwrites what is in conflict with it in the same object, so only the losers in
    /// other parts are settled, and those that were removed.
    fn count(&mut self, slot: &Slot, target: &Target<'_>, by: i64) {
        // An increment by 0 would be an operation that says nothing.
        if by == 0 {
            return self.remove_losers(slot.losers.iter());
        }
        // No transaction increments what Automerge does not show.
        if let (Node::Counter(now), true) = (&slot.shown, slot.is_removed) {
            let counter = ScalarValue::counter(now.saturating_add(by));
            return self.replace(slot, target, counter.into());
        }
        if let Some(obj) = target.part(slot.part) {
            self.steps.push(Step::Increment { obj, prop: target.prop.clone(), by });
        }
        let is_left = |loser: &&Loser| loser.part != slot.part || loser.edited.is_some();
        self.remove_losers(slot.losers.iter().filter(is_left));
    }

    /// Writes a new value in place of all others.
    fn replace(&mut self, slot: &Slot, target: &Target<'_>, value: hydrate::Value) {
        self.replace_standing(slot, target, value);
        self.remove_kept(slot);
    }

    /// Writes a new value. That overwrites all values in the same object that were not removed; those in other parts are
    /// deleted.
    fn replace_standing(&mut self, slot: &Slot, target: &Target<'_>, value: hydrate::Value) {
        self.meets_conflict |= slot.in_conflict();
        match (target.part(slot.part), &target.prop) {
            (Some(list), Prop::Seq(index)) if slot.is_removed => {
                self.steps.push(Step::Insert { list, index: *index, values: vec![value] });
            }
            (Some(obj), prop) => self.write(obj, prop.clone(), value),
            (None, _) => {}
        }
        self.remove_from(slot.also_in.iter(), slot, target);
    }

    /// Removes a field from every part, or an element.
    pub fn remove(&mut self, slot: &Slot, target: &Target<'_>) {
        self.meets_conflict |= slot.in_conflict();
        self.remove_from(slot.also_in.iter().chain([&slot.part]), slot, target);
        self.remove_kept(slot);
    }

    /// Removes what was removed before and stays, in a change that has seen why.
    fn remove_kept(&mut self, slot: &Slot) {
        self.steps.extend(slot.kept.iter().map(|kept| Step::RemoveValue { value: kept.clone() }));
    }

    fn remove_from<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a usize>,
        slot: &Slot,
        target: &Target<'_>,
    ) {
        // In a list, another element stands at the index of one that was removed.
        let parts = parts.filter(|_| !slot.is_removed);
        let objects = parts.filter_map(|part| target.part(*part));
        self.steps.extend(objects.map(|obj| Step::Delete { obj, prop: target.prop.clone() }));
    }

    fn remove_losers<'a>(&mut self, losers: impl Iterator<Item = &'a Loser>) {
        self.steps.extend(losers.map(|loser| Step::RemoveValue { value: loser.id.clone() }));
    }

    /// Makes a list show `wanted`. Elements that stay are not touched, so they keep concurrent edits and their place.
    pub fn list(&mut self, list: &ListNode, wanted: &[Json]) {
        let items: Vec<&Item> = list.items.iter().collect();
        let gaps = gaps(&items, wanted);
        if !gaps.iter().any(|gap| gap.inserts_behind_removed(&items, wanted)) {
            return self.fill(&list.parts, &items, wanted, gaps);
        }
        // Automerge inserts behind what it shows, and that may stand before an element that was removed. So all those are
        // written anew.
        let is_removed = |item: &&Item| item.slot.is_removed;
        let (removed, standing): (Vec<_>, Vec<_>) = items.into_iter().partition(is_removed);
        removed.into_iter().for_each(|item| self.remove_kept(&item.slot));
        let gaps = self::gaps(&standing, wanted);
        self.fill(&list.parts, &standing, wanted, gaps);
    }

    /// Fills gaps, from the end to the start.
    fn fill(&mut self, parts: &[ObjId], items: &[&Item], wanted: &[Json], gaps: Vec<Gap>) {
        for gap in gaps {
            let new = wanted.get(gap.new.clone()).unwrap_or_default();
            self.gap(parts, items, gap.old, new);
        }
    }

    /// Makes some of the elements show `wanted`: sets one by one as long as there are both, and inserts or deletes the
    /// rest.
    fn gap(&mut self, parts: &[ObjId], items: &[&Item], gap: Range<usize>, wanted: &[Json]) {
        let (end, old) = (gap.end, items.get(gap).unwrap_or_default());
        let both = old.len().min(wanted.len());
        // First the insertion, which stands behind the elements that are set: steps go from the end to the start.
        if let Some(extra) = wanted.get(both..).filter(|extra| !extra.is_empty()) {
            self.insert(parts, items, end, extra);
        }
        for (n, item) in old.iter().enumerate().rev() {
            let parts = parts.get(item.part..=item.part).unwrap_or_default();
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
    fn insert(&mut self, parts: &[ObjId], items: &[&Item], at: usize, values: &[Json]) {
        let before = at.checked_sub(1).and_then(|n| items.get(n));
        let (part, index) = match (before, items.first()) {
            (Some(item), _) => (parts.get(item.part), item.index + 1),
            (None, Some(first)) => (parts.get(first.part), first.index),
            (None, None) => (parts.last(), 0),
        };
        if let Some(list) = part.cloned() {
            let values = values.iter().map(hydrated).collect();
            self.steps.push(Step::Insert { list, index, values });
        }
    }
}

/// Elements of a list, and those that are to stand in their place.
struct Gap {
    old: Range<usize>,
    new: Range<usize>,
}

impl Gap {
    /// Returns true if something would be inserted behind an element that was removed and stays.
    fn inserts_behind_removed(&self, items: &[&Item], wanted: &[Json]) -> bool {
        let is_behind_removed = |at: usize| {
            let before = at.min(self.old.end).checked_sub(1).and_then(|before| items.get(before));
            before.is_some_and(|before| before.slot.is_removed)
        };
        let inserts = |(at, new): (usize, usize)| match (items.get(at), wanted.get(new)) {
            (_, None) => false,
            (Some(item), Some(_)) if at < self.old.end && !item.slot.is_removed => false,
            (Some(item), Some(wanted)) if at < self.old.end => {
                !item.slot.is_edited_in_place(wanted)
            }
            (_, Some(_)) => true,
        };
        let mut places = (self.old.start..).zip(self.new.clone());
        places.any(|(at, new)| is_behind_removed(at) && inserts((at, new)))
    }
}

/// Returns what has to be filled so that a list shows `wanted`, from the end to the start: a gap, then the element before
/// it that stays.
fn gaps(items: &[&Item], wanted: &[Json]) -> Vec<Gap> {
    let shown: Vec<Json> = items.iter().map(|item| item.slot.shown.to_json()).collect();
    let (mut old_end, mut new_end) = (items.len(), wanted.len());
    let mut gaps = Vec::new();
    for (old, new) in list_diff::kept(&shown, wanted).into_iter().rev() {
        gaps.push(Gap { old: old + 1..old_end, new: new + 1..new_end });
        // The element that stays shows the wanted value already, but may be in conflict, which this settles.
        gaps.push(Gap { old: old..old + 1, new: new..new + 1 });
        (old_end, new_end) = (old, new);
    }
    gaps.push(Gap { old: 0..old_end, new: 0..new_end });
    gaps
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
