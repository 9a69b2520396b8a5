//! Takes back what a commit did to a document, in a draft.
//!
//! Invariants: the draft overwrites nothing that was written since, and the changes that it makes leave one head. So what is
//! taken back can be taken back in turn, exactly.

use super::draft::Draft;
use crate::format::hash::{ChangeHash, Heads};
use crate::merge::{
    ChangeEffect, DocumentStep, FieldPath, MergeError, UndoPlan, View, Written, pointer_steps,
    set_at,
};

/// A part of what a commit did to a document that stays, or that is in conflict now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotUndone {
    /// It changed nothing that is shown.
    Nothing,
    /// The document was deleted since.
    Deleted(Written),
    /// The document was deleted by another writer too.
    DeletedToo(Written),
    /// The document is there again.
    BroughtBack,
    /// The document was changed since, so it is not hidden.
    Changed(Option<Written>),
    /// The field was changed since.
    Field(FieldPath, Option<Written>),
    /// The field is in conflict.
    InConflict(FieldPath),
    /// The same place of the field was changed since: it is undone, and both readings are in conflict.
    Conflicts(FieldPath, Option<Written>),
    /// It settled a conflict. The readings that are gone do not come back.
    Settled,
}

impl Draft<'_> {
    /// Takes back what these changes did, which one commit made. `commit` is its name. Returns what stays.
    ///
    /// # Errors
    /// [`MergeError`] if a version cannot be shown, or a write is refused.
    pub(crate) fn undo(
        &mut self,
        commit: &str,
        changes: &[ChangeHash],
    ) -> Result<Vec<NotUndone>, MergeError> {
        let Some(step) = self.doc()?.step(changes)? else { return Ok(vec![NotUndone::Nothing]) };
        self.build_on(self.version());
        commit.clone_into(&mut self.undoes);
        let left = self.undo_step(&step, changes);
        self.undoes.clear();
        left
    }

    /// Returns the document before and after all that the draft did; `None` if it did nothing.
    ///
    /// # Errors
    /// As [`Draft::undo`].
    pub(crate) fn step(&mut self) -> Result<Option<DocumentStep>, MergeError> {
        let made = self.made();
        self.doc()?.step(&made)
    }

    fn made(&self) -> Vec<ChangeHash> {
        self.changes.iter().map(|change| change.hash).collect()
    }

    fn undo_step(
        &mut self,
        step: &DocumentStep,
        changes: &[ChangeHash],
    ) -> Result<Vec<NotUndone>, MergeError> {
        use ChangeEffect::{Created, Deleted, Edited, Restored, Settled};
        let did = |effect| step.effects.effects.contains(&effect);
        let now = self.view()?;
        let mut left = if did(Deleted) {
            self.undo_delete(step, &now, changes)?.into_iter().collect()
        } else if did(Created) || did(Restored) {
            self.undo_appearance(step, &now)?.into_iter().collect()
        } else if did(Edited) {
            self.undo_edit(step, &now)?
        } else if did(Settled) {
            Vec::new()
        } else {
            vec![NotUndone::Nothing]
        };
        left.extend(did(Settled).then_some(NotUndone::Settled));
        Ok(left)
    }

    /// Brings the document back as it was, unless another writer deleted it too.
    fn undo_delete(
        &mut self,
        step: &DocumentStep,
        now: &View,
        changes: &[ChangeHash],
    ) -> Result<Option<NotUndone>, MergeError> {
        if !now.deleted {
            return Ok(Some(NotUndone::BroughtBack));
        }
        let made = self.made();
        let is_ours = |head: &ChangeHash| changes.contains(head) || made.contains(head);
        if !self.version().hashes().iter().all(is_ours) {
            return Ok(now.modified.clone().map(NotUndone::DeletedToo));
        }
        self.put(&step.before.value).map(|()| None)
    }

    /// Hides the document again, unless it shows anything else than right after the changes.
    fn undo_appearance(
        &mut self,
        step: &DocumentStep,
        now: &View,
    ) -> Result<Option<NotUndone>, MergeError> {
        if now.deleted {
            return Ok(now.modified.clone().map(NotUndone::Deleted));
        }
        let made = self.made();
        let filed = self.doc()?.filed_since(&step.version, &made);
        if filed.is_none() && now.value == step.after.value && now.conflicts.is_empty() {
            return self.delete().map(|()| None);
        }
        if self.count_back(step, now)? {
            return Ok(None);
        }
        let by = self.changed_since(&step.version, None)?;
        Ok(Some(NotUndone::Changed(filed.or(by))))
    }

    /// Counts the counters back that the changes made. Returns true if they made a document of nothing else.
    fn count_back(&mut self, step: &DocumentStep, now: &View) -> Result<bool, MergeError> {
        if !step.effects.effects.contains(&ChangeEffect::Created) {
            return Ok(false);
        }
        let plan = self.doc()?.undo_plan(step, now);
        let count = plan.on_top.len() + plan.kept.len();
        // Of a new document, only counters have a value to go back to.
        let counters = plan.on_top.into_iter().filter(|(_, wanted)| wanted.is_some());
        let plan = UndoPlan { on_top: counters.collect(), ..UndoPlan::default() };
        self.write_plan(&plan, &step.version)?;
        Ok(count > 0 && plan.on_top.len() == count)
    }

    /// Takes an edit back, field by field.
    fn undo_edit(&mut self, step: &DocumentStep, now: &View) -> Result<Vec<NotUndone>, MergeError> {
        if now.deleted {
            return Ok(now.modified.clone().map(NotUndone::Deleted).into_iter().collect());
        }
        let plan = self.doc()?.undo_plan(step, now);
        self.write_plan(&plan, &step.version)?;
        let mut left = Vec::new();
        for field in plan.kept {
            left.push(match field.in_conflict {
                true => NotUndone::InConflict(field.path),
                false => {
                    let by = self.changed_since(&step.version, field.path.first())?;
                    NotUndone::Field(field.path, by)
                }
            });
        }
        let known: Vec<&str> = now.conflicts.iter().map(|conflict| &*conflict.path).collect();
        for conflict in self.view()?.conflicts {
            if !known.contains(&&*conflict.path) {
                let path = pointer_steps(&conflict.path);
                let by = self.changed_since(&step.version, path.first())?;
                left.push(NotUndone::Conflicts(path, by));
            }
        }
        Ok(left)
    }

    fn write_plan(&mut self, plan: &UndoPlan, version: &Heads) -> Result<(), MergeError> {
        let made = self.changes.len();
        if let Some(beside) = &plan.beside {
            self.build_on(version.clone());
            self.put_object(beside)?;
            self.build_on(self.version());
        }
        if !plan.on_top.is_empty() {
            let mut value = self.view()?.value;
            for (path, wanted) in &plan.on_top {
                set_at(&mut value, path, wanted.as_ref());
            }
            self.put_object(&value)?;
        }
        match self.changes.len() > made {
            true => self.change(|doc, stamp, _| doc.join_heads(stamp)),
            false => Ok(()),
        }
    }

    fn changed_since(
        &mut self,
        version: &Heads,
        field: Option<&String>,
    ) -> Result<Option<Written>, MergeError> {
        let own = self.made();
        self.doc()?.changed_since(version, &own, field.map(String::as_str))
    }
}
