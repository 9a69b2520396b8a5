//! When a rescan need not list the directories again.
//!
//! Invariant: a listing is spared only if the kernel says that no name changed since the last one that
//! was complete, never because a time stamp looks unchanged; and none is spared for longer than
//! [`TRUST_MS`], so that whatever a file system may keep from the kernel is found by then. Only a process
//! that looks very often asks the kernel: others would gain nothing, and a user has few inotify instances.

use super::own_segments::OwnSegments;
use super::root::Root;
use crate::format::filename::{OPEN, SEALED, SNAP};
use crate::fs::name_events::NameEvents;

/// So many rescans in a row ...
const STREAK: u32 = 256;
/// ... each so soon after the one before, in milliseconds, make it worth while to ask the kernel.
const SOON_MS: i64 = 20;
/// A pause of this length, in milliseconds, ends that.
const PAUSE_MS: i64 = 1_000;
/// The directories are listed at least this often, in milliseconds.
const TRUST_MS: i64 = 1_000;

/// What is known of the names in `open/`, `sealed/` and `snap/`.
#[derive(Debug, Default)]
pub struct DirectoryWatch {
    events: Option<NameEvents>,
    /// Whether the last rescan found all that there was.
    complete: bool,
    /// How many times this process had given up segments of its own: it finds them by a listing.
    abandon_count: u64,
    streak: u32,
    looked_ms: i64,
    listed_ms: i64,
}

impl DirectoryWatch {
    /// Whether the names are the same as at the last rescan. Asked once, before each; the rescan says by
    /// [`DirectoryWatch::confirm`] that it succeeded.
    pub fn unchanged(&mut self, root: &Root, own: &OwnSegments) -> bool {
        let now_ms = root.fs().now_ms();
        self.note_pace(now_ms);
        let abandon_count = std::mem::replace(&mut self.abandon_count, own.abandon_count());
        let complete =
            std::mem::replace(&mut self.complete, false) && abandon_count == self.abandon_count;
        let trusted = (0..TRUST_MS).contains(&(now_ms - self.listed_ms));
        // Asked first: what is told now is answered by the listing that follows.
        let quiet = self.is_quiet();
        if quiet && complete && trusted {
            return true;
        }
        if self.events.is_none() && self.streak == STREAK {
            self.events = begin(root);
        }
        self.listed_ms = now_ms;
        false
    }

    /// The rescan that was begun has found everything.
    pub fn confirm(&mut self) {
        self.complete = true;
    }

    fn note_pace(&mut self, now_ms: i64) {
        let gap = now_ms - self.looked_ms;
        self.looked_ms = now_ms;
        self.streak = if (0..SOON_MS).contains(&gap) { self.streak.saturating_add(1) } else { 0 };
        if !(0..PAUSE_MS).contains(&gap) {
            self.events = None;
        }
    }

    fn is_quiet(&mut self) -> bool {
        match self.events.as_ref().map(NameEvents::take) {
            Some(Ok(any)) => !any,
            None => false,
            Some(Err(error)) => {
                tracing::debug!(%error, "the kernel's delta of names cannot be read");
                self.events = None;
                false
            }
        }
    }
}

/// Without it every rescan lists, as it does where another machine may write: where locks cannot be
/// trusted.
fn begin(root: &Root) -> Option<NameEvents> {
    if !root.lock_trusted().is_ok_and(|trusted| trusted) {
        return None;
    }
    let directories = [OPEN, SEALED, SNAP].map(|directory| root.path().join(directory));
    match root.fs().name_events(&directories) {
        Ok(events) => events,
        Err(error) => {
            tracing::debug!(%error, "the kernel cannot be asked for delta of names");
            None
        }
    }
}
