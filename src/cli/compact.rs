//! `crdt-compact`: compacts the files of a palace, or merges palaces into a new one.

use super::error::Failure;
use super::exit::{Exit, after, finish};
use super::location::{PalaceArgument, directory};
use super::parse::parse;
use super::print::{bytes, conflicts_in_words, count, json, shown, stdout, tell};
use super::start;
use crate::format::key::Key;
use crate::fs::os::OsFs;
use crate::fs::shell::quoted;
use crate::memory::keys_of;
use crate::palace::compact::{CompactOptions, CompactReport, Extent};
use crate::palace::into::{Forget, IntoReport, merge_without};
use crate::palace::{Error, Options, Palace, SnapshotError};
use crate::store::seal::Left;
#[cfg(feature = "mcp")]
use clap::CommandFactory as _;
use clap::Parser;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  crdt-compact ~/.local/share/crdt-palace
      Compact everything into one snapshot. Safe while servers run.
  crdt-compact --dry-run --json ~/.local/share/crdt-palace
      Only print what would be done.
  crdt-compact --into merged laptop-copy desktop-copy
      Merge copies of a palace, or different palaces, into a new one.
  crdt-compact --into clean --forget 'entity/Old password' palace
      Copy a palace without one of its documents and its history.

Without PALACE, $CRDT_PALACE_DIR is compacted, else the default palace. A leading ~ is the
home directory.

Exit codes: 0 done, 1 a problem was found, 2 usage, 10 no palace at the path, 11 another
process is compacting, 12 a newer version wrote the palace.";

/// Compact the files of a palace into one snapshot, or merge palaces into a new one.
#[derive(Parser)]
#[command(name = "crdt-compact", version, after_help = EXAMPLES)]
struct Args {
    /// The palace; with --into, one or more. By default that of $CRDT_PALACE_DIR, else the default palace
    #[arg(value_name = "PALACE", conflicts_with = "palace")]
    palaces: Vec<PathBuf>,
    #[command(flatten)]
    at: PalaceArgument,
    /// Only print what would be done
    #[arg(long, conflicts_with = "into")]
    dry_run: bool,
    /// Also compact segments whose process may still run, such as those of another machine
    #[arg(long, conflicts_with = "into")]
    adopt: bool,
    /// Write a new palace here, with everything that the given ones hold. Those stay as they are
    #[arg(long, value_name = "NEW")]
    into: Option<PathBuf>,
    /// Leave the document with this key, or the drawer or fact with this id, and its history, out of NEW
    #[arg(long, value_name = "KEY|ID", requires = "into")]
    forget: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Returns the table of the commands and options.
#[cfg(feature = "mcp")]
pub(super) fn command() -> clap::Command {
    Args::command()
}

/// Runs `crdt-compact`.
#[must_use]
pub fn main() -> ExitCode {
    let args: Args = match parse() {
        Ok(args) => args,
        Err(code) => return code,
    };
    start::set_up();
    finish("crdt-compact", run(&args))
}

fn run(args: &Args) -> Result<Exit, Failure> {
    let named = args.palaces.iter().map(|palace| directory(palace));
    let mut palaces = named.collect::<Result<Vec<_>, _>>()?;
    if palaces.is_empty() {
        palaces.push(args.at.path()?);
    }
    match (&args.into, palaces.as_slice()) {
        (Some(into), sources) => merge(&directory(into)?, sources, args),
        (None, [palace]) => compact(palace, args),
        (None, _) => {
            Err(Failure::Usage("name one palace; to merge several, pass --into NEW; see --help"))
        }
    }
}

fn compact(path: &Path, args: &Args) -> Result<Exit, Failure> {
    // Opened for writing, a path without a palace would count as an empty one.
    drop(Palace::open_read_only(path)?);
    let program = concat!("crdt-compact ", env!("CARGO_PKG_VERSION"));
    // An automatic compaction in this process would take the lock that this command needs.
    let palace = Options::default().program(program).auto_compact(false).open(path)?;
    let options = CompactOptions { extent: Extent::All, adopt: args.adopt, dry_run: args.dry_run };
    let report = palace.compact(options)?;
    // A script must not take a palace for sound that has files which no compaction can read.
    let headless = report.left_open.iter().any(|left| left.reason == Left::Headless);
    let whole = report.skipped.is_empty() && !headless;
    after(print_compacted(&report, args), if whole { Exit::Done } else { Exit::Problem })
}

fn print_compacted(report: &CompactReport, args: &Args) -> Result<(), Failure> {
    let mut out = stdout();
    match args.json {
        true => json(&mut out, report)?,
        false => print_in_words(&mut out, report, args.dry_run)?,
    }
    Ok(out.flush()?)
}

fn print_in_words(
    out: &mut impl Write,
    report: &CompactReport,
    dry_run: bool,
) -> std::io::Result<()> {
    let CompactReport { segments, snapshots, changes, .. } = report;
    let (changes, snapshots) = (count(changes, "change"), count(snapshots, "snapshot"));
    let inputs = format!("{} ({changes}) and {snapshots}", count(segments, "segment"));
    let before = bytes(report.bytes_before);
    match (dry_run, report.segments + report.snapshots) {
        (_, 0) => writeln!(out, "nothing to compact")?,
        (true, _) => writeln!(out, "would compact {inputs}, {before}")?,
        (false, _) => {
            writeln!(out, "compacted {inputs}: {before} became {}", bytes(report.bytes_after))?;
            let commits = count(report.commits, "commit");
            writeln!(
                out,
                "the snapshot has {} and {commits}",
                count(report.documents, "document")
            )?;
        }
    }
    if report.sealed > 0 {
        let verb = if dry_run { "would seal" } else { "sealed" };
        writeln!(out, "{verb} {} of dead processes", count(report.sealed, "segment"))?;
    }
    if !dry_run {
        if report.cleared > 0 {
            writeln!(out, "moved to trash/, or deleted: {}", count(report.cleared, "old file"))?;
        }
        let (all, locked) = (report.elapsed_ms, report.lock_held_ms);
        writeln!(out, "took {all} ms, and held LOCK for {locked} ms of them")?;
    }
    for skipped in &report.skipped {
        let path = skipped.path.display().to_string();
        writeln!(out, "skipped {}: {}", shown(&path), shown(&skipped.reason))?;
    }
    for left in &report.left_open {
        writeln!(out, "left open {}: {}", left.segment, why_open(left.reason))?;
    }
    Ok(())
}

fn why_open(reason: Left) -> &'static str {
    match reason {
        Left::Live => "its process is running",
        Left::OtherMachine => {
            "another machine wrote it; if no process there has it open, pass --adopt"
        }
        Left::LockUntrusted => {
            "locks cannot be trusted on its file system; if its process has ended, pass --adopt"
        }
        Left::Headless => "its header is damaged; see crdt-log verify",
        Left::Twice => "a file of the same name is in sealed/; the next run compacts it",
    }
}

