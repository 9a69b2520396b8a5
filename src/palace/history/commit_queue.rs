//! The commits of each instance, read from either end, from the snapshots and the tail.
//!
//! Invariant: a commit comes once, also if several snapshots and the tail have it. No more of a log is read than was asked
//! for, plus a part of bounded length.

use super::commit_id::Instances;
use super::feed::{CommitInfo, commit_info};
use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::palace::compact::log_rows::{log_row, stamped};
use crate::palace::error::Result;
use crate::palace::view::view::View;
use crate::snapshot::{LogEnd, LogRow, Snapshot};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Commits of the first part that is read at the end of a log. Each part is four times as long as the one before.
const PART_MIN: usize = 4;
const PART_MAX: usize = 256;
/// Most commits that are searched ahead for one change.
const AHEAD_MAX: usize = 10_000;
/// Time by which a clock may be set back without a change behind that being overlooked, in milliseconds.
pub(super) const CLOCK_SLACK_MS: i64 = 3_600_000;

/// The end of the logs at which reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    OldestFirst,
    NewestFirst,
}

/// The commits of one view, by instance.
#[derive(Debug)]
pub(super) struct Commits {
    pub view: Arc<View>,
    /// Bodies of the commits that no snapshot holds.
    tail: BTreeMap<InstanceId, BTreeMap<u64, Bytes>>,
}

impl Commits {
    pub fn new(view: Arc<View>) -> Self {
        let mut tail: BTreeMap<InstanceId, BTreeMap<u64, Bytes>> = BTreeMap::new();
        for commit in view.tail.commits() {
            // The instance is unknown if the segment's header is damaged. The file is reported then.
            if let Some(instance) = commit.instance {
                tail.entry(instance).or_default().insert(commit.sequence, commit.body.clone());
            }
        }
        Commits { view, tail }
    }

    /// Returns the instances that made commits.
    pub fn instances(&self) -> Result<Instances> {
        let mut instances: Vec<InstanceId> = self.tail.keys().copied().collect();
        for snapshot in self.view.snapshots() {
            instances.extend(snapshot.log_instances()?.iter().map(|one| one.instance));
        }
        Ok(Instances::new(instances))
    }

    /// Returns the commit at this end of each instance's log.
    pub fn ends(&self, direction: Direction) -> Result<BTreeMap<InstanceId, LogEnd>> {
        let mut ends: BTreeMap<InstanceId, LogEnd> = BTreeMap::new();
        let mut add = |end: LogEnd| {
            let known = ends.entry(end.instance).or_insert(end);
            if direction.is_before(end.sequence, known.sequence) {
                *known = end;
            }
        };
        for snapshot in self.view.snapshots() {
            match direction {
                Direction::OldestFirst => snapshot.log_firsts()?.into_iter().for_each(&mut add),
                Direction::NewestFirst => {
                    for one in snapshot.log_instances()? {
                        let (sequence, time_ms) = (one.sequences.last(), one.last_time_ms);
                        add(LogEnd { instance: one.instance, sequence, time_ms });
                    }
                }
            }
        }
        for (instance, commits) in &self.tail {
            let end = match direction {
                Direction::OldestFirst => commits.first_key_value(),
                Direction::NewestFirst => commits.last_key_value(),
            };
            let Some((sequence, body)) = end else { continue };
            let LogRow { time_ms, .. } = log_row(*instance, *sequence, &stamped(body));
            add(LogEnd { instance: *instance, sequence: *sequence, time_ms });
        }
        Ok(ends)
    }

    /// Returns commits of an instance behind the one with this number, at most `limit`.
    pub fn behind(
        &self,
        instance: InstanceId,
        sequence: u64,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<CommitInfo>> {
        let mut rows: BTreeMap<u64, LogRow> = BTreeMap::new();
        for snapshot in self.view.snapshots() {
            let found = direction.read(snapshot, instance, sequence, limit)?;
            rows.extend(found.into_iter().map(|row| (row.sequence, row)));
        }
        let tail = self.tail.get(&instance);
        let in_tail: Vec<(&u64, &Bytes)> = match (tail, direction) {
            (None, _) => Vec::new(),
            (Some(tail), Direction::OldestFirst) => {
                tail.range(sequence.saturating_add(1)..).take(limit).collect()
            }
            (Some(tail), Direction::NewestFirst) => {
                tail.range(..sequence).rev().take(limit).collect()
            }
        };
        for (sequence, body) in in_tail {
            let row = || log_row(instance, *sequence, &stamped(body));
            rows.entry(*sequence).or_insert_with(row);
        }
        let rows = rows.into_values();
        Ok(match direction {
            Direction::OldestFirst => rows.take(limit).map(commit_info).collect(),
            Direction::NewestFirst => rows.rev().take(limit).map(commit_info).collect(),
        })
    }
}

impl Direction {
    /// Returns true if a commit with the number `a` of an instance comes before one with `b`.
    fn is_before(self, a: u64, b: u64) -> bool {
        match self {
            Direction::OldestFirst => a < b,
            Direction::NewestFirst => a > b,
        }
    }

