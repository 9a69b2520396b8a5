//! From a plan to a change.

use super::change_message::ChangeKind;
use super::doc::Doc;
use super::error::MergeError;
use super::hashes::Hashes;
use super::json_values::hydrated_map;
use super::new_change::{NewChange, Stamp};
use super::plan::{Plan, Step};
use super::transaction::{no_change, run};
use serde_json::{Map, Value as Json};

impl Doc {
    /// Makes the change that a plan describes. If it describes none and the document is deleted or
    /// not there, an empty change brings it into being.
    pub(super) fn commit(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        plan: Plan,
    ) -> Result<Option<NewChange>, MergeError> {
        // At an earlier version the plan cannot see what came since.
        let before = (plan.meets_conflict || base.is_some()).then(|| self.view());
        let mut change = self.execute(stamp, base, plan)?;
        if let (Some(before), Some(change)) = (before, &mut change) {
            change.settled = before.settled_by(&self.view());
        }
        Ok(change)
    }

    fn execute(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Hashes>,
        plan: Plan,
    ) -> Result<Option<NewChange>, MergeError> {
        // What is written must be there afterwards, even if there is nothing in it.
        let appear = self.hidden_at(base) || self.am.get_heads().is_empty();
        let (settled, steps): (Vec<_>, Vec<_>) =
            plan.steps.into_iter().partition(|step| matches!(step, Step::Settle { .. }));
        let change = match (steps.is_empty(), settled.is_empty()) {
            (true, true) => None,
            (false, true) => self.transact(stamp, base, |tx| run(tx, &steps))?.1,
            (_, false) => Some(self.settle(stamp, base, &steps, &settled)?),
        };
        match change {
            None if appear => self.empty_change(stamp, ChangeKind::Edit).map(Some),
            change => Ok(change),
        }
    }

    /// The first content of a document goes in as one batch, which is faster than field by field.
    pub(super) fn first_write(
        &mut self,
        stamp: &Stamp<'_>,
        value: &Map<String, Json>,
    ) -> Result<NewChange, MergeError> {
        let value = hydrated_map(value);
        let (_, change) =
            self.transact(stamp, None, |tx| Ok(tx.init_root_from_hydrate(&value)?))?;
        change.ok_or_else(no_change)
    }
}
