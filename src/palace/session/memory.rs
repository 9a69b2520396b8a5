//! Remembers what all clients of one server have seen, within one bound.
//!
//! Invariants: it takes no more than its bound of memory; the document that was used least lately is forgotten first,
//! whichever client it belongs to. Keys are kept as hashes: of two keys with one hash, the versions of one are none of
//! the other, so they are passed over.

use super::versions::Versions;
use crate::format::key::Key;
use crate::sync::{Lock, Rank};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

/// Bytes of one document beside its versions: its places in the maps.
const OVERHEAD: usize = 160;

/// The versions of one document, and when they were last changed.
#[derive(Debug, Default)]
struct Slot {
    versions: Versions,
    age: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    clients: HashMap<u64, HashMap<u64, Slot>>,
    /// The client and the hash of the key of each document, the one used least lately first.
    ages: BTreeMap<u64, (u64, u64)>,
    /// The last number given to a client or an age.
    last: u64,
    bytes: usize,
}

/// Versions that the clients have seen, by client and document.
#[derive(Debug)]
pub struct Memory {
    held: Lock<Held>,
    hasher: RandomState,
    bytes_max: usize,
}

impl Memory {
    /// Makes an empty memory that takes at most this many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let held = Lock::new(Rank::Leaf, Held::default());
        Memory { held, hasher: RandomState::new(), bytes_max }
    }

    /// Returns the number of a new client.
    pub fn add_client(&self) -> u64 {
        let mut held = self.held.lock();
        held.last += 1;
        held.last
    }

    /// Forgets a client.
    pub fn forget(&self, client: u64) {
        let mut held = self.held.lock();
        for slot in held.clients.remove(&client).into_iter().flat_map(HashMap::into_values) {
            held.ages.remove(&slot.age);
            held.bytes -= slot.bytes;
        }
    }

    /// Returns what a client has seen of a document.
    pub fn of(&self, client: u64, key: &Key) -> Versions {
        let held = self.held.lock();
        let slot =
            held.clients.get(&client).and_then(|slots| slots.get(&self.hasher.hash_one(key)));
        slot.map(|slot| slot.versions.clone()).unwrap_or_default()
    }

    /// Changes what a client has seen of a document.
    pub fn change(&self, client: u64, key: &Key, change: impl FnOnce(&mut Versions)) {
        let mut held = self.held.lock();
        let place = (client, self.hasher.hash_one(key));
        let mut slot = held.take(place).unwrap_or_default();
        change(&mut slot.versions);
        slot.bytes = OVERHEAD + slot.versions.bytes();
        held.put(place, slot);
        while held.bytes > self.bytes_max {
            let Some((_, oldest)) = held.ages.first_key_value() else { break };
            let oldest = *oldest;
            held.take(oldest);
        }
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.held.lock().bytes
    }
}

impl Held {
    fn take(&mut self, (client, key): (u64, u64)) -> Option<Slot> {
        let slots = self.clients.get_mut(&client)?;
        let slot = slots.remove(&key)?;
        if slots.is_empty() {
            self.clients.remove(&client);
        }
        self.ages.remove(&slot.age);
        self.bytes -= slot.bytes;
        Some(slot)
    }

    fn put(&mut self, (client, key): (u64, u64), mut slot: Slot) {
        self.last += 1;
        slot.age = self.last;
        self.bytes += slot.bytes;
        self.ages.insert(slot.age, (client, key));
        self.clients.entry(client).or_default().insert(key, slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::hash::{ChangeHash, Heads};

    fn key(n: u32) -> Key {
        Key::new(&n.to_string()).unwrap()
    }

    fn sees(memory: &Memory, client: u64, n: u32) -> bool {
        memory.of(client, &key(n)).newest().is_some()
    }

    #[test]
    fn oldest_document_of_any_client_goes_first() {
        let heads = Heads::new(vec![ChangeHash([1; 32])]);
        let one = {
            let memory = Memory::new(usize::MAX);
            let client = memory.add_client();
            memory.change(client, &key(0), |versions| versions.saw_whole(&heads));
            memory.bytes()
        };
        let memory = Memory::new(10 * one);
        let (ann, bob) = (memory.add_client(), memory.add_client());
        for n in 0..10 {
            let client = if n % 2 == 0 { ann } else { bob };
            memory.change(client, &key(n), |versions| versions.saw_whole(&heads));
        }
        memory.change(ann, &key(0), |versions| versions.saw_some(&heads));
        memory.change(bob, &key(10), |versions| versions.saw_whole(&heads));
        assert!(sees(&memory, ann, 0) && sees(&memory, bob, 10) && sees(&memory, ann, 2));
        assert!(!sees(&memory, bob, 1) && !sees(&memory, ann, 10), "each client has its own");
        for n in 0..1_000 {
            memory.change(ann, &key(n), |versions| versions.saw_whole(&heads));
            assert!(memory.bytes() <= 10 * one);
        }
        assert!(!sees(&memory, bob, 10));
    }

    #[test]
    fn forgotten_client_takes_no_memory() {
        let heads = Heads::new(vec![ChangeHash([1; 32])]);
        let memory = Memory::new(usize::MAX);
        let (ann, bob) = (memory.add_client(), memory.add_client());
        for client in [ann, bob] {
            (0..9).for_each(|n| memory.change(client, &key(n), |v| v.saw_whole(&heads)));
        }
        let both = memory.bytes();
        memory.forget(ann);
        assert!(!sees(&memory, ann, 1) && sees(&memory, bob, 1));
        assert_eq!((memory.bytes() * 2, memory.held.lock().ages.len()), (both, 9));
        memory.forget(bob);
        assert_eq!(memory.bytes(), 0);
    }
}
