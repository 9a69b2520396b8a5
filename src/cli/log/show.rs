//! `crdt-log show`: a commit with all that it did, or a document as it is now.

use super::document::DocumentJson;
use super::names::{Found, find};
use super::patch::escaped;
use super::printer::{Printer, told, writer};
use super::target::{Look, Within};
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::print::{count, json, shown, stdout};
use crate::format::key::Key;
use crate::memory::told::{Kind, id_of, place_of, sentence, text_of, title_of};
use crate::palace::feed::CommitInfo;
use crate::palace::log::CommitLog;
use crate::palace::step::Version;
use crate::palace::{Direction, View};
use clap::Args;
use std::io::Write;

/// Arguments of `crdt-log show`.
#[derive(Args)]
pub(super) struct Show {
    /// The commit, or the document by its id or key. The first digits of a commit that no other has are enough
    #[arg(value_name = "COMMIT|KEY|ID")]
    name: String,
    #[command(flatten)]
    within: Within,
}

impl Show {
    pub fn run(&self, look: &Look) -> Result<Exit, Failure> {
        let palace = self.within.open()?;
        let mut log = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let printer =
            Printer { with_patch: true, as_json: self.within.json, ..Printer::new(look, &log) };
        let mut out = stdout();
        let printed = match find(&palace, &log, &self.name)? {
            Found::Commit(commit) => show_commit(&mut out, &printer, &mut log, &commit),
            Found::Document(key) => show_document(&mut out, &printer, &mut log, &key),
        };
        let printed = printed.and_then(|()| Ok(out.flush()?));
        after(printed, lacking(&palace, "what is shown"))
    }
}

fn show_commit(
    out: &mut impl Write,
    printer: &Printer,
    log: &mut CommitLog<'_>,
    commit: &CommitInfo,
) -> Result<(), Failure> {
    let told = told(log, commit, None)?;
    if printer.as_json {
        return printer.commit(out, commit, &told);
    }
    writeln!(out, "commit    {}", commit.id())?;
    writeln!(out, "time      {}", printer.clock.shown(commit.time_ms))?;
    writeln!(
        out,
        "by        {}",
        if commit.by.is_empty() { "-".into() } else { shown(&commit.by) }
    )?;
    for told in told.iter().filter(|told| told.kind != Kind::Note) {
        let alone = std::slice::from_ref(told);
        writeln!(out, "\n{}{}", shown(&sentence(alone)), printer.undoes(alone))?;
        printer.patch(out, told)?;
    }
    if told.iter().all(|told| told.kind == Kind::Note) {
        writeln!(out, "\n{}", shown(&sentence(&told)))?;
    }
    Ok(())
}

fn show_document(
    out: &mut impl Write,
    printer: &Printer,
    log: &mut CommitLog<'_>,
    key: &Key,
) -> Result<(), Failure> {
    let (commits, lost) = log.commits_of(key)?;
    let Some((heads, view)) = log.view_at(key, Version::Now)? else { return Ok(()) };
    // A deleted document shows nothing: what it was before is shown.
    let text = match view.deleted {
        true => {
            let before = log.version_before(key, &heads)?;
            log.view_at(key, Version::Heads(&before))?.map(|(_, view)| view)
        }
        false => None,
    };
    let content = text.as_ref().unwrap_or(&view);
    if printer.as_json {
        let mut line = DocumentJson::new(key, &content.value, &view.conflicts);
        line.deleted = view.deleted;
        return Ok(json(out, &line)?);
    }
    print_header(out, printer, key, [&view, content], &commits)?;
    if !lost.is_empty() {
        let lost = count(lost.len(), "change");
        writeln!(out, "lost      {lost}, whose commits are in no file that can be read")?;
    }
    writeln!(out)?;
    for line in text_of(key, &content.value).lines() {
        writeln!(out, "{}", escaped(line))?;
    }
    Ok(())
}

fn print_header(
    out: &mut impl Write,
    printer: &Printer,
    key: &Key,
    [view, content]: [&View; 2],
    commits: &[CommitInfo],
) -> Result<(), Failure> {
    let kind = Kind::of(key);
    writeln!(out, "{:<10}{}", kind.name(), shown(&title_of(key, &content.value)))?;
    writeln!(out, "id        {}", shown(&id_of(key)))?;
    if let Some(place) = place_of(key, &content.value) {
        writeln!(out, "place     {}", shown(&place))?;
    }
    for (word, commit) in [("first", commits.first()), ("last", commits.last())] {
        if let Some(commit) = commit {
            writeln!(out, "{word:<10}{}", printer.heading(commit))?;
        }
    }
    writeln!(out, "versions  {}", commits.len())?;
    if !view.conflicts.is_empty() {
        let open = count(view.conflicts.len(), "open conflict");
        writeln!(out, "conflicts {open}: crdt-log conflicts shows them")?;
    }
    if view.deleted {
        let by = view.modified.as_ref().map(|written| writer(&written.by)).unwrap_or_default();
        writeln!(out, "deleted   by {by}; this is what it was before")?;
    }
    Ok(())
}
