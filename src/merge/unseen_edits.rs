//! Keeps what a writer has not seen in the objects that it removes.
//!
//! Trap: Automerge keeps a value that was written concurrently with its removal. But if an object is removed, everything
//! in it is hidden, also what was written there concurrently.

use super::doc::Doc;
use super::hashes::Hashes;
use super::plan::{Plan, Step};
use super::tree_reader::{StoredValue, TreeReader};

impl Doc {
    /// Drops the removals of maps, lists and texts that were changed after the version that a write is made from. So
    /// they stay, with the changes that the writer has not seen.
    ///
    /// A change that comes later than the write, from another process or another copy, is not known here.
    pub(super) fn keep_unseen_edits(&self, base: Option<&Hashes>, plan: &mut Plan) {
        // Of a deleted document everything goes, and nothing of it is shown.
        let Some(base) = base.filter(|base| plan.removes_objects && !self.deleted_at(base)) else {
            return;
        };
        self.read(Some(base), |then| {
            self.read(None, |now| {
                plan.steps.retain(|step| match step {
                    Step::Delete { obj, prop } => {
                        let found = then.all(obj, prop.clone(), 0);
                        !found.iter().any(|found| has_changed(found, then, now))
                    }
                    _ => true,
                });
            });
        });
    }
}

/// Returns true if a value is an object, and shows anything else at a later version.
fn has_changed(value: &StoredValue, then: &TreeReader<'_>, now: &TreeReader<'_>) -> bool {
    value.kind.is_object() && then.object(value) != now.object(value)
}
