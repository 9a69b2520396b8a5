//! `crdt-log`: shows what is in a palace, read-only.

use super::error::Failure;
use super::exit::{Exit, after, finish, lacking};
use super::location::PalaceTarget;
use super::print::{bytes, count, finding, json, line_of_json, shown, stdout, time};
use super::start;
use super::status::status;
use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::palace::Palace;
use crate::palace::dump::{DumpedChange, DumpedCommit, Place};
use crate::palace::verify::{Finding, Severity, Verification};
use clap::{Args, Parser, Subcommand};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Write};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  crdt-log dump ~/.local/share/crdt-palace | less
      Print every commit: its time, its writer, its documents and its operations.
  crdt-log dump --json PALACE | head -n 1
      Print them as JSON, one object a line.
  crdt-log verify PALACE
      Read every byte. Exit code 1 if anything is damaged, or if a change is pending
      because another one is missing.
  crdt-log stats PALACE
      Count commits, changes and documents, and the commits of each writer.
  crdt-log status PALACE
      Show which processes have the palace open, according to the locks, and its files.

Without PALACE, $CRDT_PALACE_DIR is shown, else the default palace. A leading ~ is the
home directory.

Exit codes: 0 done, 1 a problem was found, 2 usage, 10 no palace at the path, 12 a newer
version wrote the palace.";

/// Show what is in a palace, without changing it and without holding up its writers.
#[derive(Parser)]
#[command(name = "crdt-log", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print every commit in words
    Dump(Target),
    /// Read every byte and report what is damaged or missing
    Verify(Target),
    /// Count commits, changes and documents
    Stats(Target),
    /// Show the processes that write the palace, the locks that they hold, and its files
    Status(Target),
}

#[derive(Args)]
struct Target {
    #[command(flatten)]
    at: PalaceTarget,
    /// Print JSON, one object a line, each with a `schema` field
    #[arg(long)]
    json: bool,
}

/// Runs `crdt-log`.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start::set_up();
    let result = match &cli.command {
        Command::Dump(target) => dump_all(target),
        Command::Verify(target) => verify_all(target),
        Command::Stats(target) => stats(target),
        Command::Status(target) => target.status(),
    };
    finish("crdt-log", result)
}

impl Target {
    fn open(&self) -> Result<Palace, Failure> {
        Ok(Palace::open_read_only(self.at.path()?)?)
    }

    fn status(&self) -> Result<Exit, Failure> {
        status(&self.at.path()?, self.json)
    }
}

fn dump_all(target: &Target) -> Result<Exit, Failure> {
    let (palace, mut out) = (target.open()?, stdout());
    let printed = palace.dump(|commit| match target.json {
        true => {
            line_of_json(&mut out, &commit)?;
            Ok::<_, Failure>(())
        }
        false => Ok(print_commit(&mut out, &commit)?),
    });
    let printed = printed.and_then(|()| Ok(out.flush()?));
    after(printed, lacking(&palace, "the dump"))
}

fn print_commit(out: &mut impl Write, commit: &DumpedCommit) -> io::Result<()> {
    let instance = commit.instance.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    let (when, number, by) = (time(commit.time_ms), commit.sequence, shown(&commit.by));
    writeln!(out, "{when}  commit {number} of instance {instance}  by {by}")?;
    match commit.place {
        Place::Segment { segment, offset } => writeln!(out, "  segment {segment} at {offset}")?,
        Place::Snapshot { snapshot } => writeln!(out, "  snapshot {snapshot}")?,
    }
    commit.changes.iter().try_for_each(|change| print_change(out, change))
}

fn print_change(out: &mut impl Write, change: &DumpedChange) -> io::Result<()> {
    let hash = change.hash.map_or_else(|| "unknown".to_owned(), |hash| short(&hash));
    write!(out, "  {}  change {hash}", shown(change.key.as_str()))?;
    let Some(info) = &change.info else {
        return writeln!(out, "  ({})", shown(change.problem.as_deref().unwrap_or("no details")));
    };
    let deps: Vec<String> = info.deps.iter().map(short).collect();
    if !deps.is_empty() {
        write!(out, " after {}", deps.join(", "))?;
    }
    writeln!(out, "  [{}]", shown(&format!("{:?}", info.kind).to_lowercase()))?;
    info.ops.iter().try_for_each(|op| writeln!(out, "    {}", shown(op)))
}

