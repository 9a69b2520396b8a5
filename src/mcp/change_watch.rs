//! What has changed, for whoever asked to be told: one watch of the palace for all clients of a server.
//!
//! Invariant: a client that was told that it is subscribed, and reads then, either reads a change or is told of it,
//! whichever process made it. Must not know: how a client is told.

use super::listing::Seen;
use super::sets::Tools;
use crate::format::key::Key;
use crate::palace::watch::Watch;
use crate::palace::{Palace, chain};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;

/// How long it takes at most to notice that nobody listens any more.
const LINGER: Duration = Duration::from_secs(1);
/// How many looks a slow listener may be behind. What it misses then counts as a change of everything.
const BEHIND: usize = 64;

/// What one look at the palace has found.
#[derive(Clone, Debug)]
pub(super) struct News {
    /// The documents that have changed.
    pub keys: Arc<BTreeSet<Key>>,
    /// Whether the list of resources may have changed.
    pub list_changed: bool,
}

/// The watch that all clients of a server share, while there is one that listens.
pub(super) struct Notices {
    palace: Palace,
    tools: Arc<Tools>,
    watched: Mutex<Option<Sender<News>>>,
    /// Whether anybody ever wanted to know of the list: to find out costs a read for each change.
    lists: AtomicBool,
}

impl Notices {
    pub fn new(palace: Palace, tools: Arc<Tools>) -> Arc<Self> {
        Arc::new(Notices { palace, tools, watched: Mutex::default(), lists: AtomicBool::default() })
    }

    /// What changes from now on.
    ///
    /// # Errors
    /// Why the palace cannot be watched, in words.
    pub async fn follow(self: &Arc<Self>, lists: bool) -> Result<Receiver<News>, String> {
        self.lists.fetch_or(lists, Ordering::Relaxed);
        let mut watched = self.watched.lock().await;
        // Whatever is acknowledged after this line is found by a look that is still to come.
        if let Some(sender) = &*watched {
            return Ok(sender.subscribe());
        }
        let palace = self.palace.clone();
        let watch = spawn_blocking(move || palace.watch("")).await;
        let watch = watch.map_err(|error| chain(&error))?.map_err(|error| chain(&error))?;
        let (sender, receiver) = channel(BEHIND);
        *watched = Some(sender.clone());
        let notices = self.clone();
        drop(spawn_blocking(move || notices.tell(watch, &sender)));
        Ok(receiver)
    }

    fn tell(&self, mut watch: Watch, sender: &Sender<News>) {
        let mut seen = Seen::default();
        while !self.is_over(sender) {
            match watch.next(LINGER) {
                Ok(keys) if keys.is_empty() => {}
                Ok(keys) => {
                    let list_changed = self.lists.load(Ordering::Relaxed)
                        && seen.differs(&self.palace, &self.tools, &keys);
                    // Without listeners it is over at the next turn.
                    drop(sender.send(News { keys: Arc::new(keys), list_changed }));
                }
                Err(error) => {
                    tracing::warn!(%error, "clients are not told of changes for now");
                    std::thread::sleep(LINGER);
                }
            }
        }
    }

    /// Ends the watch if nobody listens. Nobody can begin to in between: that takes the same lock.
    fn is_over(&self, sender: &Sender<News>) -> bool {
        if sender.receiver_count() > 0 {
            return false;
        }
        let mut watched = self.watched.blocking_lock();
        let over = sender.receiver_count() == 0;
        if over {
            *watched = None;
        }
        over
    }
}
