//! Finds which commits were taken back, and by which.
//!
//! Invariant: a commit counts as taken back only as long as the commit that did so was not taken back itself.

use super::commit_id::CommitId;
use super::feed::CommitInfo;
use super::log::CommitLog;
use crate::format::hash::ChangeHash;
use crate::format::key::Key;
use crate::merge::{ChangeInfo, Doc};
use crate::palace::error::Result;

/// A commit, and one whose effect on a document it took back.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Undo {
    by: CommitId,
    of: CommitId,
}

impl CommitLog<'_> {
    /// Returns the commit that took back what another one did to a document; `None` if that stands.
    ///
    /// # Errors
    /// As [`Palace::history`](crate::palace::Palace::history).
    pub fn undone_by(&self, key: &Key, commit: CommitId) -> Result<Option<CommitId>> {
        let history = self.commits.view.ask(key, Doc::history)?.unwrap_or_default();
        let undo = |info: &ChangeInfo| Some((info.hash, CommitId::parse(&info.undoes)?));
        let marks: Vec<(ChangeHash, CommitId)> = history.iter().filter_map(undo).collect();
        // Most documents have no such change, and their commits are not searched.
        if !marks.iter().any(|(_, of)| *of == commit) {
            return Ok(None);
        }
        let (commits, _) = self.commits_of(key)?;
        let maker = |hash: ChangeHash| commits.iter().find(|commit| holds(commit, &hash));
        let made = |(hash, of)| maker(hash).map(|commit| Undo { by: commit.id(), of });
        let undos: Vec<Undo> = marks.into_iter().filter_map(made).collect();
        Ok(standing(&undos, commit))
    }
}

fn holds(commit: &CommitInfo, change: &ChangeHash) -> bool {
    commit.changes.iter().any(|(_, held)| held == change)
}

/// Returns the commit that took another one back, if nothing took that back.
fn standing(undos: &[Undo], of: CommitId) -> Option<CommitId> {
    let (here, others): (Vec<Undo>, Vec<Undo>) = undos.iter().partition(|undo| undo.of == of);
    // Those of this commit are left out, because forged ones could lead in a circle.
    here.into_iter().map(|undo| undo.by).find(|by| standing(&others, *by).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::InstanceId;

    #[test]
    fn commit_stands_again_if_its_undo_was_undone() {
        let id = |sequence| CommitId { instance: InstanceId([1; 16]), sequence };
        let undo = |by, of| Undo { by: id(by), of: id(of) };
        let mut undos = vec![undo(2, 1)];
        assert_eq!(standing(&undos, id(1)), Some(id(2)));
        assert_eq!(standing(&undos, id(2)), None);
        undos.push(undo(3, 2));
        assert_eq!((standing(&undos, id(1)), standing(&undos, id(2))), (None, Some(id(3))));
        undos.push(undo(4, 1));
        assert_eq!(standing(&undos, id(1)), Some(id(4)));
        // Forged undos in a circle: the search ends.
        assert_eq!(standing(&[undo(1, 2), undo(2, 1)], id(1)), None);
    }
}
