//! The command-line tools: parse, call, print.
//!
//! Invariants: data goes to standard output, everything else to standard error; exit codes are those
//! of [`exit::Exit`]; text that somebody stored reaches a terminal only with its control characters
//! escaped; a reader that goes away (`| head`) ends a command quietly.

pub mod compact;
#[cfg(feature = "mcp")]
mod demo;
#[cfg(feature = "mcp")]
mod doctor;
pub mod exit;
#[cfg(feature = "mcp")]
mod import;
#[cfg(feature = "mcp")]
mod install;
pub mod log;
#[cfg(feature = "mcp")]
pub mod palace;
mod print;
#[cfg(feature = "mcp")]
mod serve;
mod status;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as in `debug` or `crdt_palace=debug`.
const LOG: &str = "CRDT_PALACE_LOG";

/// What is logged otherwise: warnings. Of requests that were refused the client is told, and a client that
/// went away needs no reply: neither is news for the log.
const LOGGED: &str = "warn,rmcp::service=off";

/// What each program does first.
fn set_up() {
    log_to_stderr();
    raise_handles();
}

/// Allows as many open files as this user may have. Each segment takes one, and where locks say nothing about who lives
/// there is one for every process that was killed, until a person adopts them.
fn raise_handles() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "no more files can be open than before");
    }
}

/// Logs warnings, or what the variable asks for, to standard error.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // It would be told on standard error, which is what fails, and a failure of that is a panic.
        .log_internal_errors(false)
        .init();
}
