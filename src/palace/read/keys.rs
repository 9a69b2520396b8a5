//! Pages of keys, without the documents.
//!
//! Invariant: the keys are those that a scan would give. A document that one snapshot alone holds exists if its row is
//! not empty. For every other document, the merged document decides.

use crate::format::key::Key;
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use crate::palace::view::layers::Layers;
use crate::palace::view::view::View;

/// Most keys in one page.
pub const KEYS_MAX: usize = 10_000;

/// Knowledge of a document from one layer, without reading it.
enum Known {
    /// Its row is not empty.
    Shown,
    /// Only the merged document decides: this one is in the tail, or its row is empty.
    Ask,
}

impl Palace {
    /// Returns a page of the keys that start with `prefix`, in their order: at most `limit` (and [`KEYS_MAX`]) of them,
    /// behind `after`. Fewer than `limit` means that there are no more. Deleted documents are left out. Cheaper than
    /// [`Palace::scan_page`], and as stable while other processes write. For all keys, see [`Palace::keys`].
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// for key in ["notes/a", "notes/b", "plans/a"] {
    ///     palace.put(key, &json!({"a": 1}))?;
    /// }
    /// let keys = palace.keys_page("notes/", None, 10)?;
    /// assert_eq!(keys.iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["notes/a", "notes/b"]);
    /// assert_eq!(palace.keys_page("notes/", Some("notes/a"), 10)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cursor`] if `after` does not start with the prefix.
    pub fn keys_page(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Key>> {
        if let Some(after) = after.filter(|after| !after.starts_with(prefix)) {
            return Err(Error::Cursor { text: after.to_owned() });
        }
        keys(&*self.fresh()?, prefix, after, limit.clamp(1, KEYS_MAX))
    }
}

fn keys(view: &View, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Key>> {
    let mut keys = Vec::new();
    let list = |n, after: Option<&str>, limit| list(view, n, prefix, after, limit);
    let mut layers = Layers::new(view.layers(), limit);
    layers.begin(after, &list)?;
    while keys.len() < limit {
        let Some((key, known)) = layers.next(&list)? else { break };
        let shown = match known.as_slice() {
            [Known::Shown] => true,
            _ => view.read(&key)?.is_some(),
        };
        keys.extend(shown.then_some(key));
    }
    Ok(keys)
}

/// Returns the next keys of a layer.
fn list(
    view: &View,
    layer: usize,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(Key, Known)>> {
    let Some(snapshot) = view.snapshots().get(layer) else {
        let keys = view.tail.keys(prefix, after).take(limit);
        return Ok(keys.map(|key| (key.clone(), Known::Ask)).collect());
    };
    let listed = snapshot.list(prefix, after, limit)?.into_iter();
    Ok(listed.map(|it| (it.key, if it.empty { Known::Ask } else { Known::Shown })).collect())
}
