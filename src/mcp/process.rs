//! The process around a server: its threads, and the signals that end it.

use super::error::{OrCannot, ServeError};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Starts the threads of a server.
pub(super) fn runtime() -> Result<Runtime, ServeError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().or_cannot("start the server's threads")
}

/// Leaves the threads of a server to the end of the process. One may sit in a read of standard input for ever, so they
/// are not waited for. They are not told to end either: tokio detaches a thread that it does not wait for, and glibc
/// (2.36 and others) reads the thread's memory once more after that. If the thread ends just then, its memory is gone.
pub(super) fn leave(runtime: Runtime) {
    std::mem::forget(runtime);
}

/// Signals that ask a process to end.
pub(super) struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    pub fn listen() -> Result<Self, ServeError> {
        let terminate = signal(SignalKind::terminate()).or_cannot("listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).or_cannot("listen for SIGINT")?;
        Ok(EndSignals { terminate, interrupt })
    }

    /// Waits for SIGTERM or SIGINT.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
