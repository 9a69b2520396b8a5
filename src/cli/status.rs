//! `crdt-palace status` and `crdt-log status`: which processes have the palace open, and its files.

use super::error::Failure;
use super::exit::Exit;
use super::print::{bytes, conflicts_in_words, count, finding, json, shown, stdout, time};
use crate::fs::shell::quoted;
use crate::palace::status::Status;
use crate::palace::{ConflictCount, OLDER_NOTE, Palace};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// The status of a palace, and the number of its documents with open conflicts, which damage can hide.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    status: Status,
    in_conflict: Option<ConflictCount>,
}

/// Prints the status of a palace.
pub(super) fn status(path: &Path, as_json: bool) -> Result<Exit, Failure> {
    // Opened for writing, a path without a palace would count as an empty one. Opened read-only, a palace would
    // report that it cannot be written.
    drop(Palace::open_read_only(path)?);
    let palace = Palace::open(path)?;
    // It reads all views. What it meets as damage is in the status.
    let counted = palace.count_conflicts("");
    let status = palace.status()?;
    let in_conflict = match counted {
        Err(_) if !status.problems.is_empty() => None,
        counted => Some(counted?),
    };
    let shown = Shown { status, in_conflict };
    let mut out = stdout();
    match as_json {
        true => json(&mut out, &shown)?,
        false => print(&mut out, &shown)?,
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn print(out: &mut impl Write, Shown { status, in_conflict }: &Shown) -> io::Result<()> {
    writeln!(out, "palace       {}", shown(&status.path.display().to_string()))?;
    if let Some(id) = status.palace {
        writeln!(out, "id           {id}")?;
    }
    let trust = if status.locks_trusted { "locks can be trusted" } else { "locks are not trusted" };
    let file_system = status.file_system.map_or_else(|| "none yet".to_owned(), |it| it.to_string());
    writeln!(out, "file system  {file_system} ({trust})")?;
    if let Some(reason) = status.read_only {
        writeln!(out, "read-only    {reason}")?;
    }
    for segment in &status.segments {
        let (since, size) = (time(segment.created_ms.unwrap_or(0)), bytes(segment.bytes));
        let (state, id) = (segment.state, segment.segment);
        writeln!(
            out,
            "segment      {id} {state:6} {size:>10}  {}, since {since}",
            shown(&segment.who())
        )?;
    }
    for snapshot in &status.snapshots {
        let state = if snapshot.superseded { "old" } else { "live" };
        let (id, size) = (snapshot.snapshot, bytes(snapshot.bytes));
        let documents = count(snapshot.documents, "document");
        let since = time(snapshot.created_ms);
        writeln!(out, "snapshot     {id} {state:6} {size:>10}  {documents}, of {since}")?;
    }
    for problem in &status.problems {
        writeln!(out, "PROBLEM      {}", finding(problem))?;
    }
    if !status.problems.is_empty() {
        writeln!(out, "             for more: crdt-log verify {}", quoted(&status.path))?;
    }
    for lock in &status.locks {
        let since = match lock.acquired_ms {
            0 => String::new(),
            acquired_ms => format!(" since {}", time(acquired_ms)),
        };
        writeln!(out, "lock         {}  {}{since}", shown(&lock.resource), shown(&lock.holder))?;
    }
    writeln!(out, "conflicts    {}", conflicts(in_conflict.as_ref()))?;
    for older in status.instances.iter().filter(|instance| instance.older) {
        writeln!(out, "OLDER        pid {} {}: {OLDER_NOTE}", older.pid, shown(&older.program))?;
    }
    writeln!(out, "trash        {}", count(status.trash, "file"))
}

fn conflicts(found: Option<&ConflictCount>) -> String {
    match found {
        None => "not counted, because a file is damaged".to_owned(),
        Some(ConflictCount { documents: 0, at_least: false }) => "none open".to_owned(),
        Some(found) => conflicts_in_words(found),
    }
}
