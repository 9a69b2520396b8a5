//! What a process does when files of its palace went back to an older state.
//!
//! Invariant: what is gone is dropped from memory before anything else is read or written. The process goes on under a new
//! instance, because the old numbers are taken in files that a person may bring back.

use super::shared::{Palace, Shared};
use super::unsynced::UnsyncedDependencies;
use crate::palace::error::{Error, Result};
use crate::palace::view::directory::Directory;
use crate::palace::view::went_back::{KnownCommits, WentBack, newest_ms};
use crate::store::StoreError;
use crate::sync::atomic::Ordering;

/// Times that all files are read again in one rescan. A person cannot outrun that for long: if it is not enough, the file
/// system shows one content and then another.
const ROUNDS_MAX: usize = 8;

impl Palace {
    /// Returns what is known of the last time that the palace went back to an older state under this process; `None` if
    /// it did not.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"n": 1}))?;
    /// for file in std::fs::read_dir(palace.path().join("open"))? {
    ///     std::fs::remove_file(file?.path())?;
    /// }
    /// palace.put("b", &json!({"n": 1}))?; // this one stands
    /// assert_eq!(palace.get("a")?, None);
    /// assert_eq!(palace.went_back().ok_or("a is gone")?.commits, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn went_back(&self) -> Option<WentBack> {
        self.shared.noticed.lock().last
    }
}

impl Shared {
    /// Rescans until what is known is of the present files.
    ///
    /// # Errors
    /// An error of the operating system. What is to be compared is kept for the next rescan.
    /// [`StoreError::WentBack`] if files go back each time that they are read.
    pub fn rescan_files(&self, directory: &mut Directory) -> Result<()> {
        directory.rescan()?;
        // It may go back again meanwhile.
        for _ in 0..ROUNDS_MAX {
            if !directory.went_back {
                self.tell_if_possible(directory);
                return Ok(());
            }
            self.begin_again(directory);
            directory.rescan()?;
        }
        Err(StoreError::WentBack { path: self.root.path().to_owned() }.into())
    }

    /// Keeps what is known of a state that is gone, to be compared with the one that the next rescan finds.
    pub fn note_known(&self, directory: &mut Directory) {
        // If a log is damaged, less is told; what is gone is dropped all the same.
        let known = KnownCommits::of(&directory.view(), &self.log).unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether the palace went back");
            KnownCommits::default()
        });
        self.noticed.lock().known.get_or_insert_default().extend(known);
    }

    fn begin_again(&self, directory: &mut Directory) {
        let path = self.root.path().to_owned();
        self.note_known(directory);
        self.log.abandon(StoreError::WentBack { path });
        directory.begin_again(self.root.clone());
        *self.unsynced.lock() = UnsyncedDependencies::default();
        self.epoch.store(directory.epoch, Ordering::SeqCst);
    }

    /// What is gone is dropped in any case, so that a failure to tell it fails no read.
    fn tell_if_possible(&self, directory: &mut Directory) {
        let Err(error) = self.tell(directory) else { return };
        tracing::warn!(%error, "it is not known by how much the palace went back");
        // Otherwise the next rescan tries it again.
        if matches!(&error, Error::Snapshot(error) if error.is_of_the_file()) {
            self.noticed.lock().known = None;
        }
    }

    /// Compares what was known with what is left. A file that was only renamed is no loss.
    fn tell(&self, directory: &mut Directory) -> Result<()> {
        let Some(known) = self.noticed.lock().known.clone() else { return Ok(()) };
        let view = directory.view();
        let commits = known.beyond(&KnownCommits::of(&view, &self.log)?);
        let newest_ms = newest_ms(&view)?;
        let mut noticed = self.noticed.lock();
        noticed.known = None;
        if commits > 0 {
            let back = WentBack { noticed_ms: self.root.fs().now_ms(), commits, newest_ms };
            let path = self.root.path().display();
            tracing::warn!(%path, ?back, "the palace went back to an older state");
            noticed.last = Some(back);
        }
        Ok(())
    }
}
