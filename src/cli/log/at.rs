//! `crdt-log at TIME`: the documents as they were.
//!
//! Every document that had been written by then is read at its version of that time, because it may have been deleted, moved
//! or changed since.

use super::clock::Edge;
use super::names::document;
use super::paint::Part;
use super::patch::escaped;
use super::printer::Printer;
use super::target::{Look, Within};
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::log_error::LogError;
use crate::cli::print::{shown, stdout};
use crate::format::key::Key;
use crate::memory::told::{Kind, id_of, text_of, title_of};
use crate::palace::log::CommitLog;
use crate::palace::step::Version;
use crate::palace::{Direction, Palace, View};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;
use std::io::Write;

/// Arguments of `crdt-log at`.
#[derive(Args)]
pub(super) struct At {
    /// The time, by the writers' clocks: 2026-03-01 (the end of the day), 2026-03-01T10:00, 10:00, yesterday, or 2h for two
    /// hours ago
    #[arg(value_name = "TIME")]
    time: String,
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// List the documents
    List {
        /// Only drawers of this wing, as it was named then
        #[arg(long)]
        wing: Option<String>,
        #[command(flatten)]
        within: Within,
    },
    /// Print a document
    Show {
        /// The document, by its id or key
        #[arg(value_name = "KEY|ID")]
        name: String,
        #[command(flatten)]
        within: Within,
    },
    /// List the documents that have all of these words, and the lines that have one
    Search {
        /// The words, in any case
        #[arg(required = true)]
        words: Vec<String>,
        #[command(flatten)]
        within: Within,
    },
}

impl At {
    pub fn run(&self, look: &Look) -> Result<Exit, Failure> {
        let time_ms = look.clock().parse(&self.time, Edge::End)?;
        let palace = match &self.question {
            Question::List { within, .. }
            | Question::Show { within, .. }
            | Question::Search { within, .. } => within.open()?,
        };
        let log = palace.log(Direction::OldestFirst, Box::new(|_| true))?;
        let (printer, mut out) = (Printer::new(look, &log), stdout());
        let printed = self.answer(&mut out, &palace, &printer, &log, time_ms);
        let printed = printed.and_then(|()| Ok(out.flush()?));
        after(printed, lacking(&palace, "the answer"))
    }

    fn answer(
        &self,
        out: &mut impl Write,
        palace: &Palace,
        printer: &Printer,
        log: &CommitLog<'_>,
        time_ms: i64,
    ) -> Result<(), Failure> {
        match &self.question {
            Question::List { wing, .. } => each(log, time_ms, |key, view| {
                let there = view.value.get("wing").and_then(|wing| wing.as_str());
                if wing.as_deref().is_none_or(|wing| Some(wing) == there) {
                    writeln!(out, "{}", line(printer, key, view))?;
                }
                Ok(())
            }),
            Question::Show { name, .. } => {
                let key = document(palace, log, name)?;
                let found = log.view_at(&key, Version::Time(time_ms))?.map(|(_, view)| view);
                let Some(view) = found.filter(|view| !view.deleted) else {
                    return Err(LogError::NotThere { name: name.clone() }.into());
                };
                writeln!(out, "{}\n", line(printer, &key, &view))?;
                let text = text_of(&key, &view.value);
                Ok(text.lines().try_for_each(|line| writeln!(out, "{}", escaped(line)))?)
            }
            Question::Search { words, .. } => {
                let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
                each(log, time_ms, |key, view| {
                    let text = text_of(key, &view.value);
                    let lower = text.to_lowercase();
                    if !words.iter().all(|word| lower.contains(word)) {
                        return Ok(());
                    }
                    writeln!(out, "{}", line(printer, key, view))?;
                    let has_word = |line: &&str| {
                        let line = line.to_lowercase();
                        words.iter().any(|word| line.contains(word))
                    };
                    let mut lines = text.lines().filter(has_word);
                    Ok(lines.try_for_each(|line| writeln!(out, "    {}", escaped(line)))?)
                })
            }
        }
    }
}

/// Calls `take` with every document that was there at a time.
fn each(
    log: &CommitLog<'_>,
    time_ms: i64,
    mut take: impl FnMut(&Key, &View) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut keys = BTreeSet::new();
    log.each(|commit| {
        if commit.time_ms <= time_ms {
            keys.extend(commit.keys.iter().filter(|key| Kind::of(key) != Kind::Note).cloned());
        }
    })?;
    for key in &keys {
        let found = log.view_at(key, Version::Time(time_ms))?;
        if let Some((_, view)) = found.filter(|(_, view)| !view.deleted) {
            take(key, &view)?;
        }
    }
    Ok(())
}

fn line(printer: &Printer, key: &Key, view: &View) -> String {
    let field = |name| view.value.get(name).and_then(|value| value.as_str());
    let place = field("wing").zip(field("room")).filter(|_| Kind::of(key) != Kind::Place);
    let place = place.map(|(wing, room)| format!(" in {wing}/{room}")).unwrap_or_default();
    let title = format!("{} \"{}\"{place}", Kind::of(key).noun(), title_of(key, &view.value));
    format!("{}  {}", printer.paint.paint(Part::Heading, &shown(&title)), shown(&id_of(key)))
}
