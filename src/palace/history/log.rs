//! All commits in one order: that of each instance, then a document's causes before their effects, then the writers' clocks.
//!
//! Invariants: the order is the same before and after a compaction. Reading stops where the caller stops, so the end of a
//! long history costs no more than that of a short one: one row for each instance, and the commits that are taken.
//!
//! Of each instance, one commit is next. The one with the earliest time (or the latest, from the other end) is taken,
//! unless a change of its documents must come before it. Then its instance waits for that change; from the other end, that
//! change is taken first. Both give a commit with a slow clock the place behind what it builds on.

use super::change_nodes::{ChangeNodes, KnownChanges};
use super::commit_id::Instances;
use super::commit_queue::{CommitQueue, Commits, Direction};
use super::feed::CommitInfo;
use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The commits that a caller wants, by what is known without their documents.
pub(crate) type Wanted<'a> = Box<dyn Fn(&CommitInfo) -> bool + 'a>;

/// A walk through all commits of a palace, as it is when the walk begins.
pub(crate) struct CommitLog<'a> {
    pub(super) commits: Commits,
    pub(super) known: KnownChanges,
    instances: Instances,
    direction: Direction,
    wanted: Wanted<'a>,
    /// True once the first commit was asked for. Most commands ask for none, and then no end of a log is read.
    is_begun: bool,
    queues: HashMap<InstanceId, CommitQueue>,
    /// The time of the next commit of each instance that does not wait.
    heads: BTreeSet<(i64, InstanceId)>,
    /// Instances that wait for a change, from the old end.
    waiting: BTreeMap<ChangeHash, Vec<InstanceId>>,
    /// Commits that are next, each once those behind it in this list are taken, from the new end.
    pulled: Vec<CommitInfo>,
    taken: HashSet<ChangeHash>,
    /// Changes of which all that must come before them is taken.
    ordered: HashSet<ChangeHash>,
    /// Changes of instances whose commits were searched: see [`CommitLog::own_changes`].
    pub(super) logged: HashMap<InstanceId, HashSet<ChangeHash>>,
}

impl Palace {
    /// Begins to read the commits that are wanted, from one end.
    ///
    /// # Errors
    /// As [`Palace::changes_since`].
    pub(crate) fn log<'a>(
        &self,
        direction: Direction,
        wanted: Wanted<'a>,
    ) -> Result<CommitLog<'a>> {
        let commits = Commits::new(self.fresh()?);
        let instances = commits.instances()?;
        Ok(CommitLog {
            commits,
            known: KnownChanges::default(),
            instances,
            direction,
            wanted,
            is_begun: false,
            queues: HashMap::new(),
            heads: BTreeSet::new(),
            waiting: BTreeMap::new(),
            pulled: Vec::new(),
            taken: HashSet::new(),
            ordered: HashSet::new(),
            logged: HashMap::new(),
        })
    }
}

