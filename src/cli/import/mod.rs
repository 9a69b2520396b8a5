//! `crdt-palace import`: from a file of the reference memory server, or from a directory of MemPalace.
//!
//! Invariant: what is imported from is only read, and stays as it is.

mod source;

pub use source::ImportError;

use super::exit::{Exit, Failure};
use super::print::{count, shown, tell};
use crate::memory::{ImportReport, Memory, MemoryError, mempalace};
use crate::palace::{Options, Palace};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use source::{Found, Prepared, beside};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

const PROGRAM: &str = concat!("crdt-palace import ", env!("CARGO_PKG_VERSION"));

/// Imports what is at `from` into a palace.
pub(super) fn import(from: &Path, palace: &Path) -> Result<Exit, Failure> {
    match from.is_dir() {
        true => import_mempalace(from, palace),
        false => import_graph(from, palace),
    }
}

/// A bar that is drawn on standard error, and only if that is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_bar} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn advance(bar: &ProgressBar) -> impl FnMut(usize, usize) {
    |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    }
}

fn import_graph(file: &Path, palace: &Path) -> Result<Exit, Failure> {
    let path = || file.display().to_string();
    let input = File::open(file).map_err(|source| Failure::Input { path: path(), source })?;
    let memory = Memory::new(Options::default().program(PROGRAM).open(palace)?);
    let bar = bar();
    let mut report = ImportReport::default();
    let imported = memory.import_telling(BufReader::new(input), &mut report, &mut advance(&bar));
    bar.finish_and_clear();
    for bad in &report.bad {
        tell(format_args!("{}:{}: not imported: {}", shown(&path()), bad.line, shown(&bad.why)));
    }
    let (entities, relations, unchanged) = (report.entities, report.relations, report.unchanged);
    tell(format_args!(
        "imported {entities} entities and {relations} relations; {unchanged} were there"
    ));
    imported.map_err(told_as_partial)?;
    // A compaction that runs in the background would keep the segment open to the end of the process.
    memory.palace().seal()?;
    Ok(if report.bad.is_empty() { Exit::Done } else { Exit::Problem })
}

/// Says of an import that failed what is to be done. How far it came was told before.
fn told_as_partial(error: MemoryError) -> Failure {
    tell(format_args!(
        "that is all so far: the same command again adds what is missing, and only that"
    ));
    error.into()
}

fn import_mempalace(dir: &Path, path: &Path) -> Result<Exit, Failure> {
    let found = Found::at(dir)?;
    let drawers = Prepared::new(&found.drawers)?;
    let facts = found.facts.as_deref().map(Prepared::new).transpose()?;
    // It is folded step by step here; a compaction in the background would be in the way of that.
    let palace = Options::default().program(PROGRAM).auto_compact(false).open(path)?;
    let bar = bar();
    let source = mempalace::Databases {
        drawers: drawers.database(),
        facts: facts.as_ref().map(Prepared::database),
        zone: TimeZone::system(),
    };
    let mut report = mempalace::Report::default();
    let imported = mempalace::import(&palace, &source, &mut report, &mut advance(&bar));
    bar.finish_and_clear();
    tell_report(&report, &found, &palace);
    imported.map_err(told_as_partial)?;
    palace.seal()?;
    for database in [Some(&drawers), facts.as_ref()].into_iter().flatten() {
        database.check_unchanged()?;
    }
    Ok(if report.bad.is_empty() { Exit::Done } else { Exit::Problem })
}

fn tell_report(report: &mempalace::Report, found: &Found, palace: &Palace) {
    for bad in &report.bad {
        tell(format_args!("{}: not imported: {}", shown(&bad.id), shown(&bad.why)));
    }
    let entries = if report.entries == 1 { "entry" } else { "entries" };
    tell(format_args!(
        "imported {}, {} new diary {entries} and {}; {} already there",
        count(report.drawers, "new drawer"),
        report.entries,
        count(report.facts, "new fact"),
        report.there,
    ));
    if report.same > 0 {
        let same = count(report.same, "drawer");
        tell(format_args!(
            "{same} had the text of another one in its room: each is noted there, as one more filing"
        ));
    }
    let left = [
        (report.closets, "closet row"),
        (beside(&found.root, "tunnels.json"), "tunnel"),
        (beside(&found.root, "hallways.json"), "hallway"),
        (report.entities, "entity type"),
        (report.assets, "asset"),
    ];
    let left: Vec<String> =
        left.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(n, what)).collect();
    if !left.is_empty() {
        tell(format_args!(
            "not imported, because there is no place for them here: {}",
            left.join(", ")
        ));
    }
    if found.facts.is_none() {
        tell(format_args!("there was no knowledge graph to import"));
    }
    if let Some(why) = &report.unfolded {
        let path = palace.path().display().to_string();
        tell(format_args!(
            "not all is folded, because {}: crdt-compact {} does it",
            shown(why),
            shown(&path)
        ));
    }
}
