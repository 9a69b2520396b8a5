//! Whom the changes of this process are by.
//!
//! Invariant: an actor writes to a document only on top of everything that it has written to it. Automerge numbers an
//! actor's changes of a document by those that it is shown. Of two with one number it takes one and refuses the other
//! for ever: so a process that does not see what it wrote itself, because a snapshot was taken away or cannot be read,
//! goes on as another actor, and once the snapshot is back both are there.

use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::merge::Doc;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Of how many documents an actor remembers what it wrote last, in at most 3 MB. Then another takes over, which costs
/// 16 bytes in each document that both write to.
const DOCUMENTS_MAX: usize = 1 << 15;

/// The actor of an instance's changes. At first it has the instance's name.
#[derive(Debug)]
pub struct Author {
    instance: InstanceId,
    actor: [u8; 16],
    /// The last change of each document, by the hash of its key. Two keys with one hash cost an actor.
    last: HashMap<u64, ChangeHash>,
    hasher: RandomState,
}

impl Author {
    /// One that has not written anything.
    pub fn new(instance: InstanceId) -> Self {
        Author { instance, actor: instance.0, last: HashMap::new(), hasher: RandomState::new() }
    }

    /// On behalf of whom it writes.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Who may change this document as it is shown; `None` if nobody who wrote before.
    pub fn of(&self, key: &Key, doc: Option<&Doc>) -> Option<[u8; 16]> {
        let last = self.last.get(&self.hasher.hash_one(key));
        let sees = last.is_none_or(|change| doc.is_some_and(|doc| doc.contains(change)));
        (sees && self.last.len() < DOCUMENTS_MAX).then_some(self.actor)
    }

    /// Goes on as one that has not written anything.
    pub fn renew(&mut self, actor: [u8; 16]) {
        (self.actor, self.last) = (actor, HashMap::new());
    }

    /// Notes that it made this change of this document.
    pub fn made(&mut self, key: &Key, change: ChangeHash) {
        self.last.insert(self.hasher.hash_one(key), change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::Stamp;

    fn changed(doc: &mut Doc, actor: [u8; 16], n: u64) -> ChangeHash {
        let value = serde_json::Map::from_iter([("n".to_owned(), n.into())]);
        doc.put(&Stamp { actor, time_ms: 1, by: "" }, None, &value).unwrap().unwrap().hash
    }

    #[test]
    fn who_does_not_see_its_own_change_is_another() {
        let (key, other) = (Key::new("k").unwrap(), Key::new("other").unwrap());
        let mut author = Author::new(InstanceId([1; 16]));
        let (before, mut doc) = (Doc::new(), Doc::new());
        assert_eq!(author.of(&key, None), Some([1; 16]));
        author.made(&key, changed(&mut doc, [1; 16], 1));
        assert_eq!(author.of(&key, Some(&doc)), Some([1; 16]));
        assert_eq!((author.of(&key, None), author.of(&key, Some(&before))), (None, None));
        assert_eq!(author.of(&other, None), Some([1; 16]));
        author.renew([2; 16]);
        assert_eq!(author.of(&key, None), Some([2; 16]));
        assert_eq!(author.instance(), InstanceId([1; 16]));
    }

    #[test]
    fn nobody_remembers_more_documents_than_it_may() {
        let mut author = Author::new(InstanceId([1; 16]));
        let key = |n: usize| Key::new(&n.to_string()).unwrap();
        (0..DOCUMENTS_MAX).for_each(|n| author.made(&key(n), ChangeHash([0; 32])));
        assert_eq!(author.of(&Key::new("another").unwrap(), None), None);
        author.renew([2; 16]);
        assert_eq!(author.of(&key(0), None), Some([2; 16]));
    }
}
