//! Making changes: the difference between what a document shows and what it shall show.

use super::change_message::ChangeKind;
use super::doc::Doc;
use super::error::MergeError;
use super::hashes::native;
use super::new_change::{NewChange, Stamp};
use super::panic_guard::change_by_hash;
use super::plan::{Plan, without_nulls};
use super::value_limits::check_value;
use crate::format::hash::Heads;
use automerge::transaction::Transaction;
use automerge::{AutomergeError, ReadDoc};
use serde_json::{Map, Value as Json};

impl Doc {
    /// Makes the document `value`: what differs is written, nothing else. `None` if nothing differs.
    ///
    /// It states the whole document, so every field in conflict is settled, also where the shown
    /// value is the one that is put. A deleted document comes back; its hidden content is what
    /// `value` is compared with. A number over a counter is an increment by the difference.
    ///
    /// With a `base`, the change is made at that version and is concurrent with everything since.
    /// If the stamp's actor has written since, an actor of its own is used for it: the 16 bytes and
    /// a suffix of four.
    ///
    /// # Errors
    /// If the value is over [`VALUE_BYTES_MAX`](super::VALUE_BYTES_MAX) or
    /// [`NESTING_MAX`](super::NESTING_MAX), or `base` is not of this document.
    pub fn put(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        value: &Map<String, Json>,
    ) -> Result<Option<NewChange>, MergeError> {
        check_value(value)?;
        let base = self.base_heads(base)?;
        if base.is_none() && self.am.stats().num_ops == 0 && !value.is_empty() {
            return self.first_write(stamp, value).map(Some);
        }
        let mut plan = Plan::default();
        plan.put(&self.root(base.as_deref()), value);
        self.commit(stamp, base.as_deref(), plan)
    }

    /// Merges `patch` into the document as RFC 7396 says: `null` removes a field, a map is merged,
    /// anything else replaces. The fields that it names are settled if they are in conflict, also
    /// with the shown value. `None` if nothing differs. A deleted document counts as an empty one.
    ///
    /// # Errors
    /// As [`Doc::put`].
    pub fn patch(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        patch: &Map<String, Json>,
    ) -> Result<Option<NewChange>, MergeError> {
        check_value(patch)?;
        let base = self.base_heads(base)?;
        let root = self.root(base.as_deref());
        let mut plan = Plan::default();
        if self.hidden_at(base.as_deref()) {
            if let Json::Object(value) = without_nulls(&Json::Object(patch.clone())) {
                plan.put(&root, &value);
            }
        } else {
            plan.patch(&root, patch);
        }
        self.commit(stamp, base.as_deref(), plan)
    }

    /// Hands an Automerge transaction to `f`, for what `put` and `patch` cannot say (texts that
    /// several people edit, list positions, counters). Whatever `f` did is undone if it fails. The
    /// change is `None` if it did nothing. A deleted document shows its hidden content to `f`.
    ///
    /// # Errors
    /// Those of `f`, and [`MergeError::TooMany`] over 100,000 operations.
    pub fn edit<T>(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, AutomergeError>,
    ) -> Result<(T, Option<NewChange>), MergeError> {
        let base = self.base_heads(base)?;
        let before = self.heads();
        let (result, mut change) = self.transact(stamp, base.as_deref(), |tx| Ok(f(tx)?))?;
        if let Some(change) = &mut change
            && self.overwrites_several(change)?
        {
            change.settled = self.view_at(&before)?.settled_by(&self.view());
        }
        Ok((result, change))
    }

    /// Whether an operation of this change takes the place of several values at once.
    fn overwrites_several(&self, made: &NewChange) -> Result<bool, MergeError> {
        let made = change_by_hash(&self.am, &native(&made.hash))?;
        let operations = made.map(|made| made.decode().operations).unwrap_or_default();
        Ok(operations.iter().any(|operation| operation.pred.len() > 1))
    }

    /// Deletes the document: it stops to be shown, and comes back whole with the next edit, also
    /// with one that is made at the same time. `None` if it is deleted already, or empty.
    ///
    /// # Errors
    /// [`MergeError::CounterTooFar`] at the end of the counters.
    pub fn delete(&mut self, stamp: &Stamp<'_>) -> Result<Option<NewChange>, MergeError> {
        if self.heads().is_empty() || self.is_deleted() {
            return Ok(None);
        }
        self.empty_change(stamp, ChangeKind::Delete).map(Some)
    }
}
