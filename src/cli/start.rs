//! The start of every program: logging, the limit of open files, and the signal of the limit of file sizes.

use crate::format::controls::escape_lines;
use crate::fs::spare_descriptors::can_open;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::io::{self, Write};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The environment variable that sets what is logged, as in `debug` or `crdt_palace=debug`.
const LOG: &str = "CRDT_PALACE_LOG";

/// The default of [`LOG`]: warnings. `rmcp` would also log refused requests, which the client is told about, and
/// clients that went away, which need no reply.
const LOGGED: &str = "warn,rmcp::service=off";

/// The most descriptors that tokio opens to handle a signal.
const SIGNAL_DESCRIPTORS: usize = 8;

/// Sets up the process. Each program calls it first.
pub(super) fn set_up() {
    log_to_stderr();
    raise_open_files();
    if let Err(error) = survive_file_size_limit() {
        tracing::debug!(%error, "a write beyond the limit of file sizes will end this process");
    }
}

/// Makes a write beyond the limit of file sizes (`ulimit -f`) an error of that write. Otherwise SIGXFSZ ends the
/// process.
fn survive_file_size_limit() -> io::Result<()> {
    survive(SignalKind::from_raw(Signal::XFSZ.as_raw()))
}

/// Leaves Ctrl-C and Ctrl-\ to the program that this one has started, from now on.
#[cfg(feature = "mcp")]
pub(super) fn ignore_interrupts() {
    let ignored = survive(SignalKind::interrupt()).and_then(|()| survive(SignalKind::quit()));
    if let Err(error) = ignored {
        tracing::debug!(%error, "Ctrl-C will end this process too");
    }
}

/// Keeps a signal from ending this process.
///
/// tokio keeps its handler until the process ends, also without a runtime.
fn survive(kind: SignalKind) -> io::Result<()> {
    // tokio panics if the descriptors run out while it makes its own.
    can_open(SIGNAL_DESCRIPTORS)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    signal(kind).map(drop)
}

/// Raises the number of files that may be open to the most that this user may have.
///
/// Each segment takes one. Where locks cannot be trusted, every process that was killed leaves a segment behind, until
/// a user adopts it.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it was");
    }
}

/// Standard error, with the control characters of each event escaped: an event may name what a file or client holds.
struct EscapedStderr;

impl Write for EscapedStderr {
    /// Writes an event, which comes in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let event_text = escape_lines(&String::from_utf8_lossy(event));
        io::stderr().write_all(event_text.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Logs warnings, or what [`LOG`] asks for, to standard error.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| EscapedStderr)
        .with_ansi(false)
        // The subscriber would report a failed write to standard error, which is what failed, and then panic.
        .log_internal_errors(false)
        .init();
}
