//! Threads for work that no caller waits for.

use std::thread::JoinHandle;

/// Runs something on a thread of its own. Returns `None` if no thread can be had; then it is left undone. All such work is
/// noticed and tried again by the next commit.
pub fn background(name: &str, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    // A scheduler of tests knows only the threads that it started.
    if cfg!(feature = "shuttle") {
        return None;
    }
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.inspect_err(|error| tracing::warn!(%error, name, "cannot start a thread")).ok()
}
