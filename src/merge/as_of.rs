//! The version of a document that had been written by a time.
//!
//! Invariant: a change counts if its own time is not later, or if a change that counts builds on it. So a slow or fast clock
//! never tears a change from what it builds on, and a document whose heads are all early enough is the present one.

use super::doc::Doc;
use super::hashes::hashes;
use crate::format::hash::{ChangeHash, Heads};
use std::collections::HashSet;

impl Doc {
    /// Returns the version that had been written by a time, in milliseconds since 1970, by the writers' clocks. It is empty if
    /// there was no document.
    #[must_use]
    pub fn heads_at(&self, time_ms: i64) -> Heads {
        let (mut counted, mut heads) = (HashSet::new(), Vec::new());
        // Each change comes before those that build on it, so from the end each is met after them.
        for meta in self.am.get_changes_meta(&[]).iter().rev() {
            let hash = ChangeHash(meta.hash.0);
            let builds_on = counted.contains(&hash);
            // A first change that is derived from its content has no time: it counts with the change that filed it.
            let is_early = meta.timestamp != 0 && meta.timestamp <= time_ms;
            if !builds_on && is_early {
                heads.push(hash);
            }
            if builds_on || is_early {
                counted.extend(hashes(&meta.deps));
            }
        }
        Heads::new(heads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::Stamp;
    use serde_json::{Map, json};

    fn put(doc: &mut Doc, time_ms: i64, n: i64) -> Heads {
        let value = Map::from_iter([("n".to_owned(), json!(n))]);
        let stamp = Stamp { actor: [1; 16], time_ms, by: "", undoes: "" };
        doc.put(&stamp, None, &value).unwrap();
        doc.heads()
    }

    #[test]
    fn version_of_a_time_keeps_what_its_changes_build_on() {
        let mut doc = Doc::new();
        let first = put(&mut doc, 100, 1);
        let fast = put(&mut doc, 900, 2);
        let last = put(&mut doc, 200, 3);
        assert_eq!(doc.heads_at(99), Heads::default());
        assert_eq!(doc.heads_at(100), first);
        assert_eq!(doc.heads_at(199), first);
        // The change with the fast clock is part of what the last one builds on.
        assert_eq!((doc.heads_at(200), doc.heads_at(900)), (last.clone(), last));
        assert_ne!(doc.heads_at(200), fast);
    }
}
