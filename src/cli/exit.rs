//! From errors to exit codes and a line for people: the one place for both.

use super::print::{shown, tell};
use crate::memory::MemoryError;
use crate::palace::{Error, Palace, chain};
use crate::store::StoreError;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// What the commands' exit codes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It was done, and a problem was found; or it failed.
    Problem = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// There is no palace there.
    NoPalace = 10,
    /// Somebody else is at it.
    Busy = 11,
    /// A newer version wrote the palace.
    Newer = 12,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The palace.
    #[error(transparent)]
    Palace(#[from] Error),
    /// The knowledge graph.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The result cannot be written.
    #[error("cannot write the result")]
    Output(#[from] io::Error),
    /// A file cannot be used.
    #[error("cannot read {path}")]
    Input {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server failed.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Serve(#[from] crate::mcp::ServeError),
    /// The demo failed.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Demo(#[from] super::demo::DemoError),
    /// What is to be imported.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Import(#[from] super::import::ImportError),
    /// The client's configuration.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Install(#[from] super::install::InstallError),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(&'static str),
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure::Output(error.into())
    }
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            #[cfg(feature = "mcp")]
            Failure::Serve(crate::mcp::ServeError::Guard(_)) => Exit::Usage,
            Failure::Palace(Error::Store(error))
            | Failure::Memory(MemoryError::Palace(Error::Store(error))) => of_store(error),
            _ if self.is_hang_up() => Exit::Done,
            _ => Exit::Problem,
        }
    }

    /// Whoever reads the output has seen enough.
    fn is_hang_up(&self) -> bool {
        match self {
            Failure::Output(error) | Failure::Memory(MemoryError::Write(error)) => {
                error.kind() == ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::NoPalace { .. }
        | StoreError::NotAPalace { .. }
        | StoreError::NotADirectory { .. } => Exit::NoPalace,
        StoreError::Busy { .. } => Exit::Busy,
        StoreError::Newer { .. } => Exit::Newer,
        _ => Exit::Problem,
    }
}

/// The exit code of a command; what failed goes to standard error.
pub(super) fn finish(program: &str, result: Result<Exit, Failure>) -> ExitCode {
    let exit = match &result {
        Ok(exit) => *exit,
        Err(failure) => {
            if !failure.is_hang_up() {
                tell(format_args!("{program}: {}", shown(&chain(failure))));
            }
            failure.exit()
        }
    };
    exit.into()
}

/// The exit code of a command that printed what it found. Whoever hung up before the end hears it too.
pub(super) fn after(printed: Result<(), Failure>, found: Exit) -> Result<Exit, Failure> {
    match printed {
        Err(failure) if !failure.is_hang_up() => Err(failure),
        _ => Ok(found),
    }
}

/// The exit code of a command that shows all of a palace. What it had to leave out is named: a file that is kept as a
/// copy must not lack anything without a word.
pub(super) fn lacking(palace: &Palace, what: &str) -> Exit {
    let unreadable = palace.unreadable();
    for path in &unreadable {
        let path = shown(&path.display().to_string());
        tell(format_args!(
            "{path} cannot be read: {what} lacks what only it holds; see crdt-log verify"
        ));
    }
    if unreadable.is_empty() { Exit::Done } else { Exit::Problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn exit_codes_are_found_through_every_wrapper() {
        let path = || PathBuf::from("/p");
        let none = || StoreError::NoPalace { path: path() };
        assert_eq!(Failure::from(Error::from(none())).exit(), Exit::NoPalace);
        assert_eq!(Failure::from(MemoryError::from(Error::from(none()))).exit(), Exit::NoPalace);
        let busy = StoreError::Busy { path: path(), holder: "x".to_owned() };
        assert_eq!(Failure::from(Error::from(busy)).exit(), Exit::Busy);
        let newer = StoreError::Newer { path: path(), found: 9 };
        assert_eq!(Failure::from(Error::from(newer)).exit(), Exit::Newer);
        assert_eq!(Failure::Output(ErrorKind::BrokenPipe.into()).exit(), Exit::Done);
        assert_eq!(Failure::Output(ErrorKind::StorageFull.into()).exit(), Exit::Problem);
    }
}
