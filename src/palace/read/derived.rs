//! A value that is derived from many documents, kept by the process, and brought up to date by what changed since.
//!
//! Invariant: the lock of the value is taken before every lock of the palace, and never inside of a commit.

use crate::format::key::Key;
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
use crate::palace::view::tail::entries;
use crate::palace::view::view::View;
use std::collections::BTreeSet;
use std::sync::PoisonError;

/// The commits that a derived value has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    generation: u64,
    commits: usize,
}

impl Palace {
    /// Calls `change` with the value that this process derives from documents. It begins with the default. There is one
    /// value, and all callers name the same type.
    pub(crate) fn derived<T: Default + Send + 'static, R>(
        &self,
        change: impl FnOnce(&mut T) -> R,
    ) -> R {
        let mut slot = self.shared.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let mut value =
            slot.take().and_then(|value| value.downcast::<T>().ok()).unwrap_or_default();
        let result = change(&mut value);
        *slot = Some(value);
        result
    }

    /// Returns the keys of the documents that were written since, and how far that goes; `None` for the keys if any
    /// document may have changed.
    pub(crate) fn written_since(
        &self,
        since: Option<Progress>,
    ) -> Result<(Option<BTreeSet<Key>>, Progress)> {
        Ok(written_in(&*self.fresh()?, since))
    }

    /// Returns what [`Palace::written_since`] does, as of the last rescan: for a caller that has rescanned already.
    pub(crate) fn known_since(
        &self,
        since: Option<Progress>,
    ) -> Result<(Option<BTreeSet<Key>>, Progress)> {
        Ok(written_in(&self.last_view(), since))
    }
}

fn written_in(view: &View, since: Option<Progress>) -> (Option<BTreeSet<Key>>, Progress) {
    let now = Progress { generation: view.generation, commits: view.tail.commits().count() };
    // In one generation the tail only grows.
    let since = since.filter(|since| since.generation == now.generation);
    let Some(since) = since else { return (None, now) };
    let new = view.tail.commits().skip(since.commits);
    let keys = new.flat_map(|commit| entries(&commit.body)).map(|entry| entry.key).collect();
    (Some(keys), now)
}
