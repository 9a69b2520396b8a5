//! Finds commits: by their number, and by a change that they hold.
//!
//! Invariant: every commit that the palace holds is found. The times of an instance's commits rise with their numbers, unless
//! its clock was set back, so a change is first searched near its time, and then everywhere.

use super::change_nodes::instance_of;
use super::commit_id::CommitId;
use super::commit_queue::{Commits, Direction};
use super::feed::CommitInfo;
use super::log::CommitLog;
use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::merge::{ChangeInfo, Doc};
use crate::palace::error::Result;
use std::collections::{HashMap, HashSet};

/// Commits that are read at a time.
const PART: usize = 256;

impl CommitLog<'_> {
    /// Returns the commit with this id; `None` if there is none.
    ///
    /// # Errors
    /// As [`Palace::changes_since`](crate::palace::Palace::changes_since).
    pub fn commit(&self, id: CommitId) -> Result<Option<CommitInfo>> {
        let Some(before) = id.sequence.checked_sub(1) else { return Ok(None) };
        let found = self.commits.behind(id.instance, before, 1, Direction::OldestFirst)?;
        Ok(found.into_iter().find(|commit| commit.sequence == id.sequence))
    }

    /// Returns the commits that changed a document, each behind those that it builds on; and the changes of the document that
    /// no commit holds any more, because their file is missing or damaged.
    ///
    /// # Errors
    /// As [`Palace::history`](crate::palace::Palace::history).
    pub fn commits_of(&self, key: &Key) -> Result<(Vec<CommitInfo>, Vec<ChangeInfo>)> {
        let history = self.commits.view.ask(key, Doc::history)?.unwrap_or_default();
        let (mut commits, mut held, mut lost) = (Vec::new(), HashSet::new(), Vec::new());
        // A first change that is derived from its content is told with the change that filed it.
        let (named, others): (Vec<_>, Vec<_>) =
            history.into_iter().partition(|info| self.instance(info).is_some());
        for info in named {
            if held.contains(&info.hash) {
                continue;
            }
            let instance = self.instance(&info);
            let found =
                instance.map(|instance| self.holder(instance, &info)).transpose()?.flatten();
            match found {
                Some(commit) => {
                    held.extend(commit.changes.iter().map(|(_, change)| *change));
                    commits.push(commit);
                }
                None => lost.push(info),
            }
        }
        lost.extend(others);
        lost.retain(|info| !held.contains(&info.hash));
        let mut elsewhere = self.holders(&lost)?;
        lost.retain(|info| !elsewhere.contains_key(&info.hash));
        commits.extend(elsewhere.drain().map(|(_, commit)| commit));
        self.sort(key, &mut commits)?;
        Ok((commits, lost))
    }

    fn instance(&self, info: &ChangeInfo) -> Option<InstanceId> {
        instance_of(&info.actor).filter(|instance| self.instances().has(instance))
    }

    /// Sorts by the place of each commit's last change in the document's history.
    fn sort(&self, key: &Key, commits: &mut Vec<CommitInfo>) -> Result<()> {
        let history = self.commits.view.ask(key, Doc::history)?.unwrap_or_default();
        let places: HashMap<ChangeHash, usize> =
            history.iter().enumerate().map(|(at, info)| (info.hash, at)).collect();
        let place = |commit: &CommitInfo| {
            let of_key = commit.changes.iter().filter(|(changed, _)| changed == key);
            of_key.filter_map(|(_, change)| places.get(change)).max().copied()
        };
        commits.sort_by_key(|commit| (place(commit), commit.instance, commit.sequence));
        commits.dedup_by_key(|commit| (commit.instance, commit.sequence));
        Ok(())
    }

    /// Returns the commit of an instance that holds this change.
    fn holder(&self, instance: InstanceId, info: &ChangeInfo) -> Result<Option<CommitInfo>> {
        let from = first_at(&self.commits, instance, info.time_ms)?;
        let near =
            |commit: &CommitInfo| !Direction::OldestFirst.is_past(commit.time_ms, info.time_ms);
        let found = search(&self.commits, instance, from, &info.hash, near)?;
        match found {
            Some(found) => Ok(Some(found)),
            // The clock was set back: a later number has an earlier time.
            None => search(&self.commits, instance, 0, &info.hash, |_| true),
        }
    }

    /// Returns a commit of any instance for each of these changes, if there is one. It reads the whole log, for changes that
    /// another process had to write again.
    fn holders(&self, lost: &[ChangeInfo]) -> Result<HashMap<ChangeHash, CommitInfo>> {
        let (mut found, wanted) = (HashMap::new(), lost.iter().map(|info| info.hash));
        let wanted: HashSet<ChangeHash> = wanted.collect();
        if wanted.is_empty() {
            return Ok(found);
        }
        for instance in self.instances().iter() {
            each_commit(&self.commits, instance, 0, |commit| {
                for (_, change) in &commit.changes {
                    if wanted.contains(change) {
                        found.entry(*change).or_insert_with(|| commit.clone());
                    }
                }
                true
            })?;
        }
        Ok(found)
    }

    /// Calls `take` with every commit, instance by instance. It reads no documents.
    ///
    /// # Errors
    /// As [`Palace::changes_since`](crate::palace::Palace::changes_since).
    pub fn each(&self, mut take: impl FnMut(&CommitInfo)) -> Result<()> {
        for instance in self.instances().iter() {
            each_commit(&self.commits, instance, 0, |commit| {
                take(commit);
                true
            })?;
        }
        Ok(())
    }

    /// Returns the commit of an instance that holds a change; `None` if there is none.
    ///
    /// # Errors
    /// As [`Palace::changes_since`](crate::palace::Palace::changes_since).
    #[cfg(feature = "mcp")]
    pub fn holding(&self, instance: InstanceId, change: &ChangeHash) -> Result<Option<CommitInfo>> {
        search(&self.commits, instance, 0, change, |_| true)
    }

    /// Returns the changes in all commits of an instance.
    pub(super) fn changes_of(&self, instance: InstanceId) -> Result<HashSet<ChangeHash>> {
        let mut changes = HashSet::new();
        each_commit(&self.commits, instance, 0, |commit| {
            changes.extend(commit.changes.iter().map(|(_, change)| *change));
            true
        })?;
        Ok(changes)
    }
}