    fn read(
        self,
        snapshot: &Snapshot,
        instance: InstanceId,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<LogRow>> {
        Ok(match self {
            Direction::OldestFirst => snapshot.log_after(instance, sequence, limit)?,
            Direction::NewestFirst => {
                snapshot.log_back_from(instance, sequence.saturating_sub(1), limit)?
            }
        })
    }

    /// Returns true if commits of an instance behind one of time `at` are of other times than `wanted`, unless the clock
    /// was set by more than an hour.
    pub fn is_past(self, at: i64, wanted: i64) -> bool {
        match self {
            Direction::OldestFirst => at > wanted.saturating_add(CLOCK_SLACK_MS),
            Direction::NewestFirst => at < wanted.saturating_sub(CLOCK_SLACK_MS),
        }
    }
}

/// The commits of one instance that were not taken yet. None is read before it is asked for: thousands of instances may
/// have written, and the screen shows few of them.
#[derive(Debug)]
pub(super) struct CommitQueue {
    end: LogEnd,
    direction: Direction,
    read: VecDeque<CommitInfo>,
    /// Number of commits of the next part; 0 once all were read.
    part: usize,
}

impl CommitQueue {
    /// Begins with the commit at the end of the log.
    pub fn new(end: LogEnd, direction: Direction) -> Self {
        CommitQueue { end, direction, read: VecDeque::new(), part: PART_MIN }
    }

    /// Returns the time of the next commit; `None` if all were taken.
    pub fn time_ms(&self) -> Option<i64> {
        let is_begun = self.part != PART_MIN;
        let first = (!is_begun).then_some(self.end.time_ms);
        self.read.front().map(|commit| commit.time_ms).or(first)
    }

    /// Returns the next commit; `None` if all were taken.
    pub fn head(&mut self, commits: &Commits) -> Result<Option<&CommitInfo>> {
        if self.read.is_empty() {
            self.read_on(commits)?;
        }
        Ok(self.read.front())
    }

    /// Takes the next commit, and reads on if it was the last one that was read.
    pub fn take(&mut self, commits: &Commits) -> Result<Option<CommitInfo>> {
        while self.read.len() < 2 && self.read_on(commits)? {}
        Ok(self.read.pop_front())
    }

    /// Returns true if a commit with this change is ahead. It searches no further than the change's time reaches.
    pub fn holds(&mut self, commits: &Commits, change: &ChangeHash, time_ms: i64) -> Result<bool> {
        let mut at = 0;
        while at < AHEAD_MAX {
            if at == self.read.len() && !self.read_on(commits)? {
                return Ok(false);
            }
            let Some(row) = self.read.get(at) else { return Ok(false) };
            if row.changes.iter().any(|(_, hash)| hash == change) {
                return Ok(true);
            }
            if self.direction.is_past(row.time_ms, time_ms) {
                return Ok(false);
            }
            at += 1;
        }
        Ok(false)
    }

    /// Reads another part. Returns false if there is none.
    fn read_on(&mut self, commits: &Commits) -> Result<bool> {
        if self.part == 0 {
            return Ok(false);
        }
        let before = match self.direction {
            Direction::OldestFirst => self.end.sequence.saturating_sub(1),
            Direction::NewestFirst => self.end.sequence.saturating_add(1),
        };
        let from = self.read.back().map_or(before, |last| last.sequence);
        let rows = commits.behind(self.end.instance, from, self.part, self.direction)?;
        let is_whole = rows.len() < self.part;
        self.part = if is_whole { 0 } else { (4 * self.part).min(PART_MAX) };
        let found = !rows.is_empty();
        self.read.extend(rows);
        Ok(found)
    }
}
