//! The background threads of a palace, by their names.

/// The thread that compacts.
pub const COMPACTION: &str = "palace-compact";
/// The thread that puts buffered commits on disk.
pub const SYNC: &str = "palace-sync";

/// Whether this process, which may run other tests as well, has a thread of that name.
pub fn runs(thread: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // One that has ended in the meantime has no name.
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    tasks.filter_map(|task| name(task.unwrap())).any(|name| name.trim() == thread)
}
