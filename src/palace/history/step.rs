//! Returns what a commit did to each of its documents, from the document before and after it.
//!
//! Invariant: a change is told with the commit of the process that made it. A commit may repeat changes of another process,
//! so that they are not lost; they count as its own only if the log of that process lacks them.

use super::feed::CommitInfo;
use super::log::CommitLog;
use crate::format::hash::{ChangeHash, Heads};
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::merge::{DocumentStep, LineOrigin, MergeError, View};
use crate::palace::error::{Error, Result};

impl CommitLog<'_> {
    /// Returns a document before and after a commit; `None` if the commit only repeats changes of another process, or if the
    /// document has none of its changes.
    ///
    /// # Errors
    /// As [`Palace::history`](crate::palace::Palace::history).
    pub fn step(&mut self, commit: &CommitInfo, key: &Key) -> Result<Option<DocumentStep>> {
        let changes = self.own_changes(commit, key)?;
        if changes.is_empty() {
            return Ok(None);
        }
        let step = self.commits.view.ask(key, |doc| doc.step(&changes))?;
        Ok(step.transpose().map_err(of_document(key))?.flatten())
    }

    /// Returns the changes of a document that a commit is told with.
    ///
    /// # Errors
    /// As [`CommitLog::step`].
    pub fn own_changes(&mut self, commit: &CommitInfo, key: &Key) -> Result<Vec<ChangeHash>> {
        let nodes = self.known.of(&self.commits.view, key)?;
        let mut own = Vec::new();
        for (_, change) in commit.changes.iter().filter(|(changed, _)| changed == key) {
            let maker = nodes.get(change).and_then(|node| node.instance);
            let other =
                maker.filter(|maker| *maker != commit.instance && self.instances().has(maker));
            if let Some(other) = other
                && self.is_logged(other, change)?
            {
                continue;
            }
            own.push(*change);
        }
        Ok(own)
    }

    fn is_logged(&mut self, instance: InstanceId, change: &ChangeHash) -> Result<bool> {
        if let Some(known) = self.logged.get(&instance) {
            return Ok(known.contains(change));
        }
        let changes = self.changes_of(instance)?;
        let found = changes.contains(change);
        self.logged.insert(instance, changes);
        Ok(found)
    }

    /// Returns what a document shows at a version, or at the present one, and that version; `None` if there was no document.
    ///
    /// # Errors
    /// As [`Palace::history`](crate::palace::Palace::history).
    pub fn view_at(&self, key: &Key, at: Version<'_>) -> Result<Option<(Heads, View)>> {
        let view = self.commits.view.ask(key, |doc| {
            let heads = match at {
                Version::Now => doc.heads(),
                Version::Time(ms) => doc.heads_at(ms),
                Version::Heads(heads) => heads.clone(),
            };
            doc.view_at(&heads).map(|view| (heads, view))
        })?;
        let view = view.transpose().map_err(of_document(key))?;
        Ok(view.filter(|(heads, _)| !heads.is_empty()))
    }

    /// Returns the version before the heads of another one.
    ///
    /// # Errors
    /// As [`Palace::history`](crate::palace::Palace::history).
    pub fn version_before(&self, key: &Key, version: &Heads) -> Result<Heads> {
        Ok(self.commits.view.ask(key, |doc| doc.before(version))?.unwrap_or_default())
    }

    /// Returns the lines of a text of a document, each with its change.
    ///
    /// # Errors
    /// As [`Palace::history`](crate::palace::Palace::history).
    pub fn blame(
        &self,
        key: &Key,
        heads: &Heads,
        text_of: &dyn Fn(&View) -> String,
    ) -> Result<Vec<LineOrigin>> {
        let lines = self.commits.view.ask(key, |doc| doc.blame(heads, text_of))?;
        Ok(lines.transpose().map_err(of_document(key))?.unwrap_or_default())
    }
}

/// A version of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version<'a> {
    /// The present one.
    Now,
    /// The one that had been written by a time, in milliseconds since 1970.
    Time(i64),
    /// The one with these heads.
    Heads(&'a Heads),
}

fn of_document(key: &Key) -> impl Fn(MergeError) -> Error + use<> {
    let key = key.clone();
    move |source| Error::Document { key: key.clone(), source }
}
