//! Views of the documents in the tail, kept so that a search reads each of them as cheaply as a row of a snapshot.
//!
//! Invariant: all that is kept here can be made again from the tail and the snapshots, and it is bounded: a palace keeps
//! [`SHOWN_BYTES_MAX`] of it, however many documents its tail has.

use crate::format::hash::Heads;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The most bytes that one open palace keeps of what its tail shows. 6,000 drawers of 800 characters take 13 MB.
pub const SHOWN_BYTES_MAX: usize = 16 << 20;

/// Bytes of one [`Shown`] beside its texts.
const OVERHEAD: usize = 192;

/// The view of one document in the tail, made with the snapshots of one generation.
#[derive(Debug)]
pub struct Shown {
    /// The generation of snapshots that it was made with.
    pub generation: u64,
    /// Its version.
    pub heads: Heads,
    /// Its view as JSON, like in a row of a snapshot.
    pub view: String,
    /// Number of the rescan that found the first of its pending changes, if any is pending.
    pub pending_since: Option<u64>,
    /// Made for the first search.
    words: OnceLock<String>,
    account: Account,
}

impl Shown {
    /// Keeps a view, and accounts for its bytes.
    pub fn new(
        generation: u64,
        heads: Heads,
        view: String,
        pending_since: Option<u64>,
        total: &Arc<AtomicUsize>,
    ) -> Self {
        let account = Account { total: total.clone(), bytes: AtomicUsize::new(0) };
        account.add(OVERHEAD + view.len());
        Shown { generation, heads, view, pending_since, words: OnceLock::new(), account }
    }

    /// Makes the distinct words of the document, if this is the first call.
    pub fn make_words(&self, make: impl FnOnce() -> String) {
        self.words.get_or_init(|| {
            let words = make();
            self.account.add(words.len());
            words
        });
    }

    /// Returns true if the distinct words were made.
    pub fn has_words(&self) -> bool {
        self.words.get().is_some()
    }

    /// Returns the distinct words, each between two spaces; nothing before [`Shown::make_words`].
    pub fn distinct_words(&self) -> &str {
        self.words.get().map_or("", String::as_str)
    }
}

/// Bytes of one [`Shown`] in the total of its palace.
#[derive(Debug)]
struct Account {
    total: Arc<AtomicUsize>,
    bytes: AtomicUsize,
}

impl Account {
    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Place for what one document shows. Threads may read and fill it at once.
#[derive(Debug, Default)]
pub struct Slot(Mutex<Option<Arc<Shown>>>);

impl Slot {
    /// A panic cannot leave half of a pointer, so a poisoned lock is taken all the same.
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Shown>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is kept, if it was made with the snapshots of this generation.
    pub fn get(&self, generation: u64) -> Option<Arc<Shown>> {
        self.lock().as_ref().filter(|shown| shown.generation == generation).cloned()
    }

    /// Keeps this, unless what is kept was made with newer snapshots.
    pub fn fill(&self, shown: Arc<Shown>) {
        let mut kept = self.lock();
        if kept.as_ref().is_none_or(|kept| kept.generation <= shown.generation) {
            *kept = Some(shown);
        }
    }

    /// Keeps nothing any more.
    pub fn clear(&self) {
        *self.lock() = None;
    }

    /// Returns true if anything is kept.
    pub fn is_filled(&self) -> bool {
        self.lock().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_kept_are_counted_until_dropped() {
        let total = Arc::default();
        let shown = Arc::new(Shown::new(1, Heads::default(), "{}".to_owned(), None, &total));
        assert_eq!(total.load(Ordering::Relaxed), OVERHEAD + 2);
        assert!(!shown.has_words() && shown.distinct_words().is_empty());
        shown.make_words(|| " a ".to_owned());
        shown.make_words(|| " b ".to_owned());
        assert_eq!((shown.has_words(), shown.distinct_words()), (true, " a "));
        assert_eq!(total.load(Ordering::Relaxed), OVERHEAD + 5);
        let slot = Slot::default();
        slot.fill(shown);
        assert!(slot.get(1).is_some() && slot.get(2).is_none() && slot.is_filled());
        slot.clear();
        assert_eq!((slot.is_filled(), total.load(Ordering::Relaxed)), (false, 0));
    }

    #[test]
    fn a_reader_of_older_snapshots_replaces_nothing_newer() {
        let total = Arc::default();
        let shown = |generation| {
            Arc::new(Shown::new(generation, Heads::default(), String::new(), None, &total))
        };
        let slot = Slot::default();
        slot.fill(shown(2));
        slot.fill(shown(1));
        assert!(slot.get(2).is_some());
        slot.fill(shown(3));
        assert!(slot.get(3).is_some() && slot.get(2).is_none());
    }
}
