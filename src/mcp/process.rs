//! The process around a server: its event loop, and the signals that end it.

use super::error::{OrCannot, ServeError};
use crate::fs::spare_descriptors::can_open;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The most descriptors that an event loop opens for itself and for signals.
const LOOP_DESCRIPTORS: usize = 12;

/// Makes the event loop of a server. It runs on the thread that calls it, so that a server starts where no other thread
/// can be had.
pub(super) fn runtime() -> Result<Runtime, ServeError> {
    // tokio panics if it cannot open those for signals.
    can_open(LOOP_DESCRIPTORS).or_cannot("start the server's event loop")?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().or_cannot("start the server's event loop")
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