/// Calls `take` with the commits of an instance behind a number, until it returns false.
fn each_commit(
    commits: &Commits,
    instance: InstanceId,
    mut behind: u64,
    mut take: impl FnMut(&CommitInfo) -> bool,
) -> Result<()> {
    loop {
        let part = commits.behind(instance, behind, PART, Direction::OldestFirst)?;
        let Some(last) = part.last() else { return Ok(()) };
        behind = last.sequence;
        if !part.iter().all(&mut take) {
            return Ok(());
        }
    }
}

/// Searches an instance's commits behind a number, as long as they are near.
fn search(
    commits: &Commits,
    instance: InstanceId,
    behind: u64,
    change: &ChangeHash,
    near: impl Fn(&CommitInfo) -> bool,
) -> Result<Option<CommitInfo>> {
    let mut found = None;
    each_commit(commits, instance, behind, |commit| {
        let holds = commit.changes.iter().any(|(_, held)| held == change);
        found = holds.then(|| commit.clone());
        !holds && near(commit)
    })?;
    Ok(found)
}

/// Returns the number before that of the first commit that is not older than a time, by halving.
fn first_at(commits: &Commits, instance: InstanceId, time_ms: i64) -> Result<u64> {
    let last = commits.behind(instance, u64::MAX, 1, Direction::NewestFirst)?;
    let (mut low, mut high) = (0, last.first().map_or(0, |commit| commit.sequence));
    while low < high {
        let middle = low + (high - low) / 2;
        let next = commits.behind(instance, middle, 1, Direction::OldestFirst)?;
        match next.first() {
            Some(commit) if commit.time_ms < time_ms => low = commit.sequence,
            _ => high = middle,
        }
    }
    Ok(low)
}
