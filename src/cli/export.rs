//! `crdt-palace export`: the graph for the reference memory server, or everything as records.

use super::error::Failure;
use super::exit::{Exit, after, lacking};
use super::print::{count, stdout, tell};
use crate::memory::{Memory, archive};
use crate::palace::Palace;
use clap::ValueEnum;
use std::path::Path;

/// The form of an export.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The knowledge graph alone, as a memory.jsonl of the reference memory server
    Memory,
    /// Everything: a document a line, as JSON
    Jsonl,
}

/// Writes a palace to standard output.
pub(super) fn export(path: &Path, format: Format) -> Result<Exit, Failure> {
    let palace = Palace::open_read_only(path)?;
    let printed = match format {
        Format::Memory => export_graph(&palace),
        Format::Jsonl => export_all(&palace),
    };
    after(printed, lacking(&palace, "the export"))
}

fn export_graph(palace: &Palace) -> Result<(), Failure> {
    let memory = Memory::new(palace.clone());
    let printed = memory.export(&mut stdout()).map(drop);
    let others = memory.count_outside_graph()?;
    if others > 0 {
        tell(format_args!(
            "not in the export: {}; a memory.jsonl has no place for drawers, diaries and facts. --format jsonl exports \
             everything, and a copy of the directory has the history too",
            count(others, "document"),
        ));
    }
    Ok(printed?)
}

fn export_all(palace: &Palace) -> Result<(), Failure> {
    let (_, in_conflict) = archive::export(palace, &mut stdout())?;
    if in_conflict > 0 {
        tell(format_args!(
            "open conflicts: {}; the export has only the values that are shown",
            count(in_conflict, "document"),
        ));
    }
    Ok(())
}
