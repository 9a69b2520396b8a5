//! The result of one check, and the advice on an error of the operating system.

use crate::fs::FsError;
use crate::fs::shell::quoted;
use crate::palace::{Error, StoreError, chain};
use crate::segment::SegmentError;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The weight of a finding. A note is worth knowing. With a problem, something does not work or is not safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Note,
    Problem,
}

/// One check: its name, the finding, and the advice.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub check: &'static str,
    pub verdict: Verdict,
    pub found: String,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    pub fn ok(check: &'static str, found: impl Display) -> Self {
        Check { check, verdict: Verdict::Ok, found: found.to_string(), advice: None }
    }

    pub fn note(check: &'static str, found: impl Display, advice: impl Display) -> Self {
        Check { verdict: Verdict::Note, advice: Some(advice.to_string()), ..Self::ok(check, found) }
    }

    pub fn problem(check: &'static str, found: impl Display, advice: impl Display) -> Self {
        Check { verdict: Verdict::Problem, ..Self::note(check, found, advice) }
    }

    /// Makes a problem of a question about `path` that the operating system did not answer.
    pub fn refused(check: &'static str, error: &io::Error, path: &Path) -> Self {
        let found = format!("{} cannot be looked at: {error}", path.display());
        Self::problem(check, found, advice(error, path))
    }

    /// Makes a problem of an error of the palace. The advice names the file that the error is about.
    pub fn failed(check: &'static str, error: &Error) -> Self {
        let advice = match error_of_a_file(error) {
            Some(error) => advice(&error.source, &error.path),
            None => {
                "call this command again; if it fails again, see what the error names".to_owned()
            }
        };
        Self::problem(check, chain(error), advice)
    }
}

/// Finds the file that an error is about, and the answer of the operating system.
fn error_of_a_file(error: &Error) -> Option<&FsError> {
    match error {
        Error::Store(StoreError::Fs(error) | StoreError::Segment(SegmentError::Fs(error))) => {
            Some(error)
        }
        _ => None,
    }
}

/// Returns the advice on an error of the operating system.
fn advice(error: &io::Error, path: &Path) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => access_advice(path),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space on its disk".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "mount its disk for writing".to_owned(),
        ErrorKind::NotFound => "call this command again: another process has just moved it".to_owned(),
        _ => "see the log of the kernel, such as dmesg: the disk or its file system reports the error".to_owned(),
    }
}

/// Finds the first part of a path that this user may not pass, and returns how to pass it.
fn access_advice(path: &Path) -> String {
    let me = rustix::process::geteuid().as_raw();
    let mut parts: Vec<_> = path.ancestors().collect();
    parts.reverse();
    // What lies behind a closed directory cannot be looked at, so the last part that can be is the closed one.
    let seen = parts.iter().map_while(|part| Some((*part, part.symlink_metadata().ok()?))).last();
    match seen {
        Some((part, found)) if found.uid() == me => {
            let change = if found.is_dir() { "u+rwx" } else { "u+rw" };
            format!("chmod {change} {}", quoted(part))
        }
        Some((part, found)) => format!(
            "run as the owner of {}, uid {}, or pass another --palace DIR: this process has uid {me}",
            part.display(),
            found.uid()
        ),
        None => "pass another --palace DIR".to_owned(),
    }
}
