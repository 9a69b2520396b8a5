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
use crate::merge::LineOrigin;
use crate::palace::commit_id::CommitId;
use crate::palace::log::CommitLog;
use crate::palace::step::Version;
use crate::palace::{ChangeInfo, Direction, View};
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
    let makers = makers(log, key)?;
    let makers: Vec<_> = lines.iter().map(|line| makers.get(&line.change)).collect();
    match printer.as_json {
        true => print_json(out, &lines, &makers),
        false => print_table(out, printer, &lines, &makers),
    }
}

/// The commit and the writer of a change.
struct Maker {
    /// `None` if the commit is in no file that can be read.
    commit: Option<CommitId>,
    time_ms: i64,
    by: String,
}

fn makers(log: &CommitLog<'_>, key: &Key) -> Result<HashMap<ChangeHash, Maker>, Failure> {
    let (commits, lost) = log.commits_of(key)?;
    let mut makers = HashMap::new();
    for ChangeInfo { hash, time_ms, by, .. } in lost {
        makers.insert(hash, Maker { commit: None, time_ms, by });
    }
    // The first commit that has a change made it; a later one repeats it.
    for commit in commits.iter().rev() {
        for (_, change) in commit.changes.iter().filter(|(changed, _)| changed == key) {
            let (time_ms, by) = (commit.time_ms, commit.by.clone());
            makers.insert(*change, Maker { commit: Some(commit.id()), time_ms, by });
        }
    }
    Ok(makers)
}

fn print_json(
    out: &mut impl Write,
    lines: &[LineOrigin],
    makers: &[Option<&Maker>],
) -> Result<(), Failure> {
    for (LineOrigin { line, .. }, maker) in lines.iter().zip(makers) {
        let commit = maker.and_then(|maker| maker.commit).map(|commit| commit.to_string());
        let (time_ms, by) = maker.map(|maker| (maker.time_ms, &maker.by)).unzip();
        let line = json!({"commit": commit, "time_ms": time_ms, "by": by, "line": line});
        print::json(out, &line)?;
    }
    Ok(())
}

fn print_table(
    out: &mut impl Write,
    printer: &Printer,
    lines: &[LineOrigin],
    makers: &[Option<&Maker>],
) -> Result<(), Failure> {
    let name = |maker: &Option<&Maker>| {
        let commit = maker.and_then(|maker| maker.commit);
        commit.map_or_else(|| "?".to_owned(), |commit| printer.short(commit))
    };
    let by = |maker: &Option<&Maker>| writer(maker.map_or("", |maker| &maker.by));
    let width = |of: &dyn Fn(&Option<&Maker>) -> String| {
        makers.iter().map(|maker| of(maker).chars().count()).max().unwrap_or(0)
    };
    let (names, writers) = (width(&name), width(&by));
    for (LineOrigin { line, .. }, maker) in lines.iter().zip(makers) {
        let time = printer.clock.shown(maker.map_or(0, |maker| maker.time_ms));
        let (name, by) = (format!("{:<names$}", name(maker)), format!("{:<writers$}", by(maker)));
        let [name, time, by] = [(Part::Commit, name), (Part::Time, time), (Part::Writer, by)]
            .map(|(part, text)| printer.paint.paint(part, &text));
        writeln!(out, "{name}  {time}  {by}  {}", escaped(line))?;
    }
    Ok(())
}
