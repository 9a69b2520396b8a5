//! Tells what some changes of a document did, from the document before and after them.
//!
//! Invariant: only what the changes themselves build on counts, so the answer is the same whatever was written beside them,
//! and stays the same for ever. Which conflicts they are in is a matter of the present.

use super::change_info::ChangeInfo;
use super::change_message::{ChangeKind, Written};
use super::doc::Doc;
use super::error::MergeError;
use super::hashes::native;
use super::view::View;
use crate::format::hash::{ChangeHash, Heads};

/// One thing that a commit did to a document.
///
/// ```
/// use crdt_palace::palace::{ChangeEffect, feed::Cursor};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("k", &json!({"n": 1}))?;
/// palace.put("k", &json!({"n": 2}))?;
/// palace.delete("k")?;
/// palace.session().undelete("k")?;
/// let mut effects = Vec::new();
/// for commit in palace.changes_since(&Cursor::default(), 10)?.commits {
///     effects.extend(palace.effects(&commit, &commit.keys[0])?.ok_or("it is there")?.effects);
/// }
/// use ChangeEffect::{Created, Deleted, Edited, Restored};
/// assert_eq!(effects, [Created, Edited, Deleted, Restored]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeEffect {
    /// It made the document.
    Created,
    /// It filed content that the document had already.
    Filed,
    /// It changed the value.
    Edited,
    /// It settled a conflict.
    Settled,
    /// It hid the document.
    Deleted,
    /// It brought a deleted document back.
    Restored,
}

/// What a commit did to a document. Made by [`Palace::effects`](crate::palace::Palace::effects).
///
/// ```
/// use crdt_palace::palace::{ChangeEffect, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let first = palace.put("k", &json!({"a": 0, "b": 0}))?;
/// palace.put("k", &json!({"a": 1, "b": 0}))?;
/// let cursor = palace.cursor_now()?;
/// let beside = palace.with(WriteOptions::new().base(first.etag).by("ann/1.0"));
/// beside.put("k", &json!({"a": 2, "b": 0}))?;
/// let commit = &palace.changes_since(&cursor, 10)?.commits[0];
/// let done = palace.effects(commit, &commit.keys[0])?.ok_or("it is there")?;
/// assert_eq!((done.effects, done.fields), (vec![ChangeEffect::Edited], vec!["a".to_owned()]));
/// assert_eq!(done.rivals.len(), 1); // the other value of a is still open
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentEffects {
    /// The effects, each once. Empty if the commit changed nothing that is shown.
    pub effects: Vec<ChangeEffect>,
    /// The fields of the root that have another value, in their order. Of a document that came back, other than before the
    /// delete. Empty if it was made or deleted.
    pub fields: Vec<String>,
    /// Writers of the other readings of each conflict that is open now and that the commit has a reading in.
    pub rivals: Vec<Rival>,
}

/// The writer of a reading that is in conflict with what a commit wrote.
///
/// ```
/// # use crdt_palace::palace::{Palace, Rival, WriteOptions};
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// let first = palace.put("k", &json!({"n": 0}))?;
/// palace.with(WriteOptions::new().by("ann/1.0")).put("k", &json!({"n": 1}))?;
/// let cursor = palace.cursor_now()?;
/// palace.with(WriteOptions::new().base(first.etag)).put("k", &json!({"n": 2}))?;
/// let commit = &palace.changes_since(&cursor, 10)?.commits[0];
/// let done = palace.effects(commit, &commit.keys[0])?.ok_or("it is there")?;
/// let Rival { written, actor, .. } = &done.rivals[0];
/// assert_eq!(written.by, "ann/1.0");
/// assert!(actor.starts_with(&palace.instance().ok_or("it has written")?.to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rival {
    /// Its writer, time and change.
    pub written: Written,
    /// Actor of that change, in hex. It begins with the instance of the process that made it.
    pub actor: String,
}

/// A document before and after a commit.
#[derive(Clone, Debug)]
pub struct DocumentStep {
    /// The effects of the commit. Rivals are left out.
    pub effects: DocumentEffects,
    /// The document as the commit found it. If the commit restored it, as it was before the delete.
    pub before: View,
    /// The document right after the commit.
    pub after: View,
    /// The version right after the commit.
    pub version: Heads,
    /// The names of the commits whose effect on the document the commit takes back, each once.
    pub undoes: Vec<String>,
}

