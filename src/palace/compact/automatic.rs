//! Automatic compaction: an open palace compacts on a thread of its own, when a commit finds it due.
//!
//! Invariant: at most one step is under way, and none once the palace is closed. Closing waits for the step. If it cut
//! the step off, a palace that only short-lived programs write would never be compacted.

use super::pace::Pace;
use super::policy;
use super::report::{CompactOptions, CompactReport};
use super::steps::compact;
use crate::palace::background::background;
use crate::palace::error::Error;
use crate::store::StoreError;
use crate::store::rescan::Backlog;
use crate::store::root::Root;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const BUSY: Duration = Duration::from_millis(policy::BUSY_MS.unsigned_abs());

/// See the module.
#[derive(Debug)]
pub struct Automatic {
    root: Arc<Root>,
    program: String,
    progress: Arc<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// State that the thread and its palace share.
#[derive(Debug, Default)]
struct Progress {
    state: Mutex<State>,
    closing: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    closed: bool,
    /// The backlog when compaction was last found due.
    tried: Backlog,
}

impl Automatic {
    pub fn new(root: Arc<Root>, program: String) -> Self {
        Automatic { root, program, progress: Arc::default(), thread: Mutex::default() }
    }

    /// Starts a step if it is due and none is under way. Does nothing if the backlog is still that of the last attempt:
    /// some inputs must stay where they are, and most segments in `open/` belong to live processes.
    pub fn start_if_due(&self, backlog: Backlog) {
        if !policy::due(backlog, self.root.fs().now_ms()) {
            return;
        }
        let mut state = self.progress.state();
        let tried = std::mem::replace(&mut state.tried, backlog);
        if tried == backlog || state.running || state.closed {
            return;
        }
        let (root, program) = (self.root.clone(), self.program.clone());
        let (progress, urgent) = (self.progress.clone(), policy::overdue(backlog));
        let started = background("palace-compact", move || {
            while progress.goes_on_after(step(&root, &program, urgent), urgent) {}
        });
        match &started {
            Some(_) => state.running = true,
            // Otherwise the next commit would take this for an attempt.
            None => state.tried = Backlog::default(),
        }
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = started;
    }

    /// Starts no other step from now on, and waits for the one that is under way.
    pub fn close(&self) {
        self.progress.state().closed = true;
        self.progress.closing.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that compacts panicked; nothing was lost");
        }
    }
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is time for another step. Returns false if this thread makes none.
    fn goes_on_after(&self, done: Done, urgent: bool) -> bool {
        let mut state = self.state();
        // A thread cannot take its priority back: the next commit starts another.
        let late = !urgent && policy::overdue(state.tried);
        if late {
            state.tried = Backlog::default();
        }
        if done == Done::All && !late {
            // Commits of this time make the next step larger, unless a process finds so many due before. After the last
            // commit, the rest is compacted as well.
            let waited = self.closing.wait_timeout_while(state, BUSY, |state| !state.closed);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.running = done != Done::Nothing && !late && !state.closed;
        state.running
    }
}

/// Result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// Nothing, or it failed.
    Nothing,
    /// As much as a step may; there is more.
    Bounded,
    /// All there was.
    All,
}

fn step(root: &Root, program: &str, urgent: bool) -> Done {
    let pace = if urgent { Pace::brisk() } else { Pace::gentle() };
    if !urgent {
        root.fs().yield_to_others();
    }
    let step = || match compact(root, program, CompactOptions::default(), pace) {
        Ok(CompactReport { published: None, .. }) => Done::Nothing,
        Ok(report) if report.more => Done::Bounded,
        Ok(_) => Done::All,
        // Another process compacts, which is as good.
        Err(Error::Store(StoreError::Busy { .. })) => Done::Nothing,
        Err(error) => {
            tracing::warn!(%error, "compaction failed; nothing was lost, and it will be tried again");
            Done::Nothing
        }
    };
    // A panic is a bug, here or in the logger of the embedding program, and was reported like every panic. After it,
    // this process must not seem to compact for ever.
    catch_unwind(AssertUnwindSafe(step)).unwrap_or(Done::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palace::Palace;

    #[test]
    fn nothing_is_started_once_the_palace_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let palace = Palace::open(dir.path().join("palace")).unwrap();
        let automatic = palace.shared.automatic.as_ref().unwrap();
        let due = |segments| Backlog { segments, ..Backlog::default() };
        let is_there = || automatic.thread.lock().unwrap().is_some();
        automatic.start_if_due(due(1000));
        assert!(is_there());
        palace.close().unwrap();
        assert!(!is_there());
        automatic.start_if_due(due(2000));
        assert!(!is_there() && !automatic.progress.state().running);
    }
}
