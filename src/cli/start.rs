//! The start of every program: logging, and the limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

/// The environment variable that sets what is logged, as in `debug` or `crdt_palace=debug`.
const LOG: &str = "CRDT_PALACE_LOG";

/// The default of [`LOG`]: warnings. `rmcp` would also log refused requests, which the client is told about, and
/// clients that went away, which need no reply.
const LOGGED: &str = "warn,rmcp::service=off";

/// Sets up the process. Each program calls it first.
pub(super) fn set_up() {
    log_to_stderr();
    raise_open_files();
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

/// Logs warnings, or what [`LOG`] asks for, to standard error.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // The subscriber would report a failed write to standard error, which is what failed, and then panic.
        .log_internal_errors(false)
        .init();
}
