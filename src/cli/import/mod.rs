//! `crdt-palace import`: imports a file of the reference memory server, an export of everything, or a directory of MemPalace.
//!
//! Invariant: the source is only read, and stays as it is.

mod pages;
mod source;

use super::error::{Failure, ImportError};
use super::exit::Exit;
use super::print::{count, shown, tell};
use crate::fs::os::open_foreign;
use crate::fs::shell::quoted;
use crate::mcp::{Offer, held_elsewhere};
use crate::memory::archive::{self, Importer};
use crate::memory::{ImportReport, Memory, MemoryError, mempalace};
use crate::palace::{Options, Palace};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use source::{MemPalaceFiles, ReadableDatabase, count_in_list};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

const PROGRAM: &str = concat!("crdt-palace import ", env!("CARGO_PKG_VERSION"));

/// The name that stands for standard input.
const STDIN: &str = "-";
/// Most bytes that are read to find out what a file is.
const BEGINNING_MAX: u64 = 16 << 20;
/// The most lines that are named because they were not imported.
const BAD_LINES: usize = 20;

/// Imports the file or directory `from` into a palace.
pub(super) fn import(from: &Path, palace: &Path) -> Result<Exit, Failure> {
    match from.is_dir() {
        true if pages::is_export(from) => {
            import_archive(&from.display().to_string(), palace, |to| pages::take_all(from, to))
        }
        true => import_mempalace(from, palace),
        false => import_file(from, palace),
    }
}

/// Makes a progress bar. It is drawn on standard error, if that is a terminal.
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

/// A file that is imported, or standard input.
struct Input {
    /// Its name, for messages.
    name: String,
    lines: Box<dyn BufRead>,
    /// True if it is an export of everything.
    is_archive: bool,
}

impl Input {
    fn open(file: &Path) -> Result<Self, Failure> {
        let is_stdin = file == Path::new(STDIN);
        let name = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
        let unread = |source| Failure::Input { path: name.clone(), source };
        let mut input: Box<dyn BufRead> = match is_stdin {
            true => Box::new(io::stdin().lock()),
            false => Box::new(BufReader::new(open_foreign(file).map_err(unread)?)),
        };
        let (beginning, is_archive) = beginning(&mut input).map_err(unread)?;
        Ok(Input { lines: Box::new(io::Cursor::new(beginning).chain(input)), is_archive, name })
    }
}

/// Reads the lines until the first that tells what a file is, and returns them and true if it is an export of
/// everything. Blank and broken lines tell nothing.
fn beginning(input: &mut impl BufRead) -> io::Result<(Vec<u8>, bool)> {
    let mut read = Vec::new();
    loop {
        let start = read.len();
        let left = BEGINNING_MAX.saturating_sub(start as u64);
        input.by_ref().take(left).read_until(b'\n', &mut read)?;
        let line = read.get(start..).unwrap_or_default();
        let told = if line.is_empty() { Some(false) } else { archive::is_record(line) };
        if let Some(is_archive) = told {
            return Ok((read, is_archive));
        }
    }
}

fn import_file(file: &Path, palace: &Path) -> Result<Exit, Failure> {
    let input = Input::open(file)?;
    match input.is_archive {
        true => import_archive(&input.name, palace, |to| Ok(to.lines(input.lines)?)),
        false => import_graph(input, palace),
    }
}

