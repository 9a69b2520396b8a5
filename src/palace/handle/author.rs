//! The author of this process's changes: the Automerge actor that it writes as.
//!
//! Invariant: an actor writes to a document only on top of everything that it has written to it. Automerge numbers an
//! actor's changes of a document by those that it is shown. Of two changes with one number, it takes one and refuses the
//! other for ever. So a process that does not see its own changes, because a snapshot is missing or cannot be read,
//! continues as another actor. Once the snapshot is back, both changes are there.

use crate::format::hash::{ChangeHash, Heads};
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::merge::Doc;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Number of documents whose last changes an actor remembers, in some 3 MB. Then another takes over, which costs
/// 16 bytes in each document that both write to.
const DOCUMENTS_MAX: usize = 1 << 15;
/// Number of concurrent changes that it remembers of one document: one for each client that writes beside the others.
const BESIDE_MAX: usize = 1 << 10;
/// Number of changes that it remembers of all documents, in 2 MB.
const CHANGES_MAX: usize = 1 << 16;

/// The actor of an instance's changes. At first it has the instance's name.
#[derive(Debug)]
pub struct Author {
    instance: InstanceId,
    actor: [u8; 16],
    /// Its changes of each document that no other of them builds on, by the hash of the key. Two keys with one hash cost
    /// an actor.
    last: HashMap<u64, Vec<ChangeHash>>,
    /// Number of changes in `last`.
    changes: usize,
    hasher: RandomState,
}

impl Author {
    /// Makes an author that has written nothing.
    pub fn new(instance: InstanceId) -> Self {
        let (last, hasher) = (HashMap::new(), RandomState::new());
        Author { instance, actor: instance.0, last, changes: 0, hasher }
    }

    /// Returns the instance that it writes for.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Returns the actor for the next change of this document. Calls `name` for a fresh one if earlier changes of the
    /// present actor are not visible in it.
    ///
    /// # Errors
    /// Those of `name`.
    pub fn of<E>(
        &mut self,
        key: &Key,
        doc: Option<&Doc>,
        name: impl FnOnce() -> Result<[u8; 16], E>,
    ) -> Result<[u8; 16], E> {
        let last = self.last.get(&self.hasher.hash_one(key));
        let seen = |change| doc.is_some_and(|doc| doc.contains(change));
        let sees = last.is_none_or(|last| last.len() < BESIDE_MAX && last.iter().all(seen));
        if !sees || self.last.len() >= DOCUMENTS_MAX || self.changes >= CHANGES_MAX {
            (self.actor, self.last, self.changes) = (name()?, HashMap::new(), 0);
        }
        Ok(self.actor)
    }

    /// Returns its earlier changes of this document that a version does not have. `doc` has that version.
    ///
    /// A client may write from an older version, so the changes of one actor may be beside each other.
    pub fn beside(&self, key: &Key, doc: Option<&Doc>, version: &Heads) -> Vec<ChangeHash> {
        let last = self.last.get(&self.hasher.hash_one(key)).map_or(&[][..], Vec::as_slice);
        let Some(doc) = doc.filter(|doc| !last.is_empty() && doc.heads() != *version) else {
            return Vec::new();
        };
        let since = doc.since(version);
        // One that the document lacks stays remembered: then the next change is another actor's.
        let apart = |change: &&ChangeHash| since.contains(change) || !doc.contains(change);
        last.iter().filter(apart).copied().collect()
    }

