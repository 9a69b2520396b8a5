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

/// The commit in which the effect of a commit on a document is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In that commit itself.
    Own,
    /// Nowhere: this commit took it back.
    UndoneBy(CommitId),
    /// In this commit, which took its undo back.
    In(Box<CommitInfo>),
}

impl CommitLog<'_> {
    /// Returns what became of the effect of a commit on a document.
    ///
    /// # Errors
    /// As [`Palace::history`](crate::palace::Palace::history).
    pub fn standing(&self, key: &Key, commit: CommitId) -> Result<Standing> {
        let history = self.commits.view.ask(key, Doc::history)?.unwrap_or_default();
        let undo = |info: &ChangeInfo| Some((info.hash, CommitId::parse(&info.undoes)?));
        let marks: Vec<(ChangeHash, CommitId)> = history.iter().filter_map(undo).collect();
        // Most documents have no such change, and their commits are not searched.
        if !marks.iter().any(|(_, of)| *of == commit) {
            return Ok(Standing::Own);
        }
        let (commits, _) = self.commits_of(key)?;
        let maker = |hash: ChangeHash| commits.iter().find(|commit| holds(commit, &hash));
        let made = |(hash, of)| maker(hash).map(|commit| Undo { by: commit.id(), of });
        let undos: Vec<Undo> = marks.into_iter().filter_map(made).collect();
        if let Some(by) = undone_by(&undos, commit) {
            return Ok(Standing::UndoneBy(by));
        }
        let now = made_again(&undos, commit);
        let found = commits.into_iter().find(|found| found.id() == now && now != commit);
        Ok(found.map_or(Standing::Own, |found| Standing::In(Box::new(found))))
    }
}

fn holds(commit: &CommitInfo, change: &ChangeHash) -> bool {
    commit.changes.iter().any(|(_, held)| held == change)
}

/// Returns the commit that took another one back, if nothing took that back.
fn undone_by(undos: &[Undo], of: CommitId) -> Option<CommitId> {
    let (here, others): (Vec<Undo>, Vec<Undo>) = undos.iter().partition(|undo| undo.of == of);
    // Those of this commit are left out, because forged ones could lead in a circle.
    here.into_iter().map(|undo| undo.by).find(|by| undone_by(&others, *by).is_none())
}

/// Returns the last commit that took an undo of this commit back, and did nothing else to the document; or the commit itself.
fn made_again(undos: &[Undo], mut commit: CommitId) -> CommitId {
    let only = |of: CommitId| {
        let by = undos.iter().rev().find(|undo| undo.of == of)?.by;
        undos.iter().all(|undo| undo.by != by || undo.of == of).then_some(by)
    };
    // No honest chain is longer than the list.
    for _ in undos {
        let Some(again) = only(commit).and_then(only) else { break };
        commit = again;
    }
    commit
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
        assert_eq!(undone_by(&undos, id(1)), Some(id(2)));
        assert_eq!(undone_by(&undos, id(2)), None);
        undos.push(undo(3, 2));
        assert_eq!((undone_by(&undos, id(1)), undone_by(&undos, id(2))), (None, Some(id(3))));
        undos.push(undo(4, 1));
        assert_eq!(undone_by(&undos, id(1)), Some(id(4)));
        assert_eq!(made_again(&undos[..2], id(1)), id(3));
        undos.push(undo(3, 9));
        assert_eq!(made_again(&undos, id(1)), id(1));
        // Forged undos in a circle: the search ends.
        assert_eq!(undone_by(&[undo(1, 2), undo(2, 1)], id(1)), None);
    }
}
