//! Waiting for changes.
//!
//! Invariant: events of the file system are hints. With them, a change is known at once. Without them (another machine's
//! writes, a full queue, the limit on watchers), the rescan once a second finds it all the same.

use super::feed::{COMMITS_MAX, CommitInfo, Cursor};
use crate::format::filename::{OPEN, SEALED, SNAP};
use crate::format::key::Key;
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// The time between two rescans of a watch without events.
pub const POLL: Duration = Duration::from_secs(1);

/// Waits for changes of documents whose keys start with a prefix. See [`Palace::watch`].
///
/// ```
/// use std::time::Duration;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let mut watch = palace.watch("notes/")?;
/// assert!(watch.next(Duration::ZERO)?.is_empty());
/// for key in ["notes/a", "notes/b", "plans/a"] {
///     palace.put(key, &json!({"n": 1}))?;
/// }
/// let changed = watch.next(Duration::from_secs(60))?;
/// assert_eq!(changed.iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["notes/a", "notes/b"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    palace: Palace,
    prefix: String,
    cursor: Cursor,
    hints: Receiver<()>,
    sender: SyncSender<()>,
    watcher: Option<RecommendedWatcher>,
}

impl Palace {
    /// Starts to watch for changes of documents whose keys start with `prefix`, from now on, by any
    /// process.
    ///
    /// ```
    /// use crdt_palace::palace::Palace;
    /// use serde_json::json;
    /// use std::time::Duration;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let (here, there) = (Palace::open(dir.path())?, Palace::open(dir.path())?);
    /// let mut watch = here.watch("notes/")?;
    /// there.put("notes/plan", &json!({"title": "Plan"}))?;
    /// let changed = watch.next(Duration::from_secs(60))?;
    /// assert_eq!(changed.iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["notes/plan"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::changes_since`]. Without events of the file system there is no error: it rescans every [`POLL`].
    pub fn watch(&self, prefix: &str) -> Result<Watch> {
        let mut watch = self.watch_from(Cursor::default());
        watch.prefix = prefix.to_owned();
        watch.cursor = self.cursor_now()?;
        Ok(watch)
    }

    /// Starts to watch for the commits that a cursor has not seen.
    pub(crate) fn watch_from(&self, cursor: Cursor) -> Watch {
        // One waiting hint is as good as many.
        let (sender, hints) = sync_channel(1);
        let mut watch = Watch {
            palace: self.clone(),
            prefix: String::new(),
            cursor,
            hints,
            sender,
            watcher: None,
        };
        // Events first, then the cursor: a change between the two is seen by one of them.
        watch.listen();
        watch
    }
}

impl Watch {
    /// Returns the keys that changed since the last call, as soon as there are any; none if none did within `timeout`.
    ///
    /// # Errors
    /// As [`Palace::changes_since`].
    pub fn next(&mut self, timeout: Duration) -> Result<BTreeSet<Key>> {
        let deadline = Instant::now() + timeout;
        loop {
            let prefix = self.prefix.clone();
            let keys = self.next_commits(deadline.saturating_duration_since(Instant::now()))?;
            let keys = keys.into_iter().flat_map(|commit| commit.keys);
            let changed: BTreeSet<Key> =
                keys.filter(|key| key.as_str().starts_with(&prefix)).collect();
            if !changed.is_empty() || deadline <= Instant::now() {
                return Ok(changed);
            }
        }
    }

    /// Returns the commits since the last call, as soon as there are any; none if none came within `timeout`.
    ///
    /// # Errors
    /// As [`Palace::changes_since`].
    pub(crate) fn next_commits(&mut self, timeout: Duration) -> Result<Vec<CommitInfo>> {
        let deadline = Instant::now() + timeout;
        loop {
            let changed = self.look()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !changed.is_empty() || left.is_zero() {
                return Ok(changed);
            }
            if self.watcher.is_none() {
                self.listen();
            }
            match self.hints.recv_timeout(left.min(POLL)) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                // Impossible as long as this holds a sender; a rescan a second is still right.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(left.min(POLL)),
            }
        }
    }

    fn look(&mut self) -> Result<Vec<CommitInfo>> {
        let mut commits = Vec::new();
        loop {
            let changes = self.palace.changes_since(&self.cursor, COMMITS_MAX)?;
            self.cursor = changes.cursor;
            commits.extend(changes.commits);
            if !changes.more {
                return Ok(commits);
            }
        }
    }

    /// Starts to listen for events. If the palace does not exist yet, or this machine's limit on watchers is reached, the
    /// rescans have to do.
    fn listen(&mut self) {
        match self.try_listen() {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => tracing::debug!(%error, "no events: rescanning once a second"),
        }
    }

    fn try_listen(&self) -> notify::Result<RecommendedWatcher> {
        // A watcher that gets no thread of its own panics when it is used.
        let spare = std::thread::Builder::new().spawn(|| ()).map_err(notify::Error::io)?;
        // It did nothing.
        drop(spare.join());
        let sender = self.sender.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Reading a file is an event too: without this, watchers would wake each other for ever.
                let read = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
                if !read && sender.try_send(()).is_err() {
                    tracing::trace!("a hint is waiting already");
                }
            })?;
        for name in [OPEN, SEALED, SNAP] {
            watcher.watch(&self.palace.path().join(name), RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }
}
