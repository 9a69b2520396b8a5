//! `crdt-log stats`: counts of a palace's content.

use super::clock::Clock;
use super::target::Target;
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::print::{bytes, count, json, shown, stdout};
use crate::format::id::InstanceId;
use crate::memory::drawers::Drawers;
use crate::palace::dump::DumpedCommit;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Write};

/// Counts of a palace's content.
#[derive(Default, serde::Serialize)]
struct Stats {
    commits: u64,
    changes: u64,
    operations: u64,
    documents: usize,
    instances: usize,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    bytes: u64,
    writers: BTreeMap<String, u64>,
    /// Commits of each day, in the time zone that is printed.
    days: BTreeMap<String, u64>,
    /// Drawers that each wing has now.
    wings: BTreeMap<String, usize>,
    #[serde(skip)]
    keys: BTreeSet<String>,
    #[serde(skip)]
    seen: HashSet<(Option<InstanceId>, u64)>,
}

impl Stats {
    /// Counts a commit once. While a compaction runs, a commit is in a segment and in a snapshot.
    fn add(&mut self, commit: &DumpedCommit, clock: &Clock) {
        // A commit of an unknown instance cannot be recognised, so it counts each time.
        if commit.instance.is_some() && !self.seen.insert((commit.instance, commit.sequence)) {
            return;
        }
        self.commits += 1;
        self.changes += commit.changes.len() as u64;
        let infos = commit.changes.iter().filter_map(|change| change.info.as_ref());
        self.operations += infos.map(|info| info.operations).sum::<u64>();
        self.keys.extend(commit.changes.iter().map(|change| change.key.as_str().to_owned()));
        *self.writers.entry(commit.by.clone()).or_default() += 1;
        if let Some(day) = clock.day(commit.time_ms) {
            *self.days.entry(day).or_default() += 1;
        }
        // 0 stands for an unknown time, which is no first or last one.
        if commit.time_ms != 0 {
            let (first, last) = (self.first_ms, self.last_ms);
            self.first_ms = Some(first.map_or(commit.time_ms, |ms| ms.min(commit.time_ms)));
            self.last_ms = Some(last.map_or(commit.time_ms, |ms| ms.max(commit.time_ms)));
        }
    }

    fn print(&self, out: &mut impl Write, clock: &Clock) -> io::Result<()> {
        let (first, last) = (self.first_ms.unwrap_or(0), self.last_ms.unwrap_or(0));
        writeln!(out, "commits     {}", self.commits)?;
        writeln!(out, "changes     {}", self.changes)?;
        writeln!(out, "operations  {}", self.operations)?;
        writeln!(out, "documents   {} (deleted ones included)", self.documents)?;
        writeln!(out, "instances   {}", self.instances)?;
        writeln!(out, "first       {}", clock.shown(first))?;
        writeln!(out, "last        {}", clock.shown(last))?;
        writeln!(out, "files       {}", bytes(self.bytes))?;
        let mut writers: Vec<_> = self.writers.iter().collect();
        writers.sort_by_key(|(by, commits)| (std::cmp::Reverse(**commits), *by));
        writers.iter().try_for_each(|(by, n)| {
            writeln!(out, "writer      {} ({})", shown(by), count(n, "commit"))
        })?;
        self.wings.iter().try_for_each(|(wing, n)| {
            writeln!(out, "wing        {} ({})", shown(wing), count(n, "drawer"))
        })?;
        let most = self.days.values().max().copied().unwrap_or(1);
        self.days
            .iter()
            .try_for_each(|(day, n)| writeln!(out, "day         {day}  {n:>6}  {}", bar(*n, most)))
    }
}

/// Returns a bar in proportion to a number, at most forty characters long.
fn bar(n: u64, most: u64) -> String {
    const LONGEST: u64 = 40;
    let length = n.saturating_mul(LONGEST).div_ceil(most.max(1));
    "▇".repeat(usize::try_from(length.min(LONGEST)).unwrap_or(0))
}

/// Counts commits, changes and documents.
pub(super) fn stats(target: &Target, clock: &Clock) -> Result<Exit, Failure> {
    let palace = target.open()?;
    let mut stats = Stats::default();
    palace.dump(|commit| {
        stats.add(&commit, clock);
        Ok::<_, Failure>(())
    })?;
    let instances: BTreeSet<_> = stats.seen.iter().filter_map(|(instance, _)| *instance).collect();
    (stats.documents, stats.instances) = (stats.keys.len(), instances.len());
    let wings = Drawers::new(palace.clone()).counts(None)?;
    stats.wings = wings.into_iter().map(|(wing, rooms)| (wing, rooms.values().sum())).collect();
    let status = palace.status()?;
    let segments = status.segments.iter().map(|segment| segment.bytes);
    stats.bytes = segments.chain(status.snapshots.iter().map(|snapshot| snapshot.bytes)).sum();
    after(print_stats(&stats, clock, target.json), lacking(&palace, "the count"))
}

fn print_stats(stats: &Stats, clock: &Clock, as_json: bool) -> Result<(), Failure> {
    let mut out = stdout();
    match as_json {
        true => json(&mut out, stats)?,
        false => stats.print(&mut out, clock)?,
    }
    Ok(out.flush()?)
}
