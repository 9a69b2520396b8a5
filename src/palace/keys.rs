//! Which documents there are, without reading what they show.
//!
//! Invariant: the keys are those that a scan would give. A document that one snapshot alone holds is
//! there if its row shows something; about every other one the merged document is asked.

use super::layers::Layers;
use super::state::State;
use super::{Error, Palace, Result};
use crate::format::key::Key;

/// The most keys that one call gives.
pub const KEYS_MAX: usize = 10_000;

/// What a layer says of a document without reading it.
enum Known {
    Shown,
    /// It stands in the tail, or its row is empty.
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
        let mut layers = Layers::new(self.layers(), limit);
        layers.begin(after, &|n, after, limit| self.list(n, prefix, after, limit))?;
        while keys.len() < limit {
            let next = layers.next(&|n, after, limit| self.list(n, prefix, after, limit))?;
            let Some((key, known)) = next else { break };
            let shown = match known.as_slice() {
                [Known::Shown] => true,
                _ => self.read(&key)?.is_some(),
            };
            keys.extend(shown.then_some(key));
        }
        Ok(keys)
    }

    /// The next keys of a layer.
    fn list(
        &self,
        layer: usize,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Key, Known)>> {
        let Some(snapshot) = self.snapshots().get(layer) else {
            let keys = self.tail.keys(prefix, after).take(limit);
            return Ok(keys.map(|key| (key.clone(), Known::Ask)).collect());
        };
        let listed = snapshot.list(prefix, after, limit)?.into_iter();
        Ok(listed.map(|it| (it.key, if it.empty { Known::Ask } else { Known::Shown })).collect())
    }
}
