//! One watch of the palace for all clients of a server that asked for notices.
//!
//! Invariant: a client that was told that it is subscribed, and reads then, either reads a change or is notified of
//! it, whichever process made it. Must not know: how a client is notified.

use super::rescan_changes::RescanChanges;
use super::resource_listing::SeenResources;
use super::tool_sets::{ToolSet, Tools};
use crate::format::key::Key;
use crate::memory::drawers::{Drawers, folded, wing_of};
use crate::palace::watch::Watch;
use crate::palace::{Palace, chain};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;

/// Longest time after which the watch notices that no client listens any more.
const LINGER: Duration = Duration::from_secs(1);
/// Rescans that a slow listener may be behind. What it misses then counts as a change of everything.
const BEHIND: usize = 64;

/// The watch that all clients of a server share, while one of them listens.
pub(super) struct ChangeWatch {
    palace: Palace,
    tools: Arc<Tools>,
    sender: Mutex<Option<Sender<RescanChanges>>>,
    /// True if a client ever wanted to know of the list: to find out costs a read for each change.
    lists: AtomicBool,
}

impl ChangeWatch {
    pub fn new(palace: Palace, tools: Arc<Tools>) -> Arc<Self> {
        Arc::new(ChangeWatch {
            palace,
            tools,
            sender: Mutex::default(),
            lists: AtomicBool::default(),
        })
    }

    /// Returns the changes from now on.
    ///
    /// # Errors
    /// Why the palace cannot be watched, in words.
    pub async fn follow(self: &Arc<Self>, lists: bool) -> Result<Receiver<RescanChanges>, String> {
        self.lists.fetch_or(lists, Ordering::Relaxed);
        let mut shared = self.sender.lock().await;
        // A write that is acknowledged after this line is found by a rescan that is still to come.
        if let Some(sender) = &*shared {
            return Ok(sender.subscribe());
        }
        let palace = self.palace.clone();
        let watch = spawn_blocking(move || palace.watch("")).await;
        let watch = watch.map_err(|error| chain(&error))?.map_err(|error| chain(&error))?;
        let (sender, receiver) = channel(BEHIND);
        *shared = Some(sender.clone());
        let this = self.clone();
        drop(spawn_blocking(move || this.send_changes(watch, &sender)));
        Ok(receiver)
    }

    fn send_changes(&self, mut watch: Watch, sender: &Sender<RescanChanges>) {
        let mut seen = SeenResources::default();
        while !self.is_over(sender) {
            match watch.next(LINGER) {
                Ok(keys) if keys.is_empty() => {}
                Ok(keys) => {
                    let list_changed = self.lists.load(Ordering::Relaxed)
                        && seen.differs(&self.palace, &self.tools, &keys);
                    let wings = Arc::new(self.wings(&keys));
                    let keys = Arc::new(keys);
                    // Without listeners the loop ends at the next turn.
                    drop(sender.send(RescanChanges { keys, wings, list_changed }));
                }
                Err(error) => {
                    tracing::warn!(%error, "clients get no notices of changes for now");
                    std::thread::sleep(LINGER);
                }
            }
        }
    }

    fn wings(&self, keys: &BTreeSet<Key>) -> BTreeSet<String> {
        if !self.tools.has(ToolSet::Palace) {
            return BTreeSet::new();
        }
        Drawers::new(self.palace.clone()).wing_names(keys).unwrap_or_else(|error| {
            tracing::warn!(%error, "clients get no notices of renamed wings for now");
            keys.iter().filter_map(wing_of).map(folded).collect()
        })
    }

    /// Ends the watch if no client listens. None can begin to in between: that takes the same lock.
    fn is_over(&self, sender: &Sender<RescanChanges>) -> bool {
        if sender.receiver_count() > 0 {
            return false;
        }
        let mut shared = self.sender.blocking_lock();
        let over = sender.receiver_count() == 0;
        if over {
            *shared = None;
        }
        over
    }
}
