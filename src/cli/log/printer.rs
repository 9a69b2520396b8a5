//! Prints commits: one line each, with the difference of the texts, or as JSON.

use super::clock::Clock;
use super::paint::{Paint, Part};
use super::patch::{patch, print_patch};
use super::select::Selection;
use super::target::Look;
use crate::cli::error::Failure;
use crate::cli::print::{line_of_json, shown};
use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::memory::Deed;
use crate::memory::told::{Kind, Told, sentence};
use crate::palace::commit_id::{CommitId, Instances};
use crate::palace::feed::CommitInfo;
use crate::palace::log::CommitLog;
use crate::palace::status::time_text;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use unicode_segmentation::UnicodeSegmentation as _;

/// The version of the schema of a commit. Version 1 had the records of the files.
const SCHEMA: u32 = 2;

/// Most commits that a line names as undone.
const UNDONE_NAMED: usize = 3;

/// Most characters of a writer's name in a line.
const WRITER_CHARS: usize = 30;

/// The form in which commits are printed.
pub(in crate::cli) struct Printer {
    pub clock: Clock,
    pub paint: Paint,
    pub instances: Instances,
    /// True to print the difference of the texts too.
    pub with_patch: bool,
    pub as_json: bool,
}

/// A commit as a line of JSON.
#[derive(Serialize)]
struct CommitLine<'a> {
    schema: u32,
    commit: String,
    instance: InstanceId,
    sequence: u64,
    time_ms: i64,
    time: Option<String>,
    by: &'a str,
    summary: String,
    documents: Vec<DocumentLine<'a>>,
    changes: Vec<ChangeLine<'a>>,
}

/// A document that a commit changed.
#[derive(Serialize)]
pub(in crate::cli) struct DocumentLine<'a> {
    kind: &'static str,
    id: &'a str,
    key: &'a Key,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    did: Vec<&'static str>,
    added: usize,
    removed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    undoes: Vec<String>,
}

/// A change in a commit.
#[derive(Serialize)]
struct ChangeLine<'a> {
    key: &'a Key,
    hash: &'a ChangeHash,
}

impl Printer {
    pub fn new(look: &Look, log: &CommitLog<'_>) -> Self {
        let (clock, paint) = (look.clock(), look.paint());
        Printer {
            clock,
            paint,
            instances: log.instances().clone(),
            with_patch: false,
            as_json: false,
        }
    }

    /// Returns the shortest name of a commit, painted.
    pub fn name(&self, commit: CommitId) -> String {
        self.paint.paint(Part::Commit, &self.short(commit))
    }

    /// Returns the shortest name of a commit.
    pub fn short(&self, commit: CommitId) -> String {
        self.instances.short(commit)
    }

    /// Prints a commit and what it did.
    pub fn commit(
        &self,
        out: &mut impl Write,
        commit: &CommitInfo,
        told: &[Told],
    ) -> Result<(), Failure> {
        if self.as_json {
            return self.json(out, commit, told);
        }
        let undoes = self.undoes(told);
        writeln!(out, "{}  {}{undoes}", self.heading(commit), shown(&sentence(told)))?;
        if self.with_patch {
            told.iter()
                .filter(|told| told.kind != Kind::Note)
                .try_for_each(|told| self.patch(out, told))?;
        }
        Ok(())
    }

    /// Returns time, name and writer of a commit.
    pub fn heading(&self, commit: &CommitInfo) -> String {
        let time = self.paint.paint(Part::Time, &self.clock.shown(commit.time_ms));
        let writer = self.paint.paint(Part::Writer, &writer(&commit.by));
        format!("{time}  {}  {writer}", self.name(commit.id()))
    }

    /// Returns the words for the commits that were taken back, with a space before them; empty if there are none.
    pub fn undoes(&self, told: &[Told]) -> String {
        let commits: BTreeSet<CommitId> =
            told.iter().flat_map(|told| told.undoes.iter().copied()).collect();
        let names: Vec<String> =
            commits.iter().take(UNDONE_NAMED).map(|commit| self.name(*commit)).collect();
        let more = commits.len() - names.len();
        match (names.is_empty(), more) {
            (true, _) => String::new(),
            (_, 0) => format!(" (undoes {})", names.join(", ")),
            _ => format!(" (undoes {} and {more} more)", names.join(", ")),
        }
    }

    /// Prints the name of a document and the difference of its texts.
    pub fn patch(&self, out: &mut impl Write, told: &Told) -> io::Result<()> {
        writeln!(out, "    {}", self.paint.paint(Part::Heading, &shown(&told.id)))?;
        print_patch(out, self.paint, "    ", &told.texts)
    }

    fn json(
        &self,
        out: &mut impl Write,
        commit: &CommitInfo,
        told: &[Told],
    ) -> Result<(), Failure> {
        let document = |told| document_line(told, self.with_patch);
        let line = CommitLine {
            schema: SCHEMA,
            commit: commit.id().to_string(),
            instance: commit.instance,
            sequence: commit.sequence,
            time_ms: commit.time_ms,
            time: time_text(commit.time_ms),
            by: &commit.by,
            summary: sentence(told),
            documents: told.iter().map(document).collect(),
            changes: commit.changes.iter().map(|(key, hash)| ChangeLine { key, hash }).collect(),
        };
        Ok(line_of_json(out, &line)?)
    }
}

/// Returns a document that a commit changed, for JSON.
pub(in crate::cli) fn document_line(told: &Told, with_patch: bool) -> DocumentLine<'_> {
    DocumentLine {
        kind: told.kind.name(),
        id: &told.id,
        key: &told.key,
        title: &told.title,
        place: told.place.as_deref(),
        did: told.deeds.iter().copied().map(Deed::name).collect(),
        added: told.lines.0,
        removed: told.lines.1,
        diff: with_patch.then(|| patch(&told.texts).join("\n")),
        undoes: told.undoes.iter().map(ToString::to_string).collect(),
    }
}

/// Returns a writer's name without the program that served it.
pub(in crate::cli) fn without_program(by: &str) -> &str {
    by.split(" (crdt-palace").next().unwrap_or(by)
}

/// Returns a writer's name without the program that served it, and shortened.
pub(in crate::cli) fn writer(by: &str) -> String {
    let short: String = without_program(by).graphemes(true).take(WRITER_CHARS).collect();
    if short.is_empty() { "-".to_owned() } else { shown(&short) }
}

/// Tells what a commit did to the documents that are asked for. A change that its document lacks is left out, and logged.
pub(in crate::cli) fn told(
    log: &mut CommitLog<'_>,
    commit: &CommitInfo,
    selection: Option<&Selection>,
) -> Result<Vec<Told>, Failure> {
    let mut told = Vec::new();
    for key in &commit.keys {
        if selection.is_none_or(|selection| selection.has_key(key)) {
            let step = log.step(commit, key)?;
            told.extend(step.map(|step| Told::new(key, &step)));
        }
    }
    Ok(told)
}
