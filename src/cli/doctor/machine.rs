//! What the machine has to give: events of the file system.

use super::Check;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::path::Path;

/// How many watches a server holds: one for each directory that it follows.
const WATCHES: u32 = 3;

/// Asks for one more watcher, as a server would, and lets go of it. Past a limit nothing is lost: servers
/// look once a second.
pub(super) fn events(place: &Path) -> Check {
    const CHECK: &str = "events";
    let limits = format!(
        "a server takes 1 of {} inotify instances and {WATCHES} of {} watches of this user",
        limit("max_user_instances"),
        limit("max_user_watches")
    );
    match try_watch(place) {
        Ok(()) => Check::ok(CHECK, limits),
        Err(Errno::MFILE) => past("instances", "max_user_instances=1024"),
        Err(Errno::NOSPC) => past("watches", "max_user_watches=524288"),
        Err(error) => Check::note(
            CHECK,
            format!(
                "none are to be had ({error}): changes by other processes are noticed once a second"
            ),
            "nothing, if a second is soon enough",
        ),
    }
}

fn try_watch(place: &Path) -> Result<(), Errno> {
    let events = inotify::init(CreateFlags::CLOEXEC)?;
    inotify::add_watch(&events, place, WatchFlags::CREATE).map(drop)
}

fn past(what: &str, setting: &str) -> Check {
    Check::note(
        "events",
        format!(
            "this user's inotify {what} are used up: changes by other processes are noticed once a \
             second, not at once"
        ),
        format!("sudo sysctl fs.inotify.{setting}"),
    )
}

fn limit(name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}"));
    text.map_or_else(|_| "an unknown number of".to_owned(), |text| text.trim().to_owned())
}
