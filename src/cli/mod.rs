//! The command line: parse, call, print.
//!
//! Owns: arguments, exit codes, and what people and scripts see. Invariants: data goes to standard
//! output and everything else to standard error; stored text cannot move the cursor or change colours
//! of a terminal; one place, [`Failure`], turns an error into an exit code. Must not know: files.

pub mod compact;
#[cfg(feature = "mcp")]
pub mod demo;
pub mod log;
#[cfg(feature = "mcp")]
pub mod palace;

mod text;

use crate::palace::Error;
use crate::store::StoreError;
use std::io::{self, Write};
use std::process::ExitCode;

/// A problem was found, or something could not be done.
pub const PROBLEM: u8 = 1;
/// There is no palace where one was named.
pub const NO_PALACE: u8 = 10;
/// Somebody else is at it.
pub const BUSY: u8 = 11;
/// A newer version wrote the palace.
pub const NEWER: u8 = 12;

/// The exit codes, for `--help`.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 a problem was found, 2 usage, 10 no palace there, \
11 busy, 12 written by a newer version.";

/// Why a command ends with another code than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The library says so.
    #[error(transparent)]
    Palace(#[from] Error),
    /// The graph says so.
    #[error(transparent)]
    Memory(#[from] crate::memory::MemoryError),
    /// Reading the input or writing the output failed.
    #[error("cannot read or write")]
    Io(#[from] io::Error),
    /// Something that was asked for cannot be.
    #[error("{0}")]
    Other(String),
    /// Everything was said already.
    #[error("a problem was found")]
    Found,
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Palace(error) | Failure::Memory(crate::memory::MemoryError::Palace(error)) => {
                palace_code(error)
            }
            _ => PROBLEM,
        }
    }

    /// Whether whoever reads our output has read enough.
    fn is_closed_pipe(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

fn palace_code(error: &Error) -> u8 {
    match error {
        Error::Store(StoreError::NoPalace { .. } | StoreError::NotAPalace { .. }) => NO_PALACE,
        Error::Store(StoreError::Busy { .. }) => BUSY,
        Error::Store(StoreError::Newer { .. }) => NEWER,
        Error::Snapshot(crate::snapshot::SnapshotError::Newer { .. }) => NEWER,
        _ => PROBLEM,
    }
}

/// Runs a command, reports its failure, and gives its exit code.
fn run(program: &str, command: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CRDT_PALACE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Found) => ExitCode::from(PROBLEM),
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.code();
            let message = text::printable(&text::chain(&failure));
            // If standard error is gone too there is nobody left to tell; the exit code still says it.
            if writeln!(io::stderr(), "{program}: {message}").is_err() {
                return ExitCode::from(code);
            }
            ExitCode::from(code)
        }
    }
}

/// One line of JSON.
fn json_line(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
