//! One watch of the palace for all clients of a server that asked for notices.
//!
//! Invariant: a client that was told that it is subscribed, and reads then, either reads a change or is notified of
//! it, whichever process made it. Must not know: how a client is notified.

use super::rescan_changes::RescanChanges;
use super::resource_listing::SeenResources;
use super::threads::Threads;
use super::tool_sets::{ToolSet, Tools};
use crate::format::key::Key;
use crate::memory::drawers::{Drawers, folded, wing_of};
use crate::palace::watch::Watch;
use crate::palace::{Palace, chain};
use rmcp::ErrorData;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Longest time after which the watch notices that no client listens any more.
const LINGER: Duration = Duration::from_secs(1);
/// Rescans that a slow listener may be behind. What it misses then counts as a change of everything.
const BEHIND: usize = 64;
/// Most subscriptions at once, of all clients of a server.
const SUBSCRIPTIONS_MAX: usize = 4096;

/// The watch that all clients of a server share, while one of them listens.
pub(super) struct ChangeWatch {
    palace: Palace,
    tools: Arc<Tools>,
    threads: Threads,
    sender: Mutex<Option<Sender<RescanChanges>>>,
    places: Arc<Semaphore>,
    /// True if a client ever wanted to know of the list: to find out costs a read for each change.
    lists: AtomicBool,
}

impl ChangeWatch {
    pub fn new(palace: Palace, tools: Arc<Tools>, threads: Threads) -> Arc<Self> {
        Arc::new(ChangeWatch {
            palace,
            tools,
            threads,
            sender: Mutex::default(),
            places: Arc::new(Semaphore::new(SUBSCRIPTIONS_MAX)),
            lists: AtomicBool::default(),
        })
    }

    /// Returns the places of so many subscriptions; an error if there are too few.
    pub fn places(&self, count: usize) -> Result<OwnedSemaphorePermit, ErrorData> {
        let permits = u32::try_from(count).unwrap_or(u32::MAX);
        self.places.clone().try_acquire_many_owned(permits).map_err(|_| {
            let words = format!(
                "all clients of this server together have at most {SUBSCRIPTIONS_MAX} subscriptions: end some first"
            );
            ErrorData::internal_error(words, None)
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
        let watch = self.threads.run(move || palace.watch("")).await;
        let watch = watch.map_err(|error| chain(&error))?.map_err(|error| chain(&error))?;
        let (sender, receiver) = channel(BEHIND);
        let (this, own_sender) = (self.clone(), sender.clone());
        let task = move || this.send_changes(watch, &own_sender);
        let started = self.threads.start("changes", task);
        started
            .map_err(|error| format!("the palace cannot be watched: no thread for it: {error}"))?;
        *shared = Some(sender);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Offer;
    use crate::mcp::resources::OfferedResource;
    use crate::mcp::session::Subscriptions;

    #[tokio::test]
    async fn subscriptions_are_bounded_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let palace = Palace::open(dir.path().join("palace")).unwrap();
        let tools = Arc::new(Tools::new(&Offer::default()));
        let watch = ChangeWatch::new(palace, tools, Threads::new());
        let mut wanted = Subscriptions::default();
        for n in 0..SUBSCRIPTIONS_MAX {
            let place = watch.places(1).unwrap();
            wanted.add(n.to_string(), OfferedResource::Status, place);
        }
        assert!(watch.places(1).unwrap_err().message.contains("4096 subscriptions"));
        wanted.remove("7");
        wanted.remove("7");
        let place = watch.places(1).unwrap();
        wanted.add("8".to_owned(), OfferedResource::Status, place);
        assert!(watch.places(1).is_ok() && watch.places(2).is_err(), "it was subscribed already");
        drop(wanted);
        assert!(watch.places(SUBSCRIPTIONS_MAX).is_ok());
    }
}
