//! One document in the middle of a write: what it is, and ways to change it.
//!
//! Invariant: what a draft shows is the document with the changes made so far. The document itself is
//! only made when somebody looks at it or changes it again: most are written as a whole, once.

use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::merge::automerge::{AutomergeError, transaction::Transaction};
use crate::merge::{Doc, MergeError, NewChange, Stamp, View, first_change};
use serde_json::{Map, Value};

type Result<T, E = MergeError> = std::result::Result<T, E>;

/// A document in the middle of a write.
///
/// Every change made through it is part of the one commit.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// for expected in [false, true] {
///     palace.write("k", &WriteOptions::default(), |draft| {
///         assert_eq!(draft.exists(), expected);
///         draft.increment(&["visits"], 1)?;
///         draft.increment(&["visits"], 1)?;
///         assert!(draft.view()?.value["visits"].as_i64() >= Some(2));
///         Ok(())
///     })?;
/// }
/// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["visits"], 4);
/// assert_eq!(palace.changes_since(&Default::default(), 10)?.commits.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Draft<'a> {
    /// `None` if there is nothing of it, or nothing but the first of `changes`.
    doc: Option<Doc>,
    stamp: Stamp<'a>,
    base: Option<Heads>,
    changes: Vec<NewChange>,
    /// Why a change is in the document and not among `changes`: what comes after it builds on it.
    harmed: Option<MergeError>,
}

/// What became of a draft.
pub(super) struct Written {
    /// The document, if it was needed.
    pub doc: Option<Doc>,
    /// Its version.
    pub heads: Heads,
    /// What was done.
    pub changes: Vec<NewChange>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(doc: Option<Doc>, stamp: Stamp<'a>, base: Option<Heads>) -> Self {
        Draft { doc, stamp, base, changes: Vec::new(), harmed: None }
    }

    /// # Errors
    /// Why a change of it was refused, if that was found out when it was made.
    pub(super) fn finish(self) -> Result<Written> {
        if let Some(error) = self.harmed {
            return Err(error);
        }
        let heads = match &self.doc {
            Some(doc) => doc.heads(),
            None => Heads::new(self.changes.iter().map(|change| change.hash).collect()),
        };
        Ok(Written { doc: self.doc, heads, changes: self.changes })
    }

    fn doc(&mut self) -> Result<&mut Doc> {
        if self.doc.is_none() {
            let mut doc = Doc::new();
            let applied = doc.apply(self.changes.iter().map(|change| change.bytes.as_slice()));
            if let Some((_, error)) = applied.rejected.into_iter().next() {
                return Err(error);
            }
            self.doc = Some(doc);
        }
        Ok(self.doc.get_or_insert_default())
    }

    /// The document as it is, with the changes made so far; `deleted` says whether it is hidden.
    ///
    /// # Errors
    /// [`MergeError`] if Automerge refuses a change that was just made.
    pub fn view(&mut self) -> Result<View> {
        Ok(self.doc()?.view())
    }

