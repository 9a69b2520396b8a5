//! One simulated disk, shared by its handles and processes.

use super::state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state that all handles and processes of one disk share.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Locks the state. Each call leaves it whole, so a panic of a test elsewhere does not spoil it.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        crate::sync::yield_point();
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimDisk") // the whole disk would drown any message
    }
}
