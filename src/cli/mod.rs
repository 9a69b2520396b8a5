//! The command-line tools: parse, call, print.
//!
//! Invariants: data goes to standard output, everything else to standard error; exit codes are those
//! of [`report::Exit`]; text that somebody stored reaches a terminal only with its control characters
//! escaped; a reader that goes away (`| head`) ends a command quietly.

pub mod compact;
#[cfg(feature = "mcp")]
mod demo;
#[cfg(feature = "mcp")]
mod doctor;
#[cfg(feature = "mcp")]
mod import;
#[cfg(feature = "mcp")]
mod install;
pub mod log;
#[cfg(feature = "mcp")]
pub mod palace;
mod print;
pub mod report;
#[cfg(feature = "mcp")]
mod serve;
mod status;

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as in `debug` or `crdt_palace=debug`.
const LOG: &str = "CRDT_PALACE_LOG";

/// What is logged otherwise: warnings. Of requests that were refused the client is told, and a client that
/// went away needs no reply: neither is news for the log.
const LOGGED: &str = "warn,rmcp::service=off";

/// Logs warnings, or what the variable asks for, to standard error.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
