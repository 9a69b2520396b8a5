//! The check of a limit of the machine: file system events.

use super::check::Check;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::path::Path;

/// The number of watches that a server holds: one for each directory that it follows.
const WATCHES: u32 = 3;

/// Asks for one more watcher, as a server would, and drops it again. Past a limit nothing is lost: servers rescan once
/// a second.
pub(super) fn events(directory: &Path) -> Check {
    const CHECK: &str = "events";
    let limits = format!(
        "a server needs 1 of {} inotify instances and {WATCHES} of {} watches of this user",
        limit("max_user_instances"),
        limit("max_user_watches")
    );
    match try_watch(directory) {
        Ok(()) => Check::ok(CHECK, limits),
        Err(Errno::MFILE) => past("instances", "max_user_instances=1024"),
        Err(Errno::NOSPC) => past("watches", "max_user_watches=524288"),
        Err(error) => Check::note(
            CHECK,
            format!("not available ({error}): changes of other processes are seen once a second"),
            "nothing, if once a second is often enough",
        ),
    }
}

fn try_watch(directory: &Path) -> Result<(), Errno> {
    let events = inotify::init(CreateFlags::CLOEXEC)?;
    inotify::add_watch(&events, directory, WatchFlags::CREATE).map(drop)
}

fn past(what: &str, setting: &str) -> Check {
    Check::note(
        "events",
        format!(
            "this user has no inotify {what} left: changes of other processes are seen once a second, not at once"
        ),
        format!("sudo sysctl fs.inotify.{setting}"),
    )
}

fn limit(name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}"));
    text.map_or_else(|_| "an unknown number of".to_owned(), |text| text.trim().to_owned())
}