impl CommitLog<'_> {
    /// Returns the next commit that is wanted; `None` behind the last one.
    ///
    /// # Errors
    /// As [`Palace::changes_since`], and as [`Palace::history`] for a document of such a commit.
    pub fn next(&mut self) -> Result<Option<CommitInfo>> {
        self.begin()?;
        loop {
            let next = match self.direction {
                Direction::OldestFirst => self.next_oldest()?,
                Direction::NewestFirst => self.next_newest()?,
            };
            match next {
                Some(commit) if !(self.wanted)(&commit) => {}
                next => return Ok(next),
            }
        }
    }

    /// Reads the end of each instance's log, if that was not done yet.
    fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_begun, true) {
            return Ok(());
        }
        for (instance, end) in self.commits.ends(self.direction)? {
            self.heads.insert((end.time_ms, instance));
            self.queues.insert(instance, CommitQueue::new(end, self.direction));
        }
        Ok(())
    }

    /// Returns the instances that made commits.
    pub fn instances(&self) -> &Instances {
        &self.instances
    }

    /// Returns true if all commits that are left are on the far side of a time, unless a clock was set by more than an hour.
    pub fn is_past(&self, time_ms: i64) -> bool {
        let next = match self.direction {
            Direction::OldestFirst => self.heads.first(),
            Direction::NewestFirst => self.heads.last(),
        };
        // What waits may be on the near side, although what it waits for is not.
        let is_settled = self.pulled.is_empty() && self.waiting.is_empty();
        is_settled && next.is_some_and(|(at, _)| self.direction.is_past(*at, time_ms))
    }

    fn next_oldest(&mut self) -> Result<Option<CommitInfo>> {
        while let Some((_, instance)) = self.heads.pop_first() {
            let Some(queue) = self.queues.get_mut(&instance) else { continue };
            let Some(head) = queue.head(&self.commits)?.cloned() else { continue };
            if !self.needs_order(&head) {
                return self.take(instance, false);
            }
            match self.missing(&head)? {
                Some((_, change)) => self.waiting.entry(change).or_default().push(instance),
                None => return self.take(instance, true),
            }
        }
        // Only a forged history waits in a circle. It is told all the same.
        let Some(mut entry) = self.waiting.first_entry() else { return Ok(None) };
        let first = entry.get_mut().pop();
        if entry.get().is_empty() {
            entry.remove();
        }
        first.map_or(Ok(None), |instance| self.take(instance, true))
    }

    fn next_newest(&mut self) -> Result<Option<CommitInfo>> {
        loop {
            let Some(last) = self.pulled.pop() else {
                let Some((_, instance)) = self.heads.last().copied() else { return Ok(None) };
                let Some(row) = self.pop(instance)? else { return Ok(None) };
                if !self.needs_order(&row) {
                    self.note(&row, false);
                    return Ok(Some(row));
                }
                self.pulled.push(row);
                continue;
            };
            match self.missing(&last)? {
                Some((instance, _)) => {
                    self.pulled.push(last);
                    let row = self.pop(instance)?;
                    self.pulled.extend(row);
                }
                None => {
                    self.note(&last, true);
                    return Ok(Some(last));
                }
            }
        }
    }

    /// Returns true if the place of a commit among others matters: it is wanted, or a wanted one waits for it.
    fn needs_order(&self, row: &CommitInfo) -> bool {
        row.changes.iter().any(|(_, change)| self.waiting.contains_key(change))
            || (self.wanted)(row)
    }

    fn take(&mut self, instance: InstanceId, ordered: bool) -> Result<Option<CommitInfo>> {
        let row = self.pop(instance)?;
        if let Some(row) = &row {
            self.note(row, ordered);
            for (_, change) in &row.changes {
                for released in self.waiting.remove(change).into_iter().flatten() {
                    self.offer(released);
                }
            }
        }
        Ok(row)
    }

    /// Takes the next commit of an instance, and offers the one behind it.
    fn pop(&mut self, instance: InstanceId) -> Result<Option<CommitInfo>> {
        let Some(queue) = self.queues.get_mut(&instance) else { return Ok(None) };
        if let Some(time_ms) = queue.time_ms() {
            self.heads.remove(&(time_ms, instance));
        }
        let row = queue.take(&self.commits)?;
        self.offer(instance);
        Ok(row)
    }

    fn offer(&mut self, instance: InstanceId) {
        let time_ms = self.queues.get(&instance).and_then(CommitQueue::time_ms);
        self.heads.extend(time_ms.map(|time_ms| (time_ms, instance)));
    }

    fn note(&mut self, row: &CommitInfo, ordered: bool) {
        let changes = || row.changes.iter().map(|(_, change)| *change);
        self.taken.extend(changes());
        if ordered {
            self.ordered.extend(changes());
        }
    }

    /// Returns a change that must come before a commit and was not taken yet, and its instance.
    fn missing(&mut self, row: &CommitInfo) -> Result<Option<(InstanceId, ChangeHash)>> {
        for (key, change) in &row.changes {
            let nodes = self.known.of(&self.commits.view, key)?;
            if let Some(missing) = self.missing_of(row, &nodes, *change)? {
                return Ok(Some(missing));
            }
        }
        Ok(None)
    }

    /// Walks from a change of a commit to those that must come before it, through those that were taken out of order.
    fn missing_of(
        &mut self,
        row: &CommitInfo,
        nodes: &ChangeNodes,
        change: ChangeHash,
    ) -> Result<Option<(InstanceId, ChangeHash)>> {
        let (mut todo, mut met) = (vec![change], HashSet::from([change]));
        while let Some(change) = todo.pop() {
            let Some(node) = nodes.get(&change) else { continue };
            let before = match self.direction {
                Direction::OldestFirst => &node.deps,
                Direction::NewestFirst => &node.dependents,
            };
            for hash in before {
                if self.ordered.contains(hash) || !met.insert(*hash) {
                    continue;
                }
                let found = nodes.get(hash).and_then(|node| Some((node.instance?, node.time_ms)));
                if let Some((instance, time_ms)) = found
                    && !self.taken.contains(hash)
                    && self.may_be_taken(instance, row)
                    && let Some(queue) = self.queues.get_mut(&instance)
                    && queue.holds(&self.commits, hash, time_ms)?
                {
                    return Ok(Some((instance, *hash)));
                }
                todo.push(*hash);
            }
        }
        Ok(None)
    }

    /// Returns true if commits of an instance may be taken before this one without breaking the order of an instance.
    fn may_be_taken(&self, instance: InstanceId, row: &CommitInfo) -> bool {
        instance != row.instance && self.pulled.iter().all(|pulled| pulled.instance != instance)
    }
}
