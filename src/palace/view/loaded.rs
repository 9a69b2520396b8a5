//! Automerge documents that were loaded lately, shared by all threads of an open palace.
//!
//! Invariant: nothing here that cannot be loaded again from the snapshots and the tail, so it may be emptied at any time.
//! A document is taken out by the thread that works on it, so no thread waits for another, and a change that does not
//! become a commit is forgotten with the document: a local Automerge commit cannot be rolled back.

use crate::format::key::Key;
use crate::merge::Doc;
use crate::sync::{Lock, Rank};
use std::collections::HashMap;

/// The most documents that are kept. Most are small; [`LOADED_BYTES_MAX`] bounds the others.
const DOCUMENTS_MAX: usize = 256;

/// The most bytes that the kept documents have, as [`Doc::memory`] estimates them.
const LOADED_BYTES_MAX: usize = 64 << 20;

/// One loaded document.
#[derive(Debug)]
struct Loaded {
    doc: Doc,
    /// Generation of the snapshots whose rows are in it.
    generation: u64,
    /// Number of its changes in the tail that are in it, from the first.
    applied: usize,
    used: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    documents: HashMap<Key, Loaded>,
    uses: u64,
    bytes: usize,
}

/// The documents that are kept.
#[derive(Debug)]
pub struct LoadedDocuments(Lock<Kept>);

impl Default for LoadedDocuments {
    fn default() -> Self {
        LoadedDocuments(Lock::new(Rank::Leaf, Kept::default()))
    }
}

impl LoadedDocuments {
    /// Takes out the document, if it has rows of these snapshots and no more changes than `changes` of the tail.
    /// Returns it with the number of those that it has.
    pub fn take(&self, key: &Key, generation: u64, changes: usize) -> Option<(Doc, usize)> {
        let mut kept = self.0.lock();
        let fits = |loaded: &&Loaded| loaded.generation == generation && loaded.applied <= changes;
        kept.documents.get(key).filter(fits)?;
        let loaded = kept.documents.remove(key)?;
        kept.bytes -= loaded.bytes;
        Some((loaded.doc, loaded.applied))
    }

    /// Keeps a document, unless one is kept that knows more.
    pub fn keep(&self, key: Key, doc: Doc, generation: u64, applied: usize) {
        let bytes = doc.memory();
        let mut kept = self.0.lock();
        let known = kept.documents.get(&key).map(|loaded| (loaded.generation, loaded.applied));
        if known.is_some_and(|known| known > (generation, applied)) {
            return;
        }
        kept.make_space(bytes);
        kept.uses += 1;
        let loaded = Loaded { doc, generation, applied, used: kept.uses, bytes };
        kept.bytes += bytes;
        if let Some(before) = kept.documents.insert(key, loaded) {
            kept.bytes -= before.bytes;
        }
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        *self.0.lock() = Kept::default();
    }
}

impl Kept {
    /// Drops the half that was used least lately if one more would be too many.
    fn make_space(&mut self, bytes: usize) {
        if self.documents.len() < DOCUMENTS_MAX && self.bytes + bytes <= LOADED_BYTES_MAX {
            return;
        }
        let mut used: Vec<u64> = self.documents.values().map(|loaded| loaded.used).collect();
        used.sort_unstable();
        let median = used.get(used.len() / 2).copied().unwrap_or(0);
        self.documents.retain(|_, loaded| loaded.used > median);
        self.bytes = self.documents.values().map(|loaded| loaded.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::Stamp;

    fn doc(changes: u64) -> Doc {
        let mut doc = Doc::new();
        for n in 0..changes {
            let value = serde_json::Map::from_iter([("n".to_owned(), n.into())]);
            doc.put(&Stamp { actor: [1; 16], time_ms: 1, by: "", undoes: "" }, None, &value)
                .unwrap();
        }
        doc
    }

    #[test]
    fn a_document_is_taken_only_by_readers_that_know_all_of_it() {
        let (loaded, key) = (LoadedDocuments::default(), Key::new("k").unwrap());
        loaded.keep(key.clone(), doc(2), 7, 2);
        assert!(loaded.take(&key, 7, 1).is_none(), "an older view");
        assert!(loaded.take(&key, 8, 2).is_none(), "other snapshots");
        assert_eq!(loaded.take(&key, 7, 3).unwrap().1, 2);
        assert!(loaded.take(&key, 7, 3).is_none(), "it was taken out");
        loaded.keep(key.clone(), doc(2), 7, 2);
        loaded.keep(key.clone(), doc(1), 7, 1);
        assert_eq!(loaded.take(&key, 7, 3).unwrap().1, 2, "the one that knows more");
    }

    #[test]
    fn what_is_kept_is_bounded_and_its_bytes_are_counted() {
        let loaded = LoadedDocuments::default();
        for n in 0..2 * DOCUMENTS_MAX {
            loaded.keep(Key::new(&n.to_string()).unwrap(), doc(1), 1, 1);
            let kept = loaded.0.lock();
            assert!(kept.documents.len() <= DOCUMENTS_MAX);
            assert_eq!(kept.bytes, kept.documents.values().map(|it| it.bytes).sum::<usize>());
        }
        let last = Key::new(&(2 * DOCUMENTS_MAX - 1).to_string()).unwrap();
        assert!(loaded.take(&last, 1, 1).is_some());
    }
}
