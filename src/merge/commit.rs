//! Turns a plan into a change.

use super::change_message::ChangeKind;
use super::doc::Doc;
use super::error::MergeError;
use super::hashes::Hashes;
use super::json_values::hydrated_map;
use super::new_change::{NewChange, Stamp};
use super::plan::{Plan, Step};
use super::transaction::no_change;
use automerge::transaction::Transactable;
use serde_json::{Map, Value as Json};

impl Doc {
    /// Makes the change that a plan describes. Returns `None` if the plan is empty and the document is shown already.
    ///
    /// If the plan is empty and the document is deleted or has no change, an empty change makes it appear.
    pub(super) fn commit(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        plan: Plan,
    ) -> Result<Option<NewChange>, MergeError> {
        // A plan at an earlier version cannot see the conflicts that came since, so the views tell what was settled.
        let before = (plan.meets_conflict || base.is_some()).then(|| self.view());
        let mut change = self.execute(stamp, base, plan.steps)?;
        // A view of a long history takes long, and most documents have no conflict.
        if let (Some(before), Some(change)) = (before, &mut change)
            && !before.conflicts.is_empty()
        {
            change.settled = before.settled_by(&self.view());
        }
        Ok(change)
    }

    /// Carries out steps in one change.
    fn execute(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        steps: Vec<Step>,
    ) -> Result<Option<NewChange>, MergeError> {
        let (removing, steps): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| matches!(step, Step::RemoveValue { .. }));
        let change = match (steps.is_empty(), removing.is_empty()) {
            (true, true) => None,
            (false, true) => self.run(stamp, base, &steps)?,
            (_, false) => Some(self.remove_values(stamp, base, &steps, &removing)?),
        };
        match change {
            // A document that was written must exist afterwards, even if its value is empty.
            None if self.hidden_at(base) || self.am.get_heads().is_empty() => {
                self.empty_change(stamp, ChangeKind::Edit).map(Some)
            }
            change => Ok(change),
        }
    }

    /// Writes the first content of a document as one batch, which takes half as long as field by field.
    pub(super) fn first_write(
        &mut self,
        stamp: &Stamp<'_>,
        value: &Map<String, Json>,
    ) -> Result<NewChange, MergeError> {
        let value = hydrated_map(value);
        let (_, change) = self.transact(stamp, None, |tx| tx.init_root_from_hydrate(&value))?;
        change.ok_or_else(no_change)
    }
}
