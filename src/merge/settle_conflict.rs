//! Settles one conflict: takes one of its readings, or another value in their place.

use super::doc::Doc;
use super::error::MergeError;
use super::json_pointer::pointer_steps;
use super::new_change::{NewChange, Stamp};
use super::plan::{Plan, Target};
use super::tree::{ListNode, MapNode, Node, Slot};
use super::view::Conflict;
use serde_json::Value as Json;

impl Doc {
    /// Makes a field, or a part of a text, show `value`, and settles its conflict. Other conflicts stay open, and so does
    /// every other edit of the text.
    ///
    /// For a part of a text, `value` is a string that stands in place of that part. `""` takes the part out.
    ///
    /// # Errors
    /// [`MergeError::NoConflict`] if the present view has no conflict of the same values there, and those of [`Doc::put`].
    pub fn settle_conflict(
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
        let (slot, target) = at_path(&tree, &pointer_steps(&conflict.path)).ok_or_else(missing)?;
        let mut plan = Plan { settles_named: true, ..Plan::default() };
        match (&conflict.range, &slot.texts, value) {
            (Some(range), Some(texts), Json::String(reading)) => {
                let bytes = texts.shown.bytes(texts.size);
                let number = bytes.iter().position(|bytes| bytes == range);
                let settled = number.and_then(|n| plan.settle_text(slot, &target, n, reading));
                settled.ok_or_else(missing)?;
            }
            (Some(_), ..) => return Err(missing()),
            (None, _, value) => plan.set(slot, &target, value),
        }
        self.commit(stamp, None, plan)
    }
}

/// Returns the field or element at a path, and where it stands.
fn at_path<'t>(tree: &'t MapNode, path: &[String]) -> Option<(&'t Slot, Target<'t>)> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(in_map(tree, first)?, |(slot, _), step| match &slot.shown {
        Node::Map(map) => in_map(map, step),
        Node::List(list) => in_list(list, step),
        Node::Json(_) | Node::Counter(_) | Node::Text { .. } => None,
    })
}

fn in_map<'t>(map: &'t MapNode, step: &str) -> Option<(&'t Slot, Target<'t>)> {
    Some((map.field(step)?, Target { parts: &map.parts, prop: step.into() }))
}

fn in_list<'t>(list: &'t ListNode, step: &str) -> Option<(&'t Slot, Target<'t>)> {
    let item = list.items.get(step.parse::<usize>().ok()?)?;
    let parts = list.parts.get(item.part..=item.part)?;
    Some((&item.slot, Target { parts, prop: item.index.into() }))
}
