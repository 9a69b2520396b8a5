//! Reads of one document: its present value, an earlier one, its history; and pages of many.

use crate::format::hash::Etag;
use crate::format::key::Key;
use crate::merge::{ChangeInfo, Doc};
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use crate::palace::view::document::{Document, Page};
use crate::palace::view::layers::Layers;
use crate::palace::view::view::View;
use crate::snapshot::ViewRow;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Most documents in one page.
pub const PAGE_MAX: usize = 1_000;

impl Palace {
    /// Returns the document of this key; `None` if there is none or it is deleted.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// let found = palace.get("k")?.ok_or("it was written")?;
    /// assert_eq!(found.value["a"], 1);
    /// assert_eq!(palace.get("nothing")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Key`] if `key` cannot name a document: see [`Key`]. [`Error::Snapshot`], [`Error::View`] or
    /// [`Error::Document`] if its part of a snapshot is damaged. [`Error::Store`] with an error of the operating system.
    pub fn get(&self, key: &str) -> Result<Option<Document>> {
        let key = Key::new(key)?;
        self.read_fresh(|view| view.read(&key))
    }

    /// Returns the value of this key as a `T`; `None` if there is no document or it is deleted.
    ///
    /// ```
    /// # use crdt_palace::palace::{Error, Palace};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// #[derive(serde::Deserialize)]
    /// struct Plan {
    ///     title: String,
    /// }
    ///
    /// palace.put("notes/plan", &json!({"title": "Plan"}))?;
    /// let plan: Plan = palace.get_as("notes/plan")?.ok_or("it was written")?;
    /// assert_eq!(plan.title, "Plan");
    ///
    /// palace.put("notes/plan", &json!({"title": 7}))?;
    /// assert!(matches!(palace.get_as::<Plan>("notes/plan"), Err(Error::Type { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Type`] if the value is no `T`, or as [`Palace::get`].
    pub fn get_as<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.get(key)?.map(|document| document.value_as()).transpose()
    }

    /// Returns the document of this key, like [`Palace::get`], but without a rescan. Writes of other processes since the
    /// last rescan are not seen.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let other = Palace::open(palace.path())?;
    /// other.put("k", &json!({"a": 1}))?;
    /// assert_eq!(palace.get_unrefreshed("k")?, None); // it has not rescanned
    /// assert!(palace.get("k")?.is_some());
    /// assert!(palace.get_unrefreshed("k")?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::get`].
    pub fn get_unrefreshed(&self, key: &str) -> Result<Option<Document>> {
        let key = Key::new(key)?;
        self.last_view().read(&key)
    }

    /// Returns true if anything was ever written under this key, also if it is deleted now. Makes no rescan.
    ///
    /// # Errors
    /// As [`Palace::get`].
    pub(crate) fn has_history(&self, key: &Key) -> Result<bool> {
        let view = self.last_view();
        if !view.tail.changes(key.as_str()).is_empty() {
            return Ok(true);
        }
        for snapshot in view.snapshots() {
            if snapshot.contains(key.as_str())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the value that a deleted document had before its delete; `None` if it is not deleted. Makes no rescan.
    ///
    /// # Errors
    /// As [`Palace::get`].
    pub(crate) fn before_delete(&self, key: &Key) -> Result<Option<Map<String, Value>>> {
        if !self.has_history(key)? {
            return Ok(None);
        }
        let before = |doc: &Doc| {
            let heads = doc.is_deleted().then(|| doc.before(&doc.heads()))?;
            Some(doc.view_at(&heads).map(|view| view.value))
        };
        let before = self.last_view().ask(key, before)?.flatten().transpose();
        before.map_err(|source| Error::Document { key: key.clone(), source })
    }

    /// Returns the document at a version that its history lists; `None` if it was deleted at that version.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let first = palace.put("k", &json!({"a": 1}))?;
    /// palace.put("k", &json!({"a": 2}))?;
    /// let before = palace.get_at("k", &first.etag)?.ok_or("it was not deleted then")?;
    /// assert_eq!(before.value["a"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`], or as [`Palace::get`].
    pub fn get_at(&self, key: &str, etag: &Etag) -> Result<Option<Document>> {
        let key = Key::new(key)?;
        let view = self.fresh()?;
        let no_version = || Error::NoSuchVersion { key: key.clone(), etag: etag.clone() };
        let at = |doc: &Doc| {
            let heads = doc.resolve(etag).ok_or_else(no_version)?;
            let view = doc.view_at(&heads);
            let view = view.map_err(|source| Error::Document { key: key.clone(), source })?;
            Ok(Document::of(key.clone(), heads, view, false))
        };
        view.ask(&key, at)?.ok_or_else(no_version)?
    }

    /// Returns every change of a document, each after those that it builds on, also of a deleted one.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// palace.put("k", &json!({"a": 2}))?;
    /// let history = palace.history("k")?;
    /// assert_eq!(history.len(), 2);
    /// assert_eq!(history[1].deps, [history[0].hash]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::get`].
    pub fn history(&self, key: &str) -> Result<Vec<ChangeInfo>> {
        let key = Key::new(key)?;
        Ok(self.fresh()?.ask(&key, Doc::history)?.unwrap_or_default())
    }

    /// Returns a page of the documents whose keys start with `prefix`, in the order of their keys: at most `limit` (and
    /// [`PAGE_MAX`]) of them, after the page that gave `cursor`. For all of them, see [`Palace::scan`].
    ///
    /// Each page shows the documents as they are when it is asked for. A document that exists all the time is in exactly
    /// one page, whatever other processes write between the calls.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// for key in ["notes/a", "notes/b", "plans/a"] {
    ///     palace.put(key, &json!({"a": 1}))?;
    /// }
    /// let first = palace.scan_page("notes/", None, 1)?;
    /// assert_eq!(first.documents[0].key.as_str(), "notes/a");
    /// let second = palace.scan_page("notes/", first.cursor.as_deref(), 1)?;
    /// assert_eq!(second.documents[0].key.as_str(), "notes/b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cursor`] if the cursor is not of this prefix, or as [`Palace::get`].
    pub fn scan_page(&self, prefix: &str, cursor: Option<&str>, limit: usize) -> Result<Page> {
        if let Some(cursor) = cursor
            && !cursor.starts_with(prefix)
        {
            return Err(Error::Cursor { text: cursor.to_owned() });
        }
        let limit = limit.clamp(1, PAGE_MAX);
        self.read_fresh(|view| scan(view, prefix, cursor, limit))
    }
}

impl Document {
    /// Deserializes the value.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// #[derive(serde::Deserialize)]
    /// struct Note {
    ///     text: String,
    /// }
    ///
    /// palace.put("notes/a", &json!({"text": "Call Bob."}))?;
    /// for found in palace.scan("notes/") {
    ///     assert_eq!(found?.value_as::<Note>()?.text, "Call Bob.");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Type`] if the value is no `T`.
    pub fn value_as<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.value).map_err(|source| Error::Type { key: self.key.clone(), source })
    }
}

