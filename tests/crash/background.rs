//! What a palace does on threads of its own, and waiting for it.

use std::time::{Duration, Instant};

/// The thread that compacts.
pub const COMPACTION: &str = "palace-compact";
/// The thread that puts buffered commits on disk.
pub const SYNC: &str = "palace-sync";

/// The limit is for a run that has gone wrong.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never happens that {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether this process, which may run other tests as well, has a thread of that name.
pub fn runs(thread: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // One that has ended in the meantime has no name.
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    tasks.filter_map(|task| name(task.unwrap())).any(|name| name.trim() == thread)
}