/// Returns the digits of a hash that an etag shows.
fn short(hash: &ChangeHash) -> String {
    hash.to_string().chars().take(16).collect()
}

fn verify_all(target: &Target) -> Result<Exit, Failure> {
    let found = target.open()?.verify()?;
    let exit = if found.has_problem() { Exit::Problem } else { Exit::Done };
    after(print_verified(&found, target.json), exit)
}

fn print_verified(found: &Verification, as_json: bool) -> Result<(), Failure> {
    let mut out = stdout();
    match as_json {
        true => json(&mut out, found)?,
        false => {
            found.findings.iter().try_for_each(|finding| print_finding(&mut out, finding))?;
            let (segments, snapshots) =
                (count(found.segments, "segment"), count(found.snapshots, "snapshot"));
            let verdict = match (found.has_problem(), found.segments + found.snapshots) {
                (true, _) => "there are problems",
                // "All is well" would read as if a merge into this palace had worked.
                (false, 0) => "nothing was ever written here",
                (false, _) => "all is well",
            };
            writeln!(out, "read {segments} and {snapshots}: {verdict}")?;
        }
    }
    Ok(out.flush()?)
}

fn print_finding(out: &mut impl Write, found: &Finding) -> io::Result<()> {
    let severity = match found.severity {
        Severity::Note => "note",
        Severity::Problem => "PROBLEM",
    };
    writeln!(out, "{severity}: {}", finding(found))
}

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
    #[serde(skip)]
    keys: BTreeSet<String>,
    #[serde(skip)]
    seen: HashSet<(Option<InstanceId>, u64)>,
}

impl Stats {
    /// Counts a commit once. While a compaction runs, a commit is in a segment and in a snapshot.
    fn add(&mut self, commit: &DumpedCommit) {
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
        // 0 stands for an unknown time, which is no first or last one.
        if commit.time_ms != 0 {
            let (first, last) = (self.first_ms, self.last_ms);
            self.first_ms = Some(first.map_or(commit.time_ms, |ms| ms.min(commit.time_ms)));
            self.last_ms = Some(last.map_or(commit.time_ms, |ms| ms.max(commit.time_ms)));
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (first, last) = (self.first_ms.unwrap_or(0), self.last_ms.unwrap_or(0));
        writeln!(out, "commits     {}", self.commits)?;
        writeln!(out, "changes     {}", self.changes)?;
        writeln!(out, "operations  {}", self.operations)?;
        writeln!(out, "documents   {} (deleted ones included)", self.documents)?;
        writeln!(out, "instances   {}", self.instances)?;
        writeln!(out, "first       {}", time(first))?;
        writeln!(out, "last        {}", time(last))?;
        writeln!(out, "files       {}", bytes(self.bytes))?;
        let mut writers: Vec<_> = self.writers.iter().collect();
        writers.sort_by_key(|(by, commits)| (std::cmp::Reverse(**commits), *by));
        writers.iter().try_for_each(|(by, n)| {
            writeln!(out, "writer      {} ({})", shown(by), count(n, "commit"))
        })
    }
}

fn stats(target: &Target) -> Result<Exit, Failure> {
    let palace = target.open()?;
    let mut stats = Stats::default();
    palace.dump(|commit| {
        stats.add(&commit);
        Ok::<_, Failure>(())
    })?;
    let instances: BTreeSet<_> = stats.seen.iter().filter_map(|(instance, _)| *instance).collect();
    (stats.documents, stats.instances) = (stats.keys.len(), instances.len());
    let status = palace.status()?;
    let segments = status.segments.iter().map(|segment| segment.bytes);
    stats.bytes = segments.chain(status.snapshots.iter().map(|snapshot| snapshot.bytes)).sum();
    after(print_stats(&stats, target.json), lacking(&palace, "the count"))
}

fn print_stats(stats: &Stats, as_json: bool) -> Result<(), Failure> {
    let mut out = stdout();
    match as_json {
        true => json(&mut out, stats)?,
        false => stats.print(&mut out)?,
    }
    Ok(out.flush()?)
}
