//! Finds the process that holds the exclusive flock of a file, as the kernel tells in `/proc`.
//!
//! For people only: nothing is decided by a process id.

use super::Stat;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// A process that holds a lock.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("lock");
/// let file = OsFs.open_lock(&path)?;
/// assert!(OsFs.open(&path)?.lock_owner()?.is_none());
/// assert!(file.try_lock()?);
/// // The system may not tell, as in a container without /proc.
/// if let Some(owner) = OsFs.open(&path)?.lock_owner()? {
///     assert_eq!((owner.pid, owner.stopped), (std::process::id(), false));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockOwner {
    /// Its id, as this process sees it.
    pub pid: u32,
    /// The name of its program, as the kernel has it: at most 15 bytes.
    pub program: String,
    /// True if a signal or a debugger stopped it. Then it holds the lock until it goes on or ends.
    pub stopped: bool,
}

impl LockOwner {
    /// Returns the command that lets a stopped process go on; `None` if it is not stopped.
    #[must_use]
    pub(crate) fn remedy(&self) -> Option<String> {
        self.stopped.then(|| format!("kill -CONT {}", self.pid))
    }
}

/// Names the process and its program, and says what to do if it is stopped.
impl Display for LockOwner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} {}", self.pid, self.program)?;
        match self.remedy() {
            Some(command) => write!(f, ", which is stopped: {command} lets it go on"),
            None => Ok(()),
        }
    }
}

/// Returns the process that holds the exclusive flock of a file; `None` if none does, or the system does not tell.
pub(super) fn lock_owner(file: &Stat) -> io::Result<Option<LockOwner>> {
    let locks = match fs::read_to_string("/proc/locks") {
        Ok(locks) => locks,
        // A container may have no /proc, or may not show this.
        Err(error) if is_hidden(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let pids = locks.lines().filter_map(exclusive_flock).filter(|(_, ino)| *ino == file.ino);
    for (pid, _) in pids {
        if has_open(pid, file)
            && let Some(owner) = process(pid)
        {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

fn is_hidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// Reads a line such as `1: FLOCK  ADVISORY  WRITE 4242 fd:01:1234 0 EOF`: the process and the inode.
fn exclusive_flock(line: &str) -> Option<(u32, u64)> {
    let mut fields = line.split_whitespace().skip(1);
    let is_exclusive =
        (fields.next()?, fields.next()?, fields.next()?) == ("FLOCK", "ADVISORY", "WRITE");
    let (pid, file) = (fields.next()?, fields.next()?);
    is_exclusive.then_some((pid.parse().ok()?, file.rsplit(':').next()?.parse().ok()?))
}

/// Tells whether a process has the file open. The devices of `/proc/locks` are not those of `stat` on every file system.
fn has_open(pid: u32, file: &Stat) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|entry| {
        fs::metadata(entry.path()).is_ok_and(|it| (it.dev(), it.ino()) == (file.dev, file.ino))
    })
}

/// Returns what the kernel says of a process; `None` if it has ended.
fn process(pid: u32) -> Option<LockOwner> {
    // It may have ended, which is no failure.
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let (program, state) = name_and_state(&String::from_utf8_lossy(&stat))?;
    Some(LockOwner { pid, program, stopped: matches!(state, 'T' | 't') })
}

/// Reads the beginning of `/proc/PID/stat`: `4242 (a (b) c) T …`.
fn name_and_state(stat: &str) -> Option<(String, char)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    Some((name.to_owned(), after.trim_start().chars().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exclusive_flocks_count() {
        for (line, expected) in [
            ("1: FLOCK  ADVISORY  WRITE 4242 fd:01:1234 0 EOF", Some((4242, 1234))),
            ("2: FLOCK  ADVISORY  READ  4242 fd:01:1234 0 EOF", None),
            ("3: POSIX  ADVISORY  WRITE 4242 fd:01:1234 0 EOF", None),
            ("4: OFDLCK ADVISORY  WRITE -1 fd:01:1234 0 EOF", None),
            ("1: -> FLOCK  ADVISORY  WRITE 4242 fd:01:1234 0 EOF", None),
            ("", None),
        ] {
            assert_eq!(exclusive_flock(line), expected, "{line}");
        }
    }

    #[test]
    fn program_names_with_brackets_and_blanks_are_read() {
        assert_eq!(name_and_state("7 (a) b) T 1 2"), Some(("a) b".to_owned(), 'T')));
        assert_eq!(name_and_state("7 (sleep) S 1 2"), Some(("sleep".to_owned(), 'S')));
        assert_eq!(name_and_state("nothing"), None);
    }

    #[test]
    fn stopped_owner_is_named_with_the_command_that_helps() {
        let mut owner = LockOwner { pid: 7, program: "a".to_owned(), stopped: false };
        assert_eq!((owner.to_string(), owner.remedy()), ("pid 7 a".to_owned(), None));
        owner.stopped = true;
        let expected = "pid 7 a, which is stopped: kill -CONT 7 lets it go on";
        assert_eq!(owner.to_string(), expected);
    }
}