    /// Whether there is such a document: it has a change, and is not deleted.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.doc.as_ref().map_or(!self.changes.is_empty(), exists)
    }

    /// Makes the whole document this value; only what differs becomes operations.
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let value = json!({"a": 1});
    /// let value = value.as_object().ok_or("an object")?;
    /// palace.write("k", &WriteOptions::default(), |draft| draft.put(value))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value, *value);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] if the value is over 1 MiB, nested deeper than 64, or over 100,000 operations.
    pub fn put(&mut self, value: &Map<String, Value>) -> Result<()> {
        if self.doc.is_none() && self.changes.is_empty() {
            self.changes.push(first_change(&self.stamp, value)?);
            return Ok(());
        }
        self.change(|doc, stamp, base| doc.put(stamp, base, value))
    }

    /// Applies a JSON merge patch (RFC 7396): `null` removes a field.
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", json!({"a": 1, "list": [1, 2, 3]}).as_object().ok_or("an object")?)?;
    /// let patch = json!({"a": 2, "list": null});
    /// let patch = patch.as_object().ok_or("an object")?;
    /// palace.write("k", &WriteOptions::default(), |draft| draft.patch(patch))?;
    /// assert_eq!(serde_json::Value::Object(palace.get("k")?.ok_or("it was written")?.value), json!({"a": 2}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Draft::put`].
    pub fn patch(&mut self, patch: &Map<String, Value>) -> Result<()> {
        self.change(|doc, stamp, base| doc.patch(stamp, base, patch))
    }

    /// Adds to the counter at a path, which is made if it is not there.
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.write("k", &WriteOptions::default(), |draft| draft.increment(&["visits", "today"], 3))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["visits"], json!({"today": 3}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] if something else than a counter is there.
    pub fn increment(&mut self, path: &[&str], by: i64) -> Result<()> {
        self.change(|doc, stamp, base| doc.increment(stamp, base, path, by))
    }

    /// Appends to the list at a path.
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", json!({"a": 1, "list": [1, 2, 3]}).as_object().ok_or("an object")?)?;
    /// palace.write("k", &WriteOptions::default(), |draft| draft.append(&["list"], &[json!(4)]))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["list"], json!([1, 2, 3, 4]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] if there is no list.
    pub fn append(&mut self, path: &[&str], values: &[Value]) -> Result<()> {
        self.change(|doc, stamp, _| doc.append(stamp, path, values))
    }

    /// Removes the items of the list at a path for which `which` says so.
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", json!({"a": 1, "list": [1, 2, 3]}).as_object().ok_or("an object")?)?;
    /// palace.write("k", &WriteOptions::default(), |draft| draft.remove_items(&["list"], &|item| *item == 2))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["list"], json!([1, 3]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] if there is no list.
    pub fn remove_items(&mut self, path: &[&str], which: &dyn Fn(&Value) -> bool) -> Result<()> {
        self.change(|doc, stamp, _| doc.remove_items(stamp, path, which))
    }

    /// Hides the document. An edit that is concurrent with this brings it back whole: so where the write
    /// names a base, and the document has changed since, there is nothing to do.
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", json!({"a": 1, "list": [1, 2, 3]}).as_object().ok_or("an object")?)?;
    /// palace.write("k", &WriteOptions::default(), |draft| draft.delete())?;
    /// assert_eq!(palace.get("k")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] if Automerge refuses.
    pub fn delete(&mut self) -> Result<()> {
        self.change(|doc, stamp, base| match base {
            Some(base) if *base != doc.heads() => Ok(None),
            _ => doc.delete(stamp),
        })
    }

    /// Changes the document through an Automerge transaction, for everything else. If the closure
    /// fails, nothing of it remains.
    ///
    /// ```
    /// # use crdt_palace::palace::WriteOptions;
    /// use crdt_palace::palace::automerge::{ObjType, ROOT, transaction::Transactable};
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    ///
    /// palace.write("k", &WriteOptions::default(), |draft| {
    ///     let text = draft.edit(|tx| tx.put_object(ROOT, "text", ObjType::Text))?;
    ///     draft.edit(|tx| tx.splice_text(&text, 0, 0, "Once"))
    /// })?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["text"], "Once");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] with the closure's error.
    pub fn edit<T>(
        &mut self,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<T, AutomergeError>,
    ) -> Result<T> {
        let mut result = None;
        self.change(|doc, stamp, base| {
            let (done, change) = doc.edit(stamp, base, edit)?;
            result = Some(done);
            Ok(change)
        })?;
        result.ok_or_else(|| MergeError::Refused { why: "an edit gave nothing".to_owned() })
    }

    /// Files this value under a key that was derived from it: whoever does so makes the same first
    /// change, byte for byte, so that the same content filed twice is one document without conflicts.
    /// Filing what is there already changes nothing.
    ///
    /// ```
    /// use crdt_palace::palace::{Key, WriteOptions};
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    ///
    /// let value = json!({"text": "said once"});
    /// let (key, value) = (Key::new("said/once")?, value.as_object().ok_or("an object")?);
    /// let file = || palace.write(key.as_str(), &WriteOptions::default(), |draft| draft.file(&key, value));
    /// assert!(file()?.changed);
    /// assert!(!file()?.changed);
    /// assert_eq!(palace.get("said/once")?.ok_or("it was filed")?.value, *value);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Draft::put`].
    pub fn file(&mut self, key: &Key, value: &Map<String, Value>) -> Result<()> {
        if self.exists() {
            return Ok(());
        }
        let first = Doc::content_derived_change(key, value)?;
        let doc = self.doc()?;
        let known = doc.contains(&first.hash);
        if !known
            && let Some((_, error)) = doc.apply([&first.bytes[..]]).rejected.into_iter().next()
        {
            return Err(error);
        }
        self.changes.extend((!known).then_some(first));
        self.change(|doc, stamp, _| doc.record_filing(stamp).map(Some))
    }

    fn change(
        &mut self,
        change: impl FnOnce(&mut Doc, &Stamp<'_>, Option<&Heads>) -> Result<Option<NewChange>>,
    ) -> Result<()> {
        let (stamp, base) = (self.stamp, self.base.clone());
        let doc = self.doc()?;
        let before = doc.heads();
        let made = change(doc, &stamp, base.as_ref());
        if let Err(error) = &made
            && doc.heads() != before
        {
            self.harmed = Some(error.clone());
        }
        let made = made?;
        // What follows in this commit builds on what was just done.
        if made.is_some() {
            self.base = None;
        }
        self.changes.extend(made);
        Ok(())
    }
}

/// Whether readers see a document.
pub(super) fn exists(doc: &Doc) -> bool {
    !doc.heads().is_empty() && !doc.is_deleted()
}