fn merge(into: &Path, sources: &[PathBuf], args: &Args) -> Result<Exit, Failure> {
    let forget = args.forget.iter().map(|name| to_forget(name)).collect::<Result<Vec<_>, _>>()?;
    let merged = merge_without(Arc::new(OsFs), into, sources, &forget);
    let report = merged.inspect_err(tell_salvage)?;
    if !forget.is_empty() {
        let old: Vec<String> = sources.iter().map(|source| quoted(source)).collect();
        tell(format_args!(
            "crdt-compact: what was forgotten is still in {}, also in trash/ and quarantine/ there; use the new palace \
             from now on, and delete the old directories and their copies: a merge with one brings it back",
            old.join(" ")
        ));
    }
    after(print_merged(&report, args.json), Exit::Done)
}

/// Returns the keys that a key or an id stands for.
fn to_forget(name: &str) -> Result<Forget, Error> {
    let mut keys = keys_of(name);
    keys.push(Key::new(name)?);
    Ok(Forget { name: name.to_owned(), keys })
}

/// Tells how to merge everything but a damaged document.
fn tell_salvage(error: &Error) {
    if let Error::Snapshot(SnapshotError::Damaged { key: Some(key), .. }) = error {
        tell(format_args!(
            "crdt-compact: to merge everything but this document, add --forget {}",
            quoted(Path::new(key))
        ));
    }
}

fn print_merged(report: &IntoReport, as_json: bool) -> Result<(), Failure> {
    let mut out = stdout();
    match as_json {
        true => json(&mut out, report)?,
        false => print_merge_in_words(&mut out, report)?,
    }
    Ok(out.flush()?)
}

fn print_merge_in_words(out: &mut impl Write, report: &IntoReport) -> std::io::Result<()> {
    let into = report.into.display().to_string();
    writeln!(out, "merged {} into {}", count(report.sources.len(), "palace"), shown(&into))?;
    let (segments, snapshots) =
        (count(report.segments, "segment"), count(report.snapshots, "snapshot"));
    writeln!(out, "read {segments} and {snapshots}")?;
    if report.unfinished > 0 {
        let unfinished = count(report.unfinished, "segment");
        writeln!(
            out,
            "{unfinished} without an end: the process that wrote such a segment still runs or was killed, or the copy \
             is not whole"
        )?;
    }
    let (documents, commits) =
        (count(report.documents, "document"), count(report.commits, "commit"));
    let forgotten = count(report.forgotten, "document");
    writeln!(out, "the new palace has {documents} and {commits}; left out: {forgotten}")?;
    if report.in_conflict.documents > 0 {
        writeln!(out, "{}", conflicts_in_words(&report.in_conflict))?;
    }
    let (before, after) = (bytes(report.bytes_before), bytes(report.bytes_after));
    writeln!(out, "{before} became {after} in {} ms", report.elapsed_ms)
}
