//! `crdt-log blame`: the commit that each line of a document is from, through merges.

use super::names::document;
use super::paint::Part;
use super::patch::escaped;
use super::printer::{Printer, writer};
use super::target::{Look, Within};
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::print::{self, stdout};
use crate::format::hash::ChangeHash;
use crate::format::key::Key;
use crate::memory::told::text_of;
use crate::palace::feed::CommitInfo;
use crate::palace::log::CommitLog;
use crate::palace::step::Version;
use crate::palace::{Direction, View};
use clap::Args;
use serde_json::json;
use std::collections::HashMap;
use std::io::Write;

/// Arguments of `crdt-log blame`.
#[derive(Args)]
pub(super) struct Blame {
    /// The document, by its id or key
    #[arg(value_name = "KEY|ID")]
    name: String,
    #[command(flatten)]
    within: Within,
}

impl Blame {
    pub fn run(&self, look: &Look) -> Result<Exit, Failure> {
        let palace = self.within.open()?;
        let log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let key = document(&palace, &log, &self.name)?;
        let printer = Printer { as_json: self.within.json, ..Printer::new(look, &log) };
        let mut out = stdout();
        let printed = print(&mut out, &printer, &log, &key).and_then(|()| Ok(out.flush()?));
        after(printed, lacking(&palace, "the list of lines"))
    }
}

fn print(
    out: &mut impl Write,
    printer: &Printer,
    log: &CommitLog<'_>,
    key: &Key,
) -> Result<(), Failure> {
    let Some((heads, view)) = log.view_at(key, Version::Now)? else { return Ok(()) };
    let heads = if view.deleted { log.version_before(key, &heads)? } else { heads };
    let lines = log.blame(key, &heads, &|view: &View| text_of(key, &view.value))?;
    let (commits, _) = log.commits_of(key)?;
    let mut makers: HashMap<ChangeHash, &CommitInfo> = HashMap::new();
    // The first commit that has a change made it; a later one repeats it.
    for commit in commits.iter().rev() {
        makers.extend(commit.changes.iter().map(|(_, change)| (*change, commit)));
    }
    let name = |change| makers.get(change).map(|commit| printer.short(commit.id()));
    let width = lines.iter().filter_map(|line| name(&line.change)).map(|name| name.len()).max();
    let writers = lines.iter().filter_map(|line| makers.get(&line.change));
    let writers = writers.map(|commit| writer(&commit.by).chars().count()).max();
    for line in &lines {
        let commit = makers.get(&line.change);
        let (time, by) = commit.map_or((0, ""), |commit| (commit.time_ms, commit.by.as_str()));
        if printer.as_json {
            let id = commit.map(|commit| commit.id().to_string());
            let line = json!({"commit": id, "time_ms": time, "by": by, "line": line.line});
            print::json(out, &line)?;
            continue;
        }
        let name = name(&line.change).unwrap_or_else(|| "?".to_owned());
        let name = printer.paint.paint(Part::Commit, &format!("{name:<0$}", width.unwrap_or(0)));
        let time = printer.paint.paint(Part::Time, &printer.clock.shown(time));
        let by =
            printer.paint.paint(Part::Writer, &format!("{:<1$}", writer(by), writers.unwrap_or(1)));
        writeln!(out, "{name}  {time}  {by}  {}", escaped(&line.line))?;
    }
    Ok(())
}
