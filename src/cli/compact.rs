//! `crdt-compact`: compact a palace, or merge several into a new one.

use super::{EXIT_CODES, Failure, json_line, run, text};
use crate::format::key::Key;
use crate::fs::os::OsFs;
use crate::palace::fold::{CompactOptions, CompactReport, Extent};
use crate::palace::into::{IntoReport, merge_into};
use crate::palace::{Error, Options, Palace};
use crate::store::StoreError;
use clap::Parser;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

const EXAMPLES: &str = "Examples:
  crdt-compact PALACE                          fold everything into one snapshot; servers may run
  crdt-compact PALACE --dry-run                only say what would be done
  crdt-compact --into NEW laptop/ desktop/     merge copies; the sources stay as they are
  crdt-compact --into NEW PALACE --forget notes/secret   erase a document and its history";

/// Compacts a palace, also while servers run on it; or merges palaces into a new one, offline.
#[derive(Debug, Parser)]
#[command(name = "crdt-compact", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Cli {
    /// The palace's directory; with --into, all directories to merge
    #[arg(required = true)]
    palaces: Vec<PathBuf>,
    /// Merge the palaces into a new one in this directory, which must not exist
    #[arg(long, value_name = "NEW")]
    into: Option<PathBuf>,
    /// Leave this document out of the new palace, with all its history
    #[arg(long, value_name = "KEY", requires = "into")]
    forget: Vec<String>,
    /// Only report what would be done
    #[arg(long, conflicts_with = "into")]
    dry_run: bool,
    /// Also seal segments of a machine that is gone, if nobody here holds them
    #[arg(long, conflicts_with = "into")]
    adopt: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    run("crdt-compact", || match &cli.into {
        Some(into) => merge(&cli, into),
        None => compact(&cli),
    })
}

fn compact(cli: &Cli) -> Result<(), Failure> {
    let [path] = cli.palaces.as_slice() else {
        return Err(Failure::Other("name one palace, or use --into to merge several".to_owned()));
    };
    // Opened read-only first: that says whether there is a palace at all.
    Palace::open_read_only(path)?;
    let palace = Options::default()
        .program(concat!("crdt-compact ", env!("CARGO_PKG_VERSION")))
        .auto_compact(false)
        .open(path)?;
    let (adopt, dry_run) = (cli.adopt, cli.dry_run);
    let report = palace.compact(CompactOptions { extent: Extent::All, adopt, dry_run })?;
    let mut out = io::stdout().lock();
    if cli.json {
        return Ok(json_line(&mut out, &report)?);
    }
    Ok(print_report(&mut out, &report, dry_run)?)
}

fn print_report(out: &mut impl Write, report: &CompactReport, dry_run: bool) -> io::Result<()> {
    let CompactReport { segments, snapshots, changes, .. } = report;
    if *segments == 0 && *snapshots == 0 {
        writeln!(out, "nothing to compact")?;
    } else {
        let verb = if dry_run { "would fold" } else { "folded" };
        writeln!(out, "{verb} {segments} segments ({changes} changes) and {snapshots} snapshots")?;
    }
    if let Some(snapshot) = report.published {
        let (before, after) = (text::bytes(report.bytes_before), text::bytes(report.bytes_after));
        let CompactReport { documents, commits, elapsed_ms, lock_held_ms, .. } = report;
        writeln!(out, "into snapshot {snapshot}: {documents} documents, {commits} commits")?;
        writeln!(
            out,
            "{before} before, {after} after; {elapsed_ms} ms, LOCK held {lock_held_ms} ms"
        )?;
    }
    for skipped in &report.skipped {
        let line = format!("left alone: {}: {}", skipped.path.display(), skipped.reason);
        writeln!(out, "{}", text::printable(&line))?;
    }
    for left in &report.left_open {
        writeln!(out, "in use: segment {} ({:?})", left.segment, left.reason)?;
    }
    Ok(())
}

fn merge(cli: &Cli, into: &std::path::Path) -> Result<(), Failure> {
    let keys = cli.forget.iter().map(|key| Key::new(key));
    let forget: BTreeSet<Key> = keys.collect::<Result<_, _>>().map_err(Error::from)?;
    let report = merge_into(Arc::new(OsFs), into, &cli.palaces, &forget)?;
    let mut out = io::stdout().lock();
    if cli.json {
        json_line(&mut out, &report)?;
    } else {
        print_merge(&mut out, &report)?;
    }
    if report.forgotten < forget.len() {
        let missing = forget.len() - report.forgotten;
        return Err(Failure::Other(format!("{missing} of the keys to forget are in no source")));
    }
    Ok(())
}

fn print_merge(out: &mut impl Write, report: &IntoReport) -> io::Result<()> {
    let IntoReport { segments, snapshots, documents, commits, .. } = report;
    let sources = report.sources.len();
    writeln!(out, "merged {sources} palaces ({segments} segments, {snapshots} snapshots)")?;
    let into = text::printable(&report.into.display().to_string());
    writeln!(out, "into {into}: {documents} documents, {commits} commits")?;
    let (before, after) = (text::bytes(report.bytes_before), text::bytes(report.bytes_after));
    writeln!(out, "{before} before, {after} after; {} ms", report.elapsed_ms)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Palace(error.into())
    }
}
