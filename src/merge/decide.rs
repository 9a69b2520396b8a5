//! Decides one conflict: takes one of its values, or another one in their place.

use super::doc::Doc;
use super::error::MergeError;
use super::json_pointer::steps;
use super::new_change::{NewChange, Stamp};
use super::plan::{Plan, Target};
use super::tree::{ListNode, MapNode, Node, Slot};
use super::view::Conflict;
use serde_json::Value as Json;

/// A closure for the slot at a path.
type Found<'a, T> = Box<dyn FnOnce(&Slot, &Target<'_>) -> Option<T> + 'a>;

impl Doc {
    /// Makes a field, or a part of a text, show `value`, and settles its conflict. Other conflicts stay open, and so does
    /// every other edit of the text.
    ///
    /// For a part of a text, `value` is a string that stands in place of that part. `\"\"` takes the part out.
    ///
    /// # Errors
    /// [`MergeError::NoConflict`] if the present view has no conflict of the same values there, and those of [`Doc::put`].
    pub fn decide(
        &mut self,
        stamp: &Stamp<'_>,
        conflict: &Conflict,
        value: &Json,
    ) -> Result<Option<NewChange>, MergeError> {
        let missing = || MergeError::NoConflict { path: conflict.path.clone() };
        // It may stand elsewhere in the text by now.
        let view = self.view();
        let here = |now: &&Conflict| now.is_same(conflict);
        let conflict = view.conflicts.iter().find(here).ok_or_else(missing)?;
        let tree = self.tree(None);
        let steps = steps(&conflict.path);
        let mut plan = Plan { settles_named: true, ..Plan::default() };
        let decide = |slot: &Slot, target: &Target<'_>| match (&conflict.range, &slot.texts, value)
        {
            (None, _, value) if !slot.losers.is_empty() => {
                plan.set(slot, target, value);
                Some(())
            }
            (Some(range), Some(texts), Json::String(reading)) => {
                let at = |one: &super::text_merge::TextConflict| one.bytes == *range;
                let number = texts.merged.conflicts.iter().position(at)?;
                plan.settle_text(slot, target, number, reading)
            }
            _ => None,
        };
        in_map(&tree, &steps, decide).ok_or_else(missing)?;
        self.commit(stamp, None, plan)
    }
}

/// Calls `found` with the slot at a path of the map, and where it stands.
fn in_map<T>(
    map: &MapNode,
    path: &[String],
    found: impl FnOnce(&Slot, &Target<'_>) -> Option<T>,
) -> Option<T> {
    let (step, rest) = path.split_first()?;
    let at = map.fields.binary_search_by(|(name, _)| name.as_str().cmp(step)).ok()?;
    let (_, slot) = map.fields.get(at)?;
    let target = Target { parts: &map.parts, prop: step.as_str().into() };
    in_slot(slot, &target, rest, found)
}

fn in_list<T>(
    list: &ListNode,
    path: &[String],
    found: impl FnOnce(&Slot, &Target<'_>) -> Option<T>,
) -> Option<T> {
    let (step, rest) = path.split_first()?;
    let item = list.items.get(step.parse::<usize>().ok()?)?;
    let parts = list.parts.get(item.part..=item.part)?;
    in_slot(&item.slot, &Target { parts, prop: item.index.into() }, rest, found)
}

fn in_slot<T>(
    slot: &Slot,
    target: &Target<'_>,
    rest: &[String],
    found: impl FnOnce(&Slot, &Target<'_>) -> Option<T>,
) -> Option<T> {
    if rest.is_empty() {
        return found(slot, target);
    }
    // The closure's type must not grow with the depth.
    let found: Found<'_, T> = Box::new(found);
    match &slot.shown {
        Node::Map(map) => in_map(map, rest, found),
        Node::List(list) => in_list(list, rest, found),
        Node::Json(_) | Node::Counter(_) | Node::Text { .. } => None,
    }
}
