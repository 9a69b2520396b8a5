//! Changes of names in directories, as the kernel reports them (inotify).
//!
//! Invariant: every name that was added, moved or removed by a system call that returned before
//! [`NameEvents::take`] was called is reported by it. The kernel queues the event within that call, and
//! reports an overflow of the queue. Changes that other machines make on a shared disk are not reported.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A queue of changes of names. It is one of the user's inotify instances, of which Linux allows 128 by
/// default.
///
/// ```
/// use crdt_palace::fs::name_events::NameEvents;
///
/// # let dir = tempfile::tempdir()?;
/// let events = NameEvents::of(&[dir.path().to_owned()])?;
/// assert!(!events.take()?);
/// std::fs::write(dir.path().join("new"), "")?;
/// assert!(events.take()?);
/// assert!(!events.take()?); // it was told
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct NameEvents(OwnedFd);

impl NameEvents {
    /// Begins to watch these directories.
    ///
    /// # Errors
    /// An error of the operating system: `NotFound`, or the user has no inotify instances or watches
    /// left.
    pub fn of(directories: &[PathBuf]) -> io::Result<NameEvents> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let names = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        let the_directory = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        for directory in directories {
            inotify::add_watch(&queue, directory, names | the_directory)?;
        }
        Ok(NameEvents(queue))
    }

    /// Returns true if a name changed since the last call, or may have changed.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn take(&self) -> io::Result<bool> {
        let mut events = [0; 4096];
        let mut any = false;
        loop {
            match rustix::io::read(&self.0, &mut events) {
                // The events themselves do not matter: the caller lists the directories.
                Ok(_) => any = true,
                Err(Errno::AGAIN) => return Ok(any),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_change_of_a_name_is_reported_once() {
        let dir = tempfile::tempdir().unwrap();
        let [open, sealed, tmp] = ["open", "sealed", "tmp"].map(|name| dir.path().join(name));
        for path in [&open, &sealed, &tmp] {
            fs::create_dir(path).unwrap();
        }
        let events = NameEvents::of(&[open.clone(), sealed.clone()]).unwrap();
        let mut seen = Vec::new();
        let mut step = |what: &'static str, result: io::Result<()>| {
            result.unwrap();
            seen.push((what, events.take().unwrap(), events.take().unwrap()));
        };
        step("a file elsewhere", fs::write(tmp.join("a"), "x"));
        step("moved in", fs::rename(tmp.join("a"), open.join("a")));
        step("written to", fs::write(open.join("a"), "longer"));
        step("moved on", fs::rename(open.join("a"), sealed.join("a")));
        step("linked", fs::hard_link(sealed.join("a"), open.join("b")));
        step("taken away", fs::remove_file(open.join("b")));
        step("moved out", fs::rename(sealed.join("a"), tmp.join("a")));
        step("the directory gone", fs::remove_dir(&sealed));
        let expected = [
            ("a file elsewhere", false, false),
            ("moved in", true, false),
            ("written to", false, false),
            ("moved on", true, false),
            ("linked", true, false),
            ("taken away", true, false),
            ("moved out", true, false),
            ("the directory gone", true, false),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn overflowing_inotify_queue_reports_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let events = NameEvents::of(&[dir.path().to_owned()]).unwrap();
        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let file = dir.path().join("name");
        for _ in 0..most.trim().parse::<usize>().unwrap() {
            fs::write(&file, "").unwrap();
            fs::remove_file(&file).unwrap();
        }
        assert!(events.take().unwrap() && !events.take().unwrap());
    }
}
