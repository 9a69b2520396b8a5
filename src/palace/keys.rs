//! Which documents there are, without reading what they show.
//!
//! Invariant: the keys are those that a scan would give. A document that one snapshot alone holds is
//! there if its row shows something; about every other one the merged document is asked.

use super::layers::Layers;
use super::state::State;
use super::{Error, Palace, Result};
use crate::format::key::Key;
use std::collections::btree_map::Entry;

/// The most keys that one call gives.
pub const KEYS_MAX: usize = 10_000;

/// What is known of a document without reading it.
enum Known {
    Shown,
    /// Its row is empty, or it stands in several places.
    Ask,
}

impl Palace {
    /// The keys that start with `prefix`, in their order, at most `limit` (and [`KEYS_MAX`]) of them,
    /// behind `after`. Fewer than `limit` means that there are no more. Deleted documents are left out.
    /// Cheaper than [`Palace::scan`], and as stable while others write.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// for key in ["notes/a", "notes/b", "plans/a"] {
    ///     palace.put(key, json!({"a": 1}).as_object().ok_or("an object")?)?;
    /// }
    /// let keys = palace.keys("notes/", None, 10)?;
    /// assert_eq!(keys.iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["notes/a", "notes/b"]);
    /// assert_eq!(palace.keys("notes/", Some("notes/a"), 10)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cursor`] if `after` does not start with the prefix.
    pub fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Key>> {
        if let Some(after) = after.filter(|after| !after.starts_with(prefix)) {
            return Err(Error::Cursor { text: after.to_owned() });
        }
        self.fresh()?.keys(prefix, after, limit.clamp(1, KEYS_MAX))
    }
}

impl State {
    fn keys(&mut self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let (known, more) = self.known(prefix, after.as_deref(), limit)?.complete();
            for (key, known) in known {
                if keys.len() == limit {
                    break;
                }
                after = Some(key.as_str().to_owned());
                let shown = match known {
                    Known::Shown => true,
                    Known::Ask => self.read(&key)?.is_some(),
                };
                keys.extend(shown.then_some(key));
            }
            if !more || keys.len() == limit {
                return Ok(keys);
            }
        }
    }

    /// The next keys of every layer.
    fn known(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Layers<Known>> {
        let mut layers = Layers::new(limit);
        for snapshot in self.snapshots() {
            let listed = snapshot.list(prefix, after, limit)?;
            layers.add(listed.into_iter().map(|it| (it.key, it.empty)), |entry, empty| {
                let alone = !empty && matches!(entry, Entry::Vacant(_));
                entry.insert_entry(if alone { Known::Shown } else { Known::Ask });
            });
        }
        let tail = self.tail.keys(prefix, after).take(limit);
        layers.add(tail.map(|key| (key.clone(), ())), |entry, ()| {
            entry.insert_entry(Known::Ask);
        });
        Ok(layers)
    }
}
