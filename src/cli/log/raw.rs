//! `crdt-log dump --raw`: every commit as it stands in the files, with its changes and their operations.

use super::target::Target;
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::print::{shown, stdout, time};
use crate::format::hash::ChangeHash;
use crate::palace::dump::{DumpedChange, DumpedCommit, Place};
use std::io::{self, Write};

/// Prints all commits.
pub(super) fn dump_raw(target: &Target) -> Result<Exit, Failure> {
    let (palace, mut out) = (target.open()?, stdout());
    let printed = palace.dump(|commit| Ok::<_, Failure>(print_commit(&mut out, &commit)?));
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