impl Doc {
    /// Tells what these changes did, which one commit made; `None` if the document has none of them.
    ///
    /// # Errors
    /// [`MergeError`] if a version cannot be shown.
    pub fn effects(&self, changes: &[ChangeHash]) -> Result<Option<DocumentEffects>, MergeError> {
        let Some(mut step) = self.step(changes)? else { return Ok(None) };
        step.effects.rivals = self.rivals(&|hash| changes.contains(hash));
        Ok(Some(step.effects))
    }

    /// Returns the document before and after these changes, which one commit made, and what they did; `None` if the document
    /// has none of them. Rivals are left out, so that the answer never changes.
    ///
    /// # Errors
    /// As [`Doc::effects`].
    pub fn step(&self, changes: &[ChangeHash]) -> Result<Option<DocumentStep>, MergeError> {
        let made: Vec<ChangeInfo> = changes.iter().filter_map(|hash| self.info(hash)).collect();
        if made.is_empty() {
            return Ok(None);
        }
        let is_of = |hash: &ChangeHash| made.iter().any(|change| change.hash == *hash);
        let deps = || made.iter().flat_map(|change| &change.deps);
        let from = Heads::new(deps().filter(|dep| !is_of(dep)).copied().collect());
        let from = self.heads_among(from);
        let last = made.iter().map(|change| change.hash);
        let to = Heads::new(last.filter(|hash| !deps().any(|dep| dep == hash)).collect());
        let was_there = !from.is_empty();
        let (mut before, after) = (self.view_at(&from)?, self.view_at(&to)?);
        let mut found = difference(was_there, &before, &after);
        if found.effects.contains(&ChangeEffect::Restored) {
            // What was edited on the way shows in comparison with the document before the delete.
            before = self.view_at(&self.before(&from))?;
            found.extend(difference(true, &before, &after));
        }
        let is_filing = made.iter().any(|change| change.kind == ChangeKind::Filed);
        if is_filing && !after.deleted && !found.effects.contains(&ChangeEffect::Created) {
            found.effects.push(ChangeEffect::Filed);
        }
        found.effects.sort_unstable();
        let mut undoes: Vec<String> = made.into_iter().map(|change| change.undoes).collect();
        undoes.retain(|commit| !commit.is_empty());
        undoes.sort_unstable();
        undoes.dedup();
        Ok(Some(DocumentStep { effects: found, before, after, version: to, undoes }))
    }

    fn info(&self, hash: &ChangeHash) -> Option<ChangeInfo> {
        let meta = self.am.get_change_meta_by_hash(&native(hash))?;
        Some(ChangeInfo::new(&meta))
    }

    fn rivals(&self, is_of: &dyn Fn(&ChangeHash) -> bool) -> Vec<Rival> {
        let mut rivals: Vec<Rival> = Vec::new();
        for conflict in self.view().conflicts {
            let others = conflict.others.into_iter().map(|other| other.written);
            let readings: Vec<Written> = std::iter::once(conflict.shown).chain(others).collect();
            if !readings.iter().any(|reading| is_of(&reading.change)) {
                continue;
            }
            for written in readings.into_iter().filter(|reading| !is_of(&reading.change)) {
                let is_new = rivals.iter().all(|rival| rival.written.change != written.change);
                if let (true, Some(info)) = (is_new, self.info(&written.change)) {
                    rivals.push(Rival { written, actor: info.actor });
                }
            }
        }
        rivals
    }
}

impl DocumentEffects {
    fn extend(&mut self, other: Self) {
        self.effects.extend(other.effects);
        self.fields.extend(other.fields);
    }
}

/// Compares a document before and after some changes.
fn difference(was_there: bool, before: &View, after: &View) -> DocumentEffects {
    use ChangeEffect::{Created, Deleted, Edited, Restored, Settled};
    let mut found = DocumentEffects { effects: Vec::new(), fields: Vec::new(), rivals: Vec::new() };
    match (was_there, before.deleted, after.deleted) {
        (_, _, true) => found.effects.extend((!before.deleted).then_some(Deleted)),
        (false, ..) => found.effects.push(Created),
        (true, true, false) => found.effects.push(Restored),
        (true, false, false) => {
            let names = before.value.keys().chain(after.value.keys());
            let differs = |name: &&String| before.value.get(*name) != after.value.get(*name);
            found.fields = names.filter(differs).cloned().collect();
            found.fields.sort_unstable();
            found.fields.dedup();
            found.effects.extend((!found.fields.is_empty()).then_some(Edited));
            let is_settled = !before.settled_by(after).is_empty();
            found.effects.extend(is_settled.then_some(Settled));
        }
    }
    found
}
