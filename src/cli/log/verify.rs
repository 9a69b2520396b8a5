//! `crdt-log verify`: reads every byte.

use super::target::Target;
use crate::cli::error::Failure;
use crate::cli::exit::{Exit, after};
use crate::cli::print::{count, finding, json, stdout};
use crate::palace::verify::{Finding, Severity, Verification};
use std::io::{self, Write};

/// Verifies a palace, and prints what is wrong.
pub(super) fn verify_all(target: &Target) -> Result<Exit, Failure> {
    let found = target.open()?.verify()?;
    let exit = if found.has_problem() { Exit::Problem } else { Exit::Done };
    after(print_verified(&found, target.json), exit)
}

fn print_verified(found: &Verification, as_json: bool) -> Result<(), Failure> {
    let mut out = stdout();
    match as_json {
        true => json(&mut out, found)?,
        false => {
            found.findings.iter().try_for_each(|finding| print_finding(&mut out, finding))?;
            let (segments, snapshots) =
                (count(found.segments, "segment"), count(found.snapshots, "snapshot"));
            let verdict = match (found.has_problem(), found.segments + found.snapshots) {
                (true, _) => "there are problems",
                // "All is well" would read as if a merge into this palace had worked.
                (false, 0) => "nothing was ever written here",
                (false, _) => "all is well",
            };
            writeln!(out, "read {segments} and {snapshots}: {verdict}")?;
        }
    }
    Ok(out.flush()?)
}

fn print_finding(out: &mut impl Write, found: &Finding) -> io::Result<()> {
    let severity = match found.severity {
        Severity::Note => "note",
        Severity::Problem => "PROBLEM",
    };
    writeln!(out, "{severity}: {}", finding(found))
}
