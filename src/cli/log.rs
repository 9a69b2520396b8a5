//! `crdt-log`: what is in a palace, and whether it is whole.

use super::{EXIT_CODES, Failure, json_line, run, text};
use crate::fs::os::OsFs;
use crate::palace::dump::{DumpedChange, DumpedCommit, Place, dump};
use crate::palace::verify::{Severity, Verification, verify};
use crate::palace::{Error, Palace};
use crate::store::root::Root;
use clap::{Args, Parser, Subcommand};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

const EXAMPLES: &str = "Examples:
  crdt-log dump ~/.local/share/crdt-palace
  crdt-log dump PALACE --json | jq 'select(.by | startswith(\"claude\"))'
  crdt-log verify PALACE && echo whole";

/// Shows what is in a palace, and whether it is whole. Never changes anything.
#[derive(Debug, Parser)]
#[command(name = "crdt-log", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every record: when, who, where it stands, and what it does
    Dump(Which),
    /// Read everything and report damage, torn tails and missing changes (exit 1 if anything is wrong)
    Verify(Which),
    /// Count what is there
    Stats(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// The palace's directory
    palace: PathBuf,
    /// Print JSON, for `dump` one record a line
    #[arg(long)]
    json: bool,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    run("crdt-log", || match cli.command {
        Command::Dump(which) => dump_all(&which),
        Command::Verify(which) => verify_all(&which),
        Command::Stats(which) => stats(&which),
    })
}

fn root(which: &Which) -> Result<Arc<Root>, Failure> {
    let root = Root::open(Arc::new(OsFs), &which.palace, true).map_err(Error::from)?;
    Ok(Arc::new(root))
}

fn dump_all(which: &Which) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    dump(&root(which)?, |commit| {
        if which.json {
            return Ok::<_, Failure>(json_line(&mut out, &commit)?);
        }
        Ok(print_commit(&mut out, &commit)?)
    })?;
    Ok(out.flush()?)
}

fn print_commit(out: &mut impl Write, commit: &DumpedCommit) -> io::Result<()> {
    let DumpedCommit { time_ms, instance, sequence, by, .. } = commit;
    let instance = instance.map_or_else(|| "unknown".to_owned(), text::short);
    let place = match commit.place {
        Place::Segment { segment, offset } => format!("segment {segment} offset {offset}"),
        Place::Snapshot { snapshot } => format!("snapshot {snapshot}"),
    };
    writeln!(out, "{}  instance {instance} #{sequence}  {place}", text::time(*time_ms))?;
    if !by.is_empty() {
        writeln!(out, "  by {}", text::printable(by))?;
    }
    commit.changes.iter().try_for_each(|change| print_change(out, change))
}

fn print_change(out: &mut impl Write, change: &DumpedChange) -> io::Result<()> {
    let key = text::printable(change.key.as_str());
    let hash = change.hash.map_or_else(|| "?".to_owned(), text::short);
    if let Some(problem) = &change.problem {
        writeln!(out, "  {key}  {hash}  ({})", text::printable(problem))?;
    }
    let Some(info) = &change.info else { return Ok(()) };
    let deps: Vec<_> = info.deps.iter().map(text::short).collect();
    let after = if deps.is_empty() { String::new() } else { format!(" after {}", deps.join(" ")) };
    writeln!(out, "  {key}  {hash}{after}  {:?}", info.kind)?;
    info.ops.iter().try_for_each(|op| writeln!(out, "    {}", text::printable(op)))
}

fn verify_all(which: &Which) -> Result<(), Failure> {
    let found = verify(&root(which)?)?;
    let mut out = io::stdout().lock();
    if which.json {
        json_line(&mut out, &found)?;
    } else {
        print_verification(&mut out, &found)?;
    }
    if found.has_problem() { Err(Failure::Found) } else { Ok(()) }
}

fn print_verification(out: &mut impl Write, found: &Verification) -> io::Result<()> {
    for finding in &found.findings {
        let severity = match finding.severity {
            Severity::Note => "note",
            Severity::Problem => "PROBLEM",
        };
        let place = finding.path.as_ref().map(|path| format!("{}: ", path.display()));
        let offset = finding.offset.map(|offset| format!("at byte {offset}: "));
        let (place, offset) = (place.unwrap_or_default(), offset.unwrap_or_default());
        writeln!(
            out,
            "{severity}: {}",
            text::printable(&format!("{place}{offset}{}", finding.what))
        )?;
    }
    let verdict = if found.has_problem() { "there are problems" } else { "everything is there" };
    let Verification { segments, snapshots, documents, .. } = found;
    writeln!(out, "{segments} segments, {snapshots} snapshots, {documents} documents: {verdict}")
}

#[derive(Debug, Default, serde::Serialize)]
struct Stats {
    commits: u64,
    changes: u64,
    operations: u64,
    instances: usize,
    writers: BTreeSet<String>,
    documents_changed: usize,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    segments: usize,
    segment_bytes: u64,
    snapshots: usize,
    snapshot_bytes: u64,
}

fn stats(which: &Which) -> Result<(), Failure> {
    let status = Palace::open_read_only(&which.palace)?.status()?;
    let mut stats = Stats {
        segments: status.segments.len(),
        segment_bytes: status.segments.iter().map(|segment| segment.bytes).sum(),
        snapshots: status.snapshots.len(),
        snapshot_bytes: status.snapshots.iter().map(|snapshot| snapshot.bytes).sum(),
        ..Stats::default()
    };
    let (mut instances, mut keys) = (BTreeSet::new(), BTreeSet::new());
    dump(&root(which)?, |commit| {
        stats.commits += 1;
        stats.changes += commit.changes.len() as u64;
        let infos = commit.changes.iter().filter_map(|change| change.info.as_ref());
        stats.operations += infos.map(|info| info.operations).sum::<u64>();
        stats.first_ms = Some(stats.first_ms.map_or(commit.time_ms, |t| t.min(commit.time_ms)));
        stats.last_ms = stats.last_ms.max(Some(commit.time_ms));
        stats.writers.insert(commit.by);
        instances.extend(commit.instance);
        keys.extend(commit.changes.into_iter().map(|change| change.key));
        Ok::<_, Failure>(())
    })?;
    (stats.instances, stats.documents_changed) = (instances.len(), keys.len());
    let mut out = io::stdout().lock();
    if which.json {
        return Ok(json_line(&mut out, &stats)?);
    }
    let when = |ms: Option<i64>| ms.map_or_else(|| "never".to_owned(), text::time);
    writeln!(
        out,
        "commits    {} ({} changes, {} operations)",
        stats.commits, stats.changes, stats.operations
    )?;
    writeln!(out, "documents  {}", stats.documents_changed)?;
    writeln!(out, "instances  {}", stats.instances)?;
    for writer in &stats.writers {
        writeln!(out, "writer     {}", text::printable(writer))?;
    }
    writeln!(out, "first      {}", when(stats.first_ms))?;
    writeln!(out, "last       {}", when(stats.last_ms))?;
    writeln!(out, "segments   {} ({})", stats.segments, text::bytes(stats.segment_bytes))?;
    Ok(writeln!(out, "snapshots  {} ({})", stats.snapshots, text::bytes(stats.snapshot_bytes))?)
}
