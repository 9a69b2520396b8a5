//! `crdt-log at TIME`: the documents as they were.
//!
//! Every document that had been written by then is read at its version of that time, because it may have been deleted, moved
//! or changed since.

use super::clock::Edge;
use super::document::DocumentJson;
use super::names::document;
use super::paint::Part;
use super::patch::escaped;
use super::printer::Printer;
use super::target::{Look, Within};
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after, lacking};
use crate::cli::log_error::LogError;
use crate::cli::print::{json, shown, stdout};
use crate::format::key::Key;
use crate::memory::drawers::folded;
use crate::memory::told::{Kind, id_of, name_of, place_of, text_of};
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

impl Question {
    fn within(&self) -> &Within {
        match self {
            Question::List { within, .. }
            | Question::Show { within, .. }
            | Question::Search { within, .. } => within,
        }
    }
}

/// The documents as they were at a time.
struct Past<'a> {
    palace: &'a Palace,
    log: &'a CommitLog<'a>,
    printer: &'a Printer,
    time_ms: i64,
}

impl At {
    pub fn run(&self, look: &Look) -> Result<Exit, Failure> {
        let time_ms = look.clock().parse(&self.time, Edge::End)?;
        let within = self.question.within();
        let palace = within.open()?;
        let log = palace.log(Direction::OldestFirst, Box::new(|_| true))?;
        let printer = Printer { as_json: within.json, ..Printer::new(look, &log) };
        let past = Past { palace: &palace, log: &log, printer: &printer, time_ms };
        let mut out = stdout();
        let printed = match &self.question {
            Question::List { wing, .. } => past.list(&mut out, wing.as_deref()),
            Question::Show { name, .. } => past.show(&mut out, name),
            Question::Search { words, .. } => past.search(&mut out, words),
        };
        let printed = printed.and_then(|()| Ok(out.flush()?));
        after(printed, lacking(&palace, "the answer"))
    }
}

impl Past<'_> {
    fn list(&self, out: &mut impl Write, wing: Option<&str>) -> Result<(), Failure> {
        each(self.log, self.time_ms, |key, view| {
            let there = view.value.get("wing").and_then(|wing| wing.as_str()).map(folded);
            match wing.is_none_or(|wing| there == Some(folded(wing))) {
                true => self.print(out, key, view, ""),
                false => Ok(()),
            }
        })
    }

    fn show(&self, out: &mut impl Write, name: &str) -> Result<(), Failure> {
        let key = document(self.palace, self.log, name)?;
        let found = self.log.view_at(&key, Version::Time(self.time_ms))?.map(|(_, view)| view);
        let Some(view) = found.filter(|view| !view.deleted) else {
            return Err(LogError::NotThere { name: name.to_owned() }.into());
        };
        self.print(out, &key, &view, "")?;
        if self.printer.as_json {
            return Ok(());
        }
        writeln!(out)?;
        let text = text_of(&key, &view.value);
        Ok(text.lines().try_for_each(|line| writeln!(out, "{}", escaped(line)))?)
    }

    fn search(&self, out: &mut impl Write, words: &[String]) -> Result<(), Failure> {
        let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        each(self.log, self.time_ms, |key, view| {
            let text = text_of(key, &view.value);
            let lower = text.to_lowercase();
            if !words.iter().all(|word| lower.contains(word)) {
                return Ok(());
            }
            let has_word = |line: &&str| {
                let line = line.to_lowercase();
                words.iter().any(|word| line.contains(word))
            };
            let lines: String = text
                .lines()
                .filter(has_word)
                .map(|line| format!("    {}\n", escaped(line)))
                .collect();
            self.print(out, key, view, &lines)
        })
    }

    /// Prints a document on a line, and the lines below it that show why.
    fn print(
        &self,
        out: &mut impl Write,
        key: &Key,
        view: &View,
        below: &str,
    ) -> Result<(), Failure> {
        if self.printer.as_json {
            return Ok(json(out, &DocumentJson::new(key, &view.value, &view.conflicts))?);
        }
        let place = place_of(key, &view.value).map(|place| format!(" in {place}"));
        let name = format!("{}{}", name_of(key, &view.value), place.unwrap_or_default());
        let name = self.printer.paint.paint(Part::Heading, &shown(&name));
        Ok(write!(out, "{name}  {}\n{below}", shown(&id_of(key)))?)
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
