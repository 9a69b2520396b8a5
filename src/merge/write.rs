//! Writes to a whole document: put, patch, edit and delete.

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
    /// Makes the document show `value`: writes what differs, and nothing else. Returns `None` if nothing differs.
    ///
    /// A conflict stays open if what is shown of it is put, and is settled by anything else. A deleted document comes back,
    /// and `value` is compared with its hidden content. A number over a counter becomes an increment by the difference.
    ///
    /// With a `base`, the change is made at that version and is concurrent with everything since. If the stamp's actor
    /// has written since, the change gets a derived actor: the 16 bytes and a suffix of four. A map or a list that the
    /// value leaves out stays if anything in it was changed since.
    ///
    /// # Errors
    /// [`MergeError::TooLarge`] or [`MergeError::TooDeep`] if the value is over its limits,
    /// [`MergeError::TooMany`] over 100,000 operations, and [`MergeError::UnknownVersion`] if `base` is not a version
    /// of this document.
    pub fn put(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        value: &Map<String, Json>,
    ) -> Result<Option<NewChange>, MergeError> {
        check_value(value)?;
        let base = self.base_heads(base)?;
        // A history without operations shows nothing, so nothing has to be compared.
        if base.is_none() && self.am.stats().num_ops == 0 && !value.is_empty() {
            return self.first_write(stamp, value).map(Some);
        }
        let mut plan = Plan::default();
        plan.put(&self.tree(base.as_deref()), value);
        self.commit(stamp, base.as_deref(), plan)
    }

    /// Merges `patch` into the document as RFC 7396 says: `null` removes a field, a map is merged, anything else
    /// replaces. Returns `None` if nothing differs.
    ///
    /// Conflicts in the fields that it names are settled, even if the shown value is the one that is named. A deleted
    /// document counts as an empty one.
    ///
    /// # Errors
    /// As [`Doc::put`].
    pub fn patch(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        patch: &Map<String, Json>,
    ) -> Result<Option<NewChange>, MergeError> {
        self.patch_with(Plan { settles_named: true, ..Plan::default() }, stamp, base, patch)
    }

    /// Changes the fields that a patch names, like [`Doc::patch`]. A conflict stays open where the patch leaves a value, or
    /// a part of a text, as it is shown.
    ///
    /// # Errors
    /// As [`Doc::put`].
    pub fn revise(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        patch: &Map<String, Json>,
    ) -> Result<Option<NewChange>, MergeError> {
        self.patch_with(Plan::default(), stamp, base, patch)
    }

    fn patch_with(
        &mut self,
        mut plan: Plan,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        patch: &Map<String, Json>,
    ) -> Result<Option<NewChange>, MergeError> {
        check_value(patch)?;
        let base = self.base_heads(base)?;
        let root = self.tree(base.as_deref());
        // The hidden content of a deleted document must not come back with the patch, so `put` removes it.
        if self.hidden_at(base.as_deref()) {
            if let Json::Object(value) = without_nulls(&Json::Object(patch.clone())) {
                plan.put(&root, &value);
            }
        } else {
            plan.patch(&root, patch);
        }
        self.commit(stamp, base.as_deref(), plan)
    }

    /// Passes an Automerge transaction to `f`, for what `put` and `patch` cannot express: texts that several people edit,
    /// positions in lists, counters.
    ///
    /// If `f` fails, whatever it did is undone. The change is `None` if `f` did nothing. A deleted document shows `f` its
    /// hidden content.
    ///
    /// # Errors
    /// [`MergeError::Refused`] if `f` fails, [`MergeError::TooMany`] over 100,000 operations, and
    /// [`MergeError::MalformedOperation`] for an operation that readers would refuse. After the latter the change is
    /// in this document all the same, because an Automerge commit cannot be taken back: drop the document.
    pub fn edit<T>(
        &mut self,
        stamp: &Stamp<'_>,
        base: Option<&Heads>,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, AutomergeError>,
    ) -> Result<(T, Option<NewChange>), MergeError> {
        let base = self.base_heads(base)?;
        let before = self.heads();
        let (result, mut change) = self.transact(stamp, base.as_deref(), f)?;
        // Views of large documents take long, and only an operation over several values can settle a conflict.
        if let Some(change) = &mut change
            && self.overwrites_several(change)?
        {
            change.settled = self.view_at(&before)?.settled_by(&self.view());
        }
        Ok((result, change))
    }

    /// Returns true if an operation of this change overwrites several values at once.
    fn overwrites_several(&self, made: &NewChange) -> Result<bool, MergeError> {
        let made = change_by_hash(&self.am, &native(&made.hash))?;
        let operations = made.map(|made| made.decode().operations).unwrap_or_default();
        Ok(operations.iter().any(|operation| operation.pred.len() > 1))
    }

    /// Deletes the document: hides it until the next edit brings it back whole. A concurrent edit does so too.
    ///
    /// Returns `None` if it is deleted already, or has no change.
    ///
    /// # Errors
    /// [`MergeError::CounterTooFar`] at the end of the operation counters.
    pub fn delete(&mut self, stamp: &Stamp<'_>) -> Result<Option<NewChange>, MergeError> {
        if self.heads().is_empty() || self.is_deleted() {
            return Ok(None);
        }
        // Not Automerge's own deletes: with those, a concurrent edit would bring back only the field that it wrote.
        self.empty_change(stamp, ChangeKind::Delete).map(Some)
    }
}
