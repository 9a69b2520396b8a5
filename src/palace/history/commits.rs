//! The commits that a view holds, by instance and sequence number, wherever they stand.

use crate::format::id::InstanceId;
use crate::format::sequences::Sequences;
use crate::palace::compact::log_rows::{log_row, stamped};
use crate::palace::error::Result;
use crate::palace::view::tail::TailCommit;
use crate::palace::view::view::View;
use crate::snapshot::{LogRow, Snapshot};
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

/// The commits of one instance in a view.
#[derive(Debug)]
pub struct InstanceCommits<'a> {
    instance: InstanceId,
    /// Their sequence numbers.
    pub sequences: Sequences,
    snapshots: Vec<&'a Snapshot>,
    tail: BTreeMap<u64, &'a TailCommit>,
    /// The last commit in a snapshot: sequence number and time.
    #[cfg(feature = "mcp")]
    last_logged: (u64, i64),
}

/// Returns the commits of a view, by instance.
///
/// # Errors
/// If the log of a snapshot cannot be read.
pub fn commits(view: &View) -> Result<BTreeMap<InstanceId, InstanceCommits<'_>>> {
    let mut all = BTreeMap::new();
    for snapshot in view.snapshots() {
        for logged in snapshot.log_instances()? {
            let one = all.entry(logged.instance).or_insert_with(|| none(logged.instance));
            one.sequences.insert_all(&logged.sequences);
            one.snapshots.push(&**snapshot);
            #[cfg(feature = "mcp")]
            {
                let last = (logged.sequences.last(), logged.last_time_ms);
                one.last_logged = one.last_logged.max(last);
            }
        }
    }
    for commit in view.tail.commits() {
        if let Some(instance) = commit.instance {
            let one = all.entry(instance).or_insert_with(|| none(instance));
            one.sequences.insert(commit.sequence);
            one.tail.insert(commit.sequence, commit);
        }
    }
    Ok(all)
}

fn none<'a>(instance: InstanceId) -> InstanceCommits<'a> {
    InstanceCommits {
        instance,
        sequences: Sequences::default(),
        snapshots: Vec::new(),
        tail: BTreeMap::new(),
        #[cfg(feature = "mcp")]
        last_logged: (0, 0),
    }
}

impl InstanceCommits<'_> {
    /// Returns the commits that are not in `seen`, in their order, at most `limit`.
    ///
    /// # Errors
    /// If the log of a snapshot cannot be read.
    pub fn unseen(&self, seen: &Sequences, limit: usize) -> Result<VecDeque<LogRow>> {
        let mut found = VecDeque::new();
        if self.sequences.is_within(seen) {
            return Ok(found);
        }
        for gap in seen.gaps() {
            let left = limit - found.len();
            if left == 0 || *gap.start() > self.sequences.last() {
                break;
            }
            found.extend(self.within(&gap, left)?.into_values().take(left));
        }
        Ok(found)
    }

    /// Returns the first commits in a range: at least `limit` of them, or all.
    fn within(&self, range: &RangeInclusive<u64>, limit: usize) -> Result<BTreeMap<u64, LogRow>> {
        let mut rows = BTreeMap::new();
        for snapshot in &self.snapshots {
            let logged = snapshot.log_after(self.instance, range.start() - 1, limit)?;
            let inside = logged.into_iter().take_while(|row| row.sequence <= *range.end());
            rows.extend(inside.map(|row| (row.sequence, row)));
        }
        for (sequence, commit) in self.tail.range(range.clone()).take(limit) {
            rows.entry(*sequence).or_insert_with(|| self.row(commit));
        }
        Ok(rows)
    }

    fn row(&self, commit: &TailCommit) -> LogRow {
        log_row(self.instance, commit.sequence, &stamped(&commit.body))
    }
}

#[cfg(feature = "mcp")]
impl InstanceCommits<'_> {
    /// Returns sequence numbers and times of the commits up to `sequence`, the last first, at most `limit`.
    ///
    /// # Errors
    /// If the log of a snapshot cannot be read.
    pub fn times_back_from(&self, sequence: u64, limit: usize) -> Result<Vec<(u64, i64)>> {
        let mut times = BTreeMap::new();
        for snapshot in &self.snapshots {
            let rows = snapshot.log_back_from(self.instance, sequence, limit)?;
            times.extend(rows.into_iter().map(|row| (row.sequence, row.time_ms)));
        }
        for (number, commit) in self.tail.range(..=sequence).rev().take(limit) {
            times.entry(*number).or_insert_with(|| self.row(commit).time_ms);
        }
        Ok(times.into_iter().rev().take(limit).collect())
    }

    /// Returns the time of the commit with this sequence number; `None` if it is not there.
    ///
    /// # Errors
    /// If the log of a snapshot cannot be read.
    pub fn time_ms(&self, sequence: u64) -> Result<Option<i64>> {
        // Most callers ask for the last one, which is known.
        if self.last_logged.0 == sequence {
            return Ok(Some(self.last_logged.1));
        }
        if let Some(commit) = self.tail.get(&sequence) {
            return Ok(Some(self.row(commit).time_ms));
        }
        let last = self.times_back_from(sequence, 1)?;
        Ok(last.into_iter().find(|(number, _)| *number == sequence).map(|(_, time_ms)| time_ms))
    }
}
