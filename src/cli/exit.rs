//! Exit codes, and the line on standard error that goes with each. This is the one place for both.

use super::error::{Failure, PlaceError};
use super::log_error::LogError;
use super::print::{shown, tell};
#[cfg(feature = "mcp")]
use super::token_error::TokenError;
use crate::fs::shell::quoted;
use crate::memory::MemoryError;
use crate::palace::{Error, Palace, chain};
use crate::store::StoreError;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit codes of all commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The command found a problem, or failed.
    Problem = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// There is no palace at the path.
    NoPalace = 10,
    /// Another process holds the lock that the command needs.
    Busy = 11,
    /// A newer version wrote the palace.
    Newer = 12,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

fn exit_of(failure: &Failure) -> Exit {
    match failure {
        Failure::Usage(_) | Failure::Log(LogError::Time { .. } | LogError::NoVersion { .. }) => {
            Exit::Usage
        }
        Failure::Memory(MemoryError::Argument { .. }) => Exit::Usage,
        Failure::Place(error) if !matches!(error, PlaceError::Fs(_)) => Exit::Usage,
        #[cfg(feature = "mcp")]
        Failure::Serve(crate::mcp::ServeError::Open) => Exit::Usage,
        #[cfg(feature = "mcp")]
        Failure::Token(error) if !matches!(error, TokenError::Fs(_)) => Exit::Usage,
        Failure::Palace(Error::Store(error))
        | Failure::Memory(MemoryError::Palace(Error::Store(error))) => exit_of_store(error),
        // A reader that has seen enough, as `head`, is no failure.
        _ if failure.is_closed_output() => Exit::Done,
        _ => Exit::Problem,
    }
}

fn exit_of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::NoPalace { .. }
        | StoreError::NotAPalace { .. }
        | StoreError::NotADirectory { .. } => Exit::NoPalace,
        StoreError::Busy { .. } => Exit::Busy,
        StoreError::Newer { .. } => Exit::Newer,
        _ => Exit::Problem,
    }
}

/// Ends a command: prints its failure to standard error, and returns its exit code.
pub(super) fn finish(program: &str, result: Result<Exit, Failure>) -> ExitCode {
    let exit = match &result {
        Ok(exit) => *exit,
        Err(failure) => {
            if !failure.is_closed_output() {
                tell(format_args!("{program}: {}", shown(&chain(failure))));
            }
            exit_of(failure)
        }
    };
    exit.into()
}

/// Returns `found`, the exit code of what a command has printed, unless the printing failed.
///
/// If the reader closed the output early, the exit code is `found` all the same: scripts look at nothing else.
pub(super) fn after(printed: Result<(), Failure>, found: Exit) -> Result<Exit, Failure> {
    match printed {
        Err(failure) if !failure.is_closed_output() => Err(failure),
        _ => Ok(found),
    }
}

/// Names the files that could not be read, and returns the exit code for a command that shows all of a palace.
///
/// A user may keep the output as a copy, so it must not lack anything without a word. `output` names it, as in "the
/// dump".
pub(super) fn lacking(palace: &Palace, output: &str) -> Exit {
    let problems = palace.problems();
    // What has the name of a segment and is no file never held anything.
    let is_file = |path: &PathBuf| path.symlink_metadata().is_ok_and(|found| found.is_file());
    let files: BTreeSet<PathBuf> =
        problems.into_iter().filter_map(|problem| problem.path).filter(is_file).collect();
    for path in &files {
        let path = shown(&path.display().to_string());
        tell(format_args!(
            "cannot read {path}: {output} lacks what only this file holds; see crdt-log verify {}",
            quoted(palace.path())
        ));
    }
    if files.is_empty() { Exit::Done } else { Exit::Problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn exit_codes_are_found_through_every_wrapper() {
        let path = || PathBuf::from("/p");
        let none = || StoreError::NoPalace { path: path() };
        assert_eq!(exit_of(&Failure::from(Error::from(none()))), Exit::NoPalace);
        let wrapped = MemoryError::from(Error::from(none()));
        assert_eq!(exit_of(&Failure::from(wrapped)), Exit::NoPalace);
        let busy = StoreError::Busy { path: path(), holder: "x".to_owned() };
        assert_eq!(exit_of(&Failure::from(Error::from(busy))), Exit::Busy);
        let newer = StoreError::Newer { path: path(), found: 9 };
        assert_eq!(exit_of(&Failure::from(Error::from(newer))), Exit::Newer);
        assert_eq!(exit_of(&Failure::Output(ErrorKind::BrokenPipe.into())), Exit::Done);
        assert_eq!(exit_of(&Failure::Output(ErrorKind::StorageFull.into())), Exit::Problem);
    }
}
