//! Remembers the damage that reads of an open snapshot met.
//!
//! Invariant: each error of damage that a read returned is in here, up to a bound, so that what a caller was refused is
//! told by everything that tells of problems.

use super::error::SnapshotError;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most problems that are remembered.
const REMEMBERED: usize = 100;

/// The texts of the errors, each once.
#[derive(Debug, Default)]
pub(super) struct MetDamage(Mutex<BTreeSet<String>>);

impl MetDamage {
    /// Remembers an error if it is damage.
    pub(super) fn note(&self, error: &SnapshotError) {
        if !matches!(error, SnapshotError::Damaged { .. }) {
            return;
        }
        let mut met = self.met();
        if met.len() < REMEMBERED {
            met.insert(error.to_string());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.met().is_empty()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.met().iter().cloned().collect()
    }

    fn met(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
