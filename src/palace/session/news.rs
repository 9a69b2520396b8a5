//! News of changes: a client is told that a version is there, and is shown nothing else of it.
//!
//! Invariant: that is never a base. A delete is compared with it, as with everything that was shown.

use super::client::Session;
use crate::format::hash::{ChangeHash, Heads};
use crate::format::key::Key;
use crate::merge::Doc;

impl Session {
    /// Notes that the client was told of these changes of a document: by a feed, a list of its versions, or a version that
    /// it named. They are added to the newest version of which anything was shown.
    pub(crate) fn told_of(&self, key: &Key, changes: &[ChangeHash]) {
        if changes.is_empty() {
            return;
        }
        let newest = self.versions(key).newest().cloned();
        let joined = |doc: &Doc| {
            let newest = newest.filter(|newest| doc.contains_all(newest));
            let each = changes.iter().map(|change| Heads::new(vec![*change]));
            newest.into_iter().chain(each).reduce(|all, one| doc.join(&all, &one))
        };
        // If the document cannot be read now, a delete compares with the changes alone, and asks once more than it need.
        let known = self.palace().last_view().ask(key, joined).ok().flatten().flatten();
        self.saw_some(key, &known.unwrap_or_else(|| Heads::new(changes.to_vec())));
    }
}
