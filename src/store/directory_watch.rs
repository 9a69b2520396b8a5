//! Decides whether a rescan may skip the listing of directories.
//!
//! Invariant: a listing is skipped only if the kernel reports that no name changed since the last
//! complete one, never because a time stamp looks unchanged. None is skipped for longer than
//! [`TRUST_MS`], so that changes which a file system hides from the kernel are found by then. Only a
//! process that rescans very often asks the kernel. Others would gain nothing, and a user has few inotify
//! instances.

use super::own_segments::OwnSegments;
use super::root::Root;
use crate::format::filename::{OPEN, SEALED, SNAP};
use crate::fs::name_events::NameEvents;

/// The number of rescans in quick succession after which it pays to ask the kernel.
const STREAK: u32 = 256;
/// The longest pause between two rescans in quick succession, in milliseconds.
const SOON_MS: i64 = 20;
/// The pause after which this process stops asking the kernel, in milliseconds.
const PAUSE_MS: i64 = 1_000;
/// The longest time without a listing, in milliseconds.
const TRUST_MS: i64 = 1_000;

/// The state of the names in `open/`, `sealed/` and `snap/`.
#[derive(Debug, Default)]
pub struct DirectoryWatch {
    events: Option<NameEvents>,
    /// True if the last rescan found all that there was.
    complete: bool,
    /// The number of times that this process had abandoned segments of its own, which it finds by a
    /// listing.
    abandon_count: u64,
    streak: u32,
    looked_ms: i64,
    listed_ms: i64,
}

impl DirectoryWatch {
    /// Returns true if the names are the same as at the last rescan. To be asked once before each rescan,
    /// which reports its success by [`DirectoryWatch::confirm`].
    pub fn unchanged(&mut self, root: &Root, own: &OwnSegments) -> bool {
        let now_ms = root.fs().now_ms();
        self.note_pace(now_ms);
        let abandon_count = std::mem::replace(&mut self.abandon_count, own.abandon_count());
        // Reset before the rescan: after one that fails, the next has to list.
        let complete =
            std::mem::replace(&mut self.complete, false) && abandon_count == self.abandon_count;
        let trusted = (0..TRUST_MS).contains(&(now_ms - self.listed_ms));
        // Asked before the listing, so that the listing covers every change that is reported now.
        let quiet = self.is_quiet();
        if quiet && complete && trusted {
            return true;
        }
        // Once in a streak: if it fails, it is not tried in every rescan.
        if self.events.is_none() && self.streak == STREAK {
            self.events = begin(root);
        }
        self.listed_ms = now_ms;
        false
    }

    /// Notes that the rescan found everything.
    pub fn confirm(&mut self) {
        self.complete = true;
    }

    fn note_pace(&mut self, now_ms: i64) {
        let gap = now_ms - self.looked_ms;
        self.looked_ms = now_ms;
        // A clock that was set back makes the gap negative, which ends the streak.
        self.streak = if (0..SOON_MS).contains(&gap) { self.streak.saturating_add(1) } else { 0 };
        // A process that rescans seldom gives its inotify instance back.
        if !(0..PAUSE_MS).contains(&gap) {
            self.events = None;
        }
    }

    fn is_quiet(&mut self) -> bool {
        match self.events.as_ref().map(NameEvents::take) {
            Some(Ok(any)) => !any,
            None => false,
            Some(Err(error)) => {
                tracing::debug!(%error, "changes of names cannot be read: every rescan lists");
                self.events = None;
                false
            }
        }
    }
}

/// Begins to watch the directories. Without a watch every rescan lists; so it does where locks cannot be
/// trusted, because another machine may write there, and the kernel does not report that.
fn begin(root: &Root) -> Option<NameEvents> {
    if !root.lock_trusted().is_ok_and(|trusted| trusted) {
        return None;
    }
    let directories = [OPEN, SEALED, SNAP].map(|directory| root.path().join(directory));
    match root.fs().name_events(&directories) {
        Ok(events) => events,
        Err(error) => {
            tracing::debug!(%error, "changes of names cannot be watched: every rescan lists");
            None
        }
    }
}
