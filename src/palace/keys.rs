//! Which documents there are, without reading what they show.
//!
//! Invariant: the keys are those that a scan would give. A document that one snapshot alone holds is
//! there if its row shows something; about every other one the merged document is asked.

use super::state::State;
use super::{Error, Palace, Result};
use crate::format::key::Key;
use crate::snapshot::Listed;
use std::collections::BTreeMap;

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
            let (known, complete_upto) = self.known(prefix, after.as_deref(), limit)?;
            for (key, known) in known {
                if keys.len() == limit || complete_upto.as_ref().is_some_and(|upto| key > *upto) {
                    break;
                }
                after = Some(key.as_str().to_owned());
                let shown = match known {
                    Known::Shown => true,
                    Known::Ask => self.read(&key)?.is_some(),
                };
                keys.extend(shown.then_some(key));
            }
            if complete_upto.is_none() || keys.len() == limit {
                return Ok(keys);
            }
        }
    }

    /// The next keys of every layer. Beyond the second value a layer may have more than were fetched;
    /// `None`: there are no more.
    fn known(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(BTreeMap<Key, Known>, Option<Key>)> {
        let mut found: BTreeMap<Key, Known> = BTreeMap::new();
        let mut complete_upto: Option<Key> = None;
        let mut cut_off = |last: Option<&Key>| {
            if let Some(last) = last
                && complete_upto.as_ref().is_none_or(|upto| last < upto)
            {
                complete_upto = Some(last.clone());
            }
        };
        for snapshot in self.snapshots() {
            let listed = snapshot.list(prefix, after, limit)?;
            if listed.len() == limit {
                cut_off(listed.last().map(|listed| &listed.key));
            }
            for Listed { key, empty } in listed {
                let alone = !empty && !found.contains_key(&key);
                found.insert(key, if alone { Known::Shown } else { Known::Ask });
            }
        }
        let keys: Vec<&Key> = self.tail.keys(prefix, after).take(limit).collect();
        if keys.len() == limit {
            cut_off(keys.last().copied());
        }
        found.extend(keys.into_iter().map(|key| (key.clone(), Known::Ask)));
        Ok((found, complete_upto))
    }
}