fn scan(view: &View, prefix: &str, cursor: Option<&str>, limit: usize) -> Result<Page> {
    let mut page = Page { documents: Vec::new(), cursor: None };
    let mut last = None;
    let read = |n, after: Option<&str>, limit| rows(view, n, prefix, after, limit);
    // One more than fit says that there are more.
    let mut layers = Layers::new(view.layers(), limit + 1);
    layers.begin(cursor, &read)?;
    while let Some((key, rows)) = layers.next(&read)? {
        if page.documents.len() == limit {
            page.cursor = last;
            break;
        }
        let document = match view.tail.changes(key.as_str()).is_empty() {
            true => view.read_rows(&key, rows.into_iter().flatten().collect())?,
            false => view.read(&key)?,
        };
        page.documents.extend(document);
        last = Some(key.as_str().to_owned());
    }
    Ok(page)
}

/// Returns the next keys of a layer, with their rows.
fn rows(
    view: &View,
    layer: usize,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(Key, Option<ViewRow>)>> {
    let Some(snapshot) = view.snapshots().get(layer) else {
        let keys = view.tail.keys(prefix, after).take(limit);
        return Ok(keys.map(|key| (key.clone(), None)).collect());
    };
    let rows = snapshot.scan(prefix, after, limit)?.into_iter();
    Ok(rows.map(|row| (row.key.clone(), Some(row))).collect())
}