    /// Notes that it wrote to this document. `last` are its changes of it that no other of them builds on, with those that
    /// it has just made.
    pub fn made(&mut self, key: &Key, last: Vec<ChangeHash>) {
        self.changes += last.len();
        let before = self.last.insert(self.hasher.hash_one(key), last);
        self.changes -= before.map_or(0, |before| before.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::Stamp;

    fn changed(doc: &mut Doc, actor: [u8; 16], n: u64) -> ChangeHash {
        let value = serde_json::Map::from_iter([("n".to_owned(), n.into())]);
        doc.put(&Stamp { actor, time_ms: 1, by: "", undoes: "" }, None, &value)
            .unwrap()
            .unwrap()
            .hash
    }

    /// The name of a fresh actor.
    const ANOTHER: [u8; 16] = [2; 16];

    fn of(author: &mut Author, key: &Key, doc: Option<&Doc>) -> [u8; 16] {
        author.of(key, doc, || Ok::<_, ()>(ANOTHER)).unwrap()
    }

    #[test]
    fn who_does_not_see_its_own_change_is_another() {
        let (key, other) = (Key::new("k").unwrap(), Key::new("other").unwrap());
        let (before, mut doc) = (Doc::new(), Doc::new());
        for shown in [None, Some(&before)] {
            let mut author = Author::new(InstanceId([1; 16]));
            assert_eq!(of(&mut author, &key, None), [1; 16]);
            author.made(&key, vec![changed(&mut doc, [1; 16], 1)]);
            assert_eq!(of(&mut author, &key, Some(&doc)), [1; 16]);
            assert_eq!(of(&mut author, &other, None), [1; 16]);
            assert_eq!(author.of(&key, shown, || Err("no name")), Err("no name"));
            assert_eq!(of(&mut author, &key, shown), ANOTHER);
            assert_eq!(
                author.of(&key, None, || Err("no name")),
                Ok(ANOTHER),
                "it has written nothing"
            );
            assert_eq!(author.instance(), InstanceId([1; 16]));
            doc = Doc::new();
        }
    }

    /// A view may show one of two concurrent changes and not the other.
    #[test]
    fn who_does_not_see_what_it_wrote_at_an_earlier_version_is_another() {
        let key = Key::new("k").unwrap();
        let [mut one, mut two] = [Doc::new(), Doc::new()];
        let first = changed(&mut one, [1; 16], 1);
        let beside = changed(&mut two, [3; 16], 2);
        for (shown, actor) in [(&one, ANOTHER), (&two, ANOTHER)] {
            let mut author = Author::new(InstanceId([1; 16]));
            author.made(&key, vec![first]);
            author.made(&key, vec![first, beside]);
            assert_eq!(of(&mut author, &key, Some(shown)), actor);
        }
        let mut author = Author::new(InstanceId([1; 16]));
        author.made(&key, vec![first]);
        author.made(&key, vec![beside]);
        assert_eq!(of(&mut author, &key, Some(&two)), [1; 16], "it builds on the first");
        author.made(&key, vec![beside; BESIDE_MAX]);
        assert_eq!(of(&mut author, &key, Some(&two)), ANOTHER, "too many");
    }

    /// A change from an older version builds on some of the earlier ones only.
    #[test]
    fn changes_that_a_version_lacks_stay_remembered() {
        let key = Key::new("k").unwrap();
        let (mut doc, mut author) = (Doc::new(), Author::new(InstanceId([1; 16])));
        let at = |change| Heads::new(vec![change]);
        let first = changed(&mut doc, [1; 16], 1);
        author.made(&key, vec![first]);
        let from_first = |doc: &mut Doc, n: u64| {
            let value = serde_json::Map::from_iter([("n".to_owned(), n.into())]);
            let stamp = Stamp { actor: [1; 16], time_ms: 1, by: "", undoes: "" };
            doc.put(&stamp, Some(&at(first)), &value).unwrap().unwrap().hash
        };
        let mut all = Vec::new();
        for n in 2..5 {
            let made = from_first(&mut doc, n);
            let mut beside = author.beside(&key, Some(&doc), &at(made));
            assert_eq!(beside, all, "the first is below each of them");
            beside.push(made);
            author.made(&key, beside);
            all.push(made);
        }
        assert_eq!(author.changes, 3);
        let last = changed(&mut doc, [1; 16], 9);
        assert_eq!(author.beside(&key, Some(&doc), &doc.heads()), []);
        author.made(&key, vec![last]);
        assert_eq!(author.changes, 1);
    }

    #[test]
    fn nobody_remembers_more_documents_than_it_may() {
        let mut author = Author::new(InstanceId([1; 16]));
        let key = |n: usize| Key::new(&n.to_string()).unwrap();
        for n in 0..DOCUMENTS_MAX {
            assert_eq!(of(&mut author, &key(n), None), [1; 16]);
            author.made(&key(n), vec![ChangeHash([0; 32])]);
        }
        assert_eq!(of(&mut author, &Key::new("another").unwrap(), None), ANOTHER);
        assert_eq!(author.of(&key(0), None, || Err("no name")), Ok(ANOTHER));
    }
}
