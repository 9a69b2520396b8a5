//! `crdt-palace export`: the graph for the reference memory server, or everything, as lines of JSON or as pages.

mod markdown;
pub(super) mod pages;

use super::error::Failure;
use super::exit::{Exit, after, lacking};
use super::location::source;
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
    /// Everything: a page for each drawer, diary entry, entity and document, in a new directory
    Markdown,
}

/// The name that stands for standard output.
const STDOUT: &str = "-";

/// Writes a palace to standard output, or as pages to a new directory.
pub(super) fn export(path: &Path, format: Format, to: Option<&Path>) -> Result<Exit, Failure> {
    let dir = to.filter(|to| *to != Path::new(STDOUT)).map(source).transpose()?;
    let palace = Palace::open_read_only(path)?;
    let printed = match (format, &dir) {
        (Format::Markdown, Some(dir)) => {
            markdown::export(&palace, dir).map(tell_conflicts).map_err(Failure::from)
        }
        (Format::Markdown, None) => Err(Failure::Usage("name the directory for the pages")),
        (_, Some(_)) => Err(Failure::Usage(
            "this format goes to standard output: redirect it to a file, as in > palace.jsonl",
        )),
        (Format::Memory, None) => export_graph(&palace),
        (Format::Jsonl, None) => {
            archive::export(&palace, &mut stdout()).map(tell_conflicts).map_err(Failure::from)
        }
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

fn tell_conflicts(in_conflict: usize) {
    if in_conflict > 0 {
        tell(format_args!(
            "open conflicts: {}; the export has only the values that are shown",
            count(in_conflict, "document"),
        ));
    }
}