/// Imports an export of everything. `take` gives its records to the importer.
fn import_archive(
    name: &str,
    path: &Path,
    take: impl FnOnce(&mut Importer<'_>) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let palace = Options::default().program(PROGRAM).open(path)?;
    let mut importer = Importer::new(&palace);
    let imported = take(&mut importer);
    let report = importer.report;
    for (at, why) in report.bad.iter().take(BAD_LINES) {
        tell(format_args!("{}: {}: not imported: {}", shown(name), shown(at), shown(why)));
    }
    if report.bad.len() > BAD_LINES {
        tell(format_args!("and {} more that were not imported", report.bad.len() - BAD_LINES));
    }
    tell_repaired(report.repaired.iter().map(|at| format!("{name}: {at}")));
    for id in report.different.iter().take(BAD_LINES) {
        tell(format_args!("{}: it is different here, and was left as it is", shown(id)));
    }
    if report.different.len() > BAD_LINES {
        let more = report.different.len() - BAD_LINES;
        tell(format_args!("and {more} more that are different here"));
    }
    let new = count(report.new, "document");
    tell(format_args!("imported {new}; {} were there already", report.same));
    if imported.is_err() {
        tell_partial();
    }
    imported?;
    tell_not_offered(&palace)?;
    palace.seal()?;
    let is_whole = report.bad.is_empty() && report.different.is_empty();
    Ok(if is_whole { Exit::Done } else { Exit::Problem })
}

fn import_graph(input: Input, palace: &Path) -> Result<Exit, Failure> {
    let path = || input.name.clone();
    let memory = Memory::new(Options::default().program(PROGRAM).open(palace)?);
    let bar = bar();
    let mut report = ImportReport::default();
    let imported = memory.import_reporting(input.lines, &mut report, &mut advance(&bar));
    bar.finish_and_clear();
    let good = report.entities + report.relations + report.unchanged;
    if let (true, 0, [first, ..]) = (imported.is_ok(), good, &report.bad[..]) {
        let (line, why) = (first.line, first.why.clone());
        return Err(ImportError::NoGraph { path: path(), line, why }.into());
    }
    for bad in report.bad.iter().take(BAD_LINES) {
        tell(format_args!("{}:{}: not imported: {}", shown(&path()), bad.line, shown(&bad.why)));
    }
    if report.bad.len() > BAD_LINES {
        tell(format_args!("and {} not imported", count(report.bad.len() - BAD_LINES, "more line")));
    }
    tell_repaired(report.repaired.iter().map(|line| format!("{}:{line}", path())));
    let (entities, relations, unchanged) = (report.entities, report.relations, report.unchanged);
    tell(format_args!(
        "imported {} and {}; {unchanged} were there already",
        count(entities, "entity"),
        count(relations, "relation")
    ));
    imported.map_err(partial_import)?;
    tell_not_offered(memory.palace())?;
    // Without this, a compaction in the background would keep the segment open until the process ends.
    memory.palace().seal()?;
    Ok(if report.bad.is_empty() { Exit::Done } else { Exit::Problem })
}

/// Tells the user where halves of characters were replaced.
fn tell_repaired(mut places: impl ExactSizeIterator<Item = String>) {
    for at in places.by_ref().take(BAD_LINES) {
        let at = shown(&at);
        tell(format_args!(
            "{at}: it has half a character, such as \"\\ud83d\"; U+FFFD was taken for it"
        ));
    }
    if places.len() > 0 {
        let more = count(places.len(), "more place");
        tell(format_args!("and U+FFFD was taken for half a character in {more}"));
    }
}

/// Tells the user what a server without the option `--tools` does not show.
fn tell_not_offered(palace: &Palace) -> Result<(), Failure> {
    for held in held_elsewhere(palace, &Offer::default().sets)? {
        tell(format_args!("{held}"));
    }
    Ok(())
}

/// Tells the user how to complete an import that failed. The report before it says how far it came.
fn partial_import(error: MemoryError) -> Failure {
    tell_partial();
    error.into()
}

fn tell_partial() {
    tell(format_args!("the import stopped here: run the same command again, to add the rest"));
}

fn import_mempalace(dir: &Path, path: &Path) -> Result<Exit, Failure> {
    let files = MemPalaceFiles::find(dir)?;
    let drawers = ReadableDatabase::new(&files.drawers)?;
    let facts = files.facts.as_deref().map(ReadableDatabase::new).transpose()?;
    // The import compacts step by step itself. A compaction in the background would hold the lock that it needs.
    let palace = Options::default().program(PROGRAM).auto_compact(false).open(path)?;
    let bar = bar();
    let source = mempalace::Databases {
        drawers: drawers.database(),
        collection: &files.collection,
        facts: facts.as_ref().map(ReadableDatabase::database),
        zone: TimeZone::system(),
    };
    let mut report = mempalace::Report::default();
    let imported = mempalace::import(&palace, &source, &mut report, &mut advance(&bar));
    bar.finish_and_clear();
    tell_report(&report, &files, &palace);
    imported.map_err(partial_import)?;
    tell_not_offered(&palace)?;
    palace.seal()?;
    for database in [Some(&drawers), facts.as_ref()].into_iter().flatten() {
        database.check_unchanged()?;
    }
    Ok(if report.bad.is_empty() { Exit::Done } else { Exit::Problem })
}

fn tell_report(report: &mempalace::Report, files: &MemPalaceFiles, palace: &Palace) {
    for bad in &report.bad {
        tell(format_args!("{}: not imported: {}", shown(&bad.id), shown(&bad.why)));
    }
    tell(format_args!(
        "imported {}, {} and {}; {} already there",
        count(report.drawers, "new drawer"),
        count(report.entries, "new diary entry"),
        count(report.facts, "new fact"),
        report.there,
    ));
    if report.same > 0 {
        let same = count(report.same, "drawer");
        tell(format_args!(
            "{same} had the same text as another one in its room: each is noted there as one more filing"
        ));
    }
    let kinds = [
        (report.closets, "closet row"),
        (count_in_list(&files.root, "tunnels.json"), "tunnel"),
        (count_in_list(&files.root, "hallways.json"), "hallway"),
        (report.entities, "entity type"),
        (report.assets, "asset"),
    ];
    let left: Vec<String> =
        kinds.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(n, what)).collect();
    if !left.is_empty() {
        tell(format_args!(
            "not imported, because a palace has no place for them: {}",
            left.join(", ")
        ));
    }
    if files.facts.is_none() {
        tell(format_args!("there was no knowledge graph to import"));
    }
    if let Some(why) = &report.uncompacted {
        tell(format_args!(
            "not everything is compacted, because {}; to do it later: crdt-compact {}",
            shown(why),
            quoted(palace.path())
        ));
    }
}
