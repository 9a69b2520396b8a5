//! `crdt-palace doctor`: everything that a palace depends on, each with a verdict and what to do.
//!
//! Invariant: it looks only. It opens no file to write and creates none; and what it cannot find out is
//! a finding too, never a silence.

mod content;
mod directory;
mod machine;

use super::exit::{Exit, Failure, after};
use super::palace::At;
use super::print::{json, shown, stdout};
use crate::palace::{Error, Options, StoreError, chain};
use clap::Args;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How bad a finding is. A note is worth knowing; with a problem something does not work, or is not safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Note,
    Problem,
}

/// What was looked at, what was found, and what to do about it.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(check: &'static str, found: impl Display) -> Self {
        Check { check, verdict: Verdict::Ok, found: found.to_string(), advice: None }
    }

    fn note(check: &'static str, found: impl Display, advice: impl Display) -> Self {
        Check { verdict: Verdict::Note, advice: Some(advice.to_string()), ..Self::ok(check, found) }
    }

    fn problem(check: &'static str, found: impl Display, advice: impl Display) -> Self {
        Check { verdict: Verdict::Problem, ..Self::note(check, found, advice) }
    }

    /// For a question that the system did not answer.
    fn unknown(check: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::problem(check, chain(error), "see to it that this user may look")
    }
}

#[derive(Serialize)]
struct Report {
    palace: PathBuf,
    problems: usize,
    checks: Vec<Check>,
}

impl Doctor {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let path = self.at.path()?;
        let checks = checks(&path);
        let problems = checks.iter().filter(|check| check.verdict == Verdict::Problem).count();
        let report = Report { palace: path, problems, checks };
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
    let place = directory::nearest(path);
    let directory = directory::directory(path, &place);
    let usable = directory.verdict != Verdict::Problem;
    let mut found = vec![directory];
    if path.is_dir() {
        found.extend(directory::access(path));
    }
    found.extend([
        directory::file_system(&place),
        directory::space(&place),
        machine::events(&place),
    ]);
    if usable {
        // A compaction would write.
        match Options::default().auto_compact(false).open(path) {
            Ok(palace) => found.extend(content::checks(&palace)),
            Err(error) => found.push(refused(&error)),
        }
    }
    found
}

/// The format, as far as opening got. The messages say what to do by themselves.
fn refused(error: &Error) -> Check {
    let advice = match error {
        Error::Store(StoreError::Newer { .. }) => "install the newest crdt-palace",
        Error::Store(StoreError::Manifest { .. }) => {
            "put back its palace.json, from a copy of this palace and no other"
        }
        Error::Store(StoreError::NotAPalace { .. } | StoreError::NotADirectory { .. }) => {
            "say another --palace DIR"
        }
        _ => "see to it that this user may read it",
    };
    Check::problem("format", chain(error), advice)
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
        n => writeln!(out, "{}", super::print::count(n, "problem")),
    }
}
