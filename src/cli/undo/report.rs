//! Prints what an undo or a restore wrote, and what stays.

use crate::cli::error::Failure;
use crate::cli::log::printer::{Printer, document_line, told, writer};
use crate::cli::log::target::Look;
use crate::cli::print::{self, shown, stdout};
use crate::format::hash::ChangeHash;
use crate::format::key::Key;
use crate::memory::told::{Kind, Told, id_of, name_of, place_of, sentence, title_of};
use crate::memory::undo::{Names, Part, Reason, Restored, TakenBack};
use crate::merge::Written;
use crate::palace::feed::CommitInfo;
use crate::palace::log::CommitLog;
use crate::palace::{Direction, Palace};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::Write;

/// Where and how a report is printed.
pub(super) struct Report<'a> {
    pub palace: &'a Palace,
    pub look: &'a Look,
    pub as_json: bool,
}

impl Report<'_> {
    /// Prints the commits of an undo, or what they would be, and each part that stays.
    pub fn undone(&self, done: &[TakenBack], dry_run: bool) -> Result<(), Failure> {
        let mut log = self.palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let printer = Printer { with_patch: true, ..Printer::new(self.look, &log) };
        let mut out = stdout();
        if self.as_json {
            for done in done {
                let commit = self.commit(&log, done.change)?;
                print::json(&mut out, &line(&printer, done, commit.as_ref()))?;
            }
            return Ok(out.flush()?);
        }
        let told: Vec<&Told> = done.iter().filter_map(|done| done.told.as_ref()).collect();
        let changes: Vec<ChangeHash> = done.iter().filter_map(|done| done.change).collect();
        self.print_written(&mut out, &printer, &mut log, &told, &changes, dry_run)?;
        for done in done {
            for part in &done.parts {
                print_left(&mut out, &printer, &done.key, part)?;
            }
        }
        if told.is_empty() {
            writeln!(out, "nothing was written")?;
        }
        Ok(out.flush()?)
    }

    /// Prints the commit of a restore, or what it would be.
    pub fn restored(
        &self,
        key: &Key,
        value: &Map<String, Value>,
        restored: &Restored,
        dry_run: bool,
    ) -> Result<(), Failure> {
        let mut log = self.palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let printer = Printer { with_patch: true, ..Printer::new(self.look, &log) };
        let mut out = stdout();
        let told: Vec<&Told> = restored.told.iter().collect();
        if self.as_json {
            let commit = self.commit(&log, restored.change)?;
            let unchanged = || unchanged(key, &title_of(key, value), place_of(key, value));
            let mut line = told.first().map_or_else(unchanged, |told| document(told));
            line.insert("commit".to_owned(), commit_json(commit.as_ref()));
            print::json(&mut out, &line)?;
            return Ok(out.flush()?);
        }
        let changes: Vec<ChangeHash> = restored.change.into_iter().collect();
        self.print_written(&mut out, &printer, &mut log, &told, &changes, dry_run)?;
        if told.is_empty() {
            writeln!(out, "{} shows that version already", shown(&name_of(key, value)))?;
        }
        Ok(out.flush()?)
    }

    /// Prints the commits that hold these changes as `crdt-log dump -p` does. Of a dry run, it prints what they would be.
    fn print_written(
        &self,
        out: &mut impl Write,
        printer: &Printer,
        log: &mut CommitLog<'_>,
        would: &[&Told],
        changes: &[ChangeHash],
        dry_run: bool,
    ) -> Result<(), Failure> {
        if dry_run {
            for told in would {
                let alone = std::slice::from_ref(*told);
                let undoes = printer.undoes(alone);
                writeln!(out, "would write: {}{undoes}", shown(&sentence(alone)))?;
                printer.patch(out, told)?;
            }
        }
        let mut last = None;
        for change in changes {
            let Some(commit) = self.commit(log, Some(*change))? else { continue };
            // Documents of one commit come one after the other.
            if last.replace(commit.id()) != Some(commit.id()) {
                let told = told(log, &commit, None)?;
                printer.commit(out, &commit, &told)?;
            }
        }
        Ok(())
    }

    /// Returns the commit of this process that holds a change.
    fn commit(
        &self,
        log: &CommitLog<'_>,
        change: Option<ChangeHash>,
    ) -> Result<Option<CommitInfo>, Failure> {
        let Some((instance, change)) = self.palace.instance().zip(change) else { return Ok(None) };
        Ok(log.holding(instance, &change)?)
    }
}

/// Prints what stays of a commit.
fn print_left(
    out: &mut impl Write,
    printer: &Printer,
    key: &Key,
    part: &Part,
) -> Result<(), Failure> {
    let mut printed = BTreeSet::new();
    for reason in &part.left {
        let word = if reason.is_conflict() { "conflict:" } else { "stays:" };
        let why = words(printer, key, reason);
        let line = format!("{}: {}", shown(&summary(key, part)), shown(&why));
        // A place has two fields.
        if printed.insert(line.clone()) {
            writeln!(out, "{word:<10}{}  {line}", printer.name(part.commit))?;
        }
    }
    Ok(())
}

fn summary(key: &Key, part: &Part) -> String {
    match &part.told {
        Some(told) => sentence(std::slice::from_ref(told)),
        None => format!("changed {} {:?}", Kind::of(key).noun(), id_of(key)),
    }
}

fn words(printer: &Printer, key: &Key, reason: &Reason) -> String {
    let commit = |commit| printer.short(commit);
    let writer = |by: &Written| format!("{} ({})", writer(&by.by), printer.clock.shown(by.time_ms));
    reason.words(key, &Names { commit: &commit, writer: &writer })
}

/// Returns a document and what was done to it, as JSON with the field names of `crdt-log dump`.
fn line(printer: &Printer, done: &TakenBack, commit: Option<&CommitInfo>) -> Map<String, Value> {
    let first = done.parts.iter().find_map(|part| part.told.as_ref());
    let title = first.map_or_else(|| id_of(&done.key), |told| told.title.clone());
    let place = first.and_then(|told| told.place.clone());
    let unchanged = || unchanged(&done.key, &title, place);
    let mut line = done.told.as_ref().map_or_else(unchanged, document);
    line.insert("commit".to_owned(), commit_json(commit));
    line.entry("undoes").or_insert_with(|| json!([]));
    let left = done.parts.iter().flat_map(|part| part.left.iter().map(move |left| (part, left)));
    let left = left.map(|(part, reason)| {
        json!({
            "commit": part.commit.to_string(),
            "summary": summary(&done.key, part),
            "reason": reason.name(),
            "why": words(printer, &done.key, reason),
        })
    });
    line.insert("left".to_owned(), left.collect());
    line
}

fn document(told: &Told) -> Map<String, Value> {
    match serde_json::to_value(document_line(told, true)) {
        Ok(Value::Object(line)) => line,
        // Texts, numbers and lists of texts become JSON.
        _ => Map::new(),
    }
}

/// Returns a document to which nothing was done.
fn unchanged(key: &Key, title: &str, place: Option<String>) -> Map<String, Value> {
    let line = json!({
        "kind": Kind::of(key).name(), "id": id_of(key), "key": key, "title": title, "did": [], "added": 0, "removed": 0,
        "diff": "",
    });
    let Value::Object(mut line) = line else { return Map::new() };
    line.extend(place.map(|place| ("place".to_owned(), Value::from(place))));
    line
}

fn commit_json(commit: Option<&CommitInfo>) -> Value {
    commit.map_or(Value::Null, |commit| commit.id().to_string().into())
}
