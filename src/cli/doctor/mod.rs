//! `crdt-palace doctor`: checks everything that a palace depends on, and says what to do about each problem.
//!
//! Invariants: it only reads: it opens no file for writing and creates none, but for trials in `tmp/` of a palace that
//! this user may write, which leave nothing behind. If it cannot find something out, it reports that as a problem.

mod check;
mod clients;
mod content;
mod directory;
mod machine;
mod parts;
mod place;
mod second_process;
mod tokens;
mod trial;

use super::error::Failure;
use super::exit::{Exit, after};
use super::location::{Location, PalaceTarget};
use super::print::{count, json, shown, stdout};
use crate::palace::Options;
use check::{Check, Verdict};
use clap::Args;
use place::Place;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    at: PalaceTarget,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Tell what a second process sees of this file: doctor calls itself
    #[arg(long = second_process::ARGUMENT, value_name = "FILE", hide = true)]
    seen: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    #[serde(serialize_with = "crate::format::path_text::one")]
    palace: PathBuf,
    problems: usize,
    checks: Vec<Check>,
}

impl Doctor {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        if let Some(file) = &self.seen {
            return second_process::answer(file);
        }
        let location = self.at.locate()?;
        let mut checks = checks(&location.path);
        checks.extend(stray(&location));
        checks.push(clients::clients(&location.path));
        checks.extend(tokens::tokens());
        let problems = checks.iter().filter(|check| check.verdict == Verdict::Problem).count();
        let report = Report { palace: location.path, problems, checks };
        after(self.print(&report), if problems == 0 { Exit::Done } else { Exit::Problem })
    }

    fn print(&self, report: &Report) -> Result<(), Failure> {
        let mut out = stdout();
        match self.json {
            true => json(&mut out, report)?,
            false => print(&mut out, report)?,
        }
        Ok(out.flush()?)
    }
}

fn checks(path: &Path) -> Vec<Check> {
    let (place, existing) = (Place::of(path), directory::nearest_existing(path));
    let first = place.check(path, &existing);
    let mut usable = place.can_be_opened() && first.verdict != Verdict::Problem;
    let mut found = vec![first];
    if matches!(place, Place::Foreign(_)) {
        return found;
    }
    if place.may_be_a_palace() {
        let parts = parts::directories(path);
        match parts.verdict {
            Verdict::Problem => usable = false,
            _ => found.extend(directory::access(path)),
        }
        found.extend([parts, directory::lock_files(path)]);
    }
    let (file_system, space) = (directory::file_system(&existing), directory::space(&existing));
    found.extend([file_system, space, machine::events(&existing)]);
    if usable && matches!(place, Place::Palace) {
        found.extend(trial::checks(path));
    }
    if usable {
        // An automatic compaction would write.
        match Options::default().auto_compact(false).open(path) {
            Ok(palace) => found.extend(content::checks(&palace)),
            Err(error) => found.push(content::not_opened(&error, path)),
        }
    }
    found
}

/// Reports a palace that an earlier version made in the working directory.
fn stray(location: &Location) -> Option<Check> {
    let (found, advice) = location.stray_palace()?;
    Some(Check::note("stray palace", found, advice))
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "palace   {}", shown(&report.palace.display().to_string()))?;
    for Check { check, verdict, found, advice } in &report.checks {
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "PROBLEM",
        };
        write!(out, "{verdict:8} {check:12} {}", shown(found))?;
        match advice {
            Some(advice) => writeln!(out, " -> {}", shown(advice))?,
            None => writeln!(out)?,
        }
    }
    match report.problems {
        0 => writeln!(out, "no problems"),
        n => writeln!(out, "{}", count(n, "problem")),
    }
}
