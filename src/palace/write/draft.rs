//! One document in the middle of a write.
//!
//! Invariant: a draft shows the document with the changes made so far. The document itself is made only when it is
//! shown or changed again, because most are written once, as a whole.

use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::merge::automerge::{AutomergeError, transaction::Transaction};
use crate::merge::{Conflict, Doc, MergeError, NewChange, Stamp, ValueType, View, first_change};
use serde::Serialize;
use serde_json::{Map, Value};

type Result<T, E = MergeError> = std::result::Result<T, E>;

/// A document in the middle of a write.
///
/// Every change made through it is part of the one commit.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// for expected in [false, true] {
///     palace.write("k", |draft| {
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
    /// `None` if the document has no change, or only the first of `changes`.
    pub(super) doc: Option<Doc>,
    /// Field whose text is prose.
    prose: Option<&'static str>,
    stamp: Stamp<'a>,
    /// Name of the commit whose effect the next change takes back; empty if it takes back none.
    pub(super) undoes: String,
    /// The version that the next change builds on; `None` is the present one.
    pub(super) base: Option<Heads>,
    pub(super) changes: Vec<NewChange>,
    /// The version right after the last of them: one change, or those that one write made beside each other, and what
    /// they were made from and do not build on. Empty if there is none.
    pub(super) last: Heads,
    /// The reason why a change is in the document and not among `changes`. Later changes would build on it.
    harmed: Option<MergeError>,
}

/// A draft whose changes are made.
pub(super) struct Written {
    /// The document, if it was needed.
    pub doc: Option<Doc>,
    /// Its version.
    pub heads: Heads,
    /// The version right after the last changes, with only what they were made from. Without a change it is the version
    /// that a change would have been made from.
    pub own: Heads,
    /// The changes.
    pub changes: Vec<NewChange>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(key: &Key, doc: Option<Doc>, stamp: Stamp<'a>, base: Option<Heads>) -> Self {
        let prose = key.prose_field();
        Draft {
            doc,
            prose,
            stamp,
            undoes: String::new(),
            base,
            changes: Vec::new(),
            last: Heads::default(),
            harmed: None,
        }
    }

    /// Ends the draft.
    ///
    /// # Errors
    /// The reason why one of its changes was refused, if that came out when it was made.
    pub(super) fn finish(self) -> Result<Written> {
        if let Some(error) = self.harmed {
            return Err(error);
        }
        let (heads, own) = (self.version(), self.own_version());
        Ok(Written { doc: self.doc, heads, own, changes: self.changes })
    }

    pub(super) fn doc(&mut self) -> Result<&mut Doc> {
        if self.doc.is_none() {
            let mut doc = Doc::new().with_prose(self.prose);
            let applied = doc.apply(self.changes.iter().map(|change| change.bytes.as_slice()));
            if let Some((_, error)) = applied.rejected.into_iter().next() {
                return Err(error);
            }
            self.doc = Some(doc);
        }
        Ok(self.doc.get_or_insert_default())
    }

    /// Returns the document with the changes made so far. `deleted` is true if it is hidden.
    ///
    /// # Errors
    /// [`MergeError`] if Automerge refuses a change that was just made.
    pub fn view(&mut self) -> Result<View> {
        Ok(self.doc()?.view())
    }

    /// Returns true if there is such a document: it has a change, and is not deleted.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.doc.as_ref().map_or(!self.changes.is_empty(), exists)
    }

    /// Writes the document as a whole. Only the differences become operations.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.write("k", |draft| draft.put(&json!({"a": 1})))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["a"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] if the value is no object, over 1 MiB, nested deeper than 64, or over 100,000 operations.
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.put_object(&object(value)?)
    }

    pub(in crate::palace) fn put_object(&mut self, value: &Map<String, Value>) -> Result<()> {
        if self.doc.is_none() && self.changes.is_empty() {
            let first = first_change(&self.stamp, value)?;
            self.last = Heads::new(vec![first.hash]);
            self.changes.push(first);
            return Ok(());
        }
        self.change(|doc, stamp, base| doc.put(stamp, base, value))
    }

    /// Applies a JSON merge patch (RFC 7396): `null` removes a field.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1, "list": [1, 2, 3]}))?;
    /// let patch = json!({"a": 2, "list": null});
    /// palace.write("k", |draft| draft.patch(&patch))?;
    /// assert_eq!(serde_json::Value::Object(palace.get("k")?.ok_or("it was written")?.value), json!({"a": 2}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Draft::put`].
    pub fn patch<T: Serialize + ?Sized>(&mut self, patch: &T) -> Result<()> {
        self.patch_object(&object(patch)?)
    }

    pub(in crate::palace) fn patch_object(&mut self, patch: &Map<String, Value>) -> Result<()> {
        self.change(|doc, stamp, base| doc.patch(stamp, base, patch))
    }

    /// Changes the fields that a patch names, like [`Draft::patch`], but leaves a conflict open where the patch leaves a
    /// value, or a part of a text, as it is shown.
    pub(crate) fn revise(&mut self, patch: &Map<String, Value>) -> Result<()> {
        self.change(|doc, stamp, base| doc.revise(stamp, base, patch))
    }

    /// Settles one conflict of the document: makes its field, or its part of a text, show `value`. Everything else in the
    /// document stays as it is, and other conflicts stay open.
    ///
    /// ```
    /// use crdt_palace::palace::WriteOptions;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let first = palace.put("k", &json!({"text": "one\ntwo\nthree"}))?;
    /// for text in ["one\n2\nthree", "1\nII\nthree"] {
    ///     palace.with(WriteOptions::new().base(first.etag.clone())).put("k", &json!({"text": text}))?;
    /// }
    /// let conflict = palace.get("k")?.ok_or("it was written")?.conflicts.remove(0);
    /// palace.write("k", |draft| draft.settle(&conflict, &json!("2")))?;
    /// let settled = palace.get("k")?.ok_or("it was written")?;
    /// assert_eq!((&settled.value["text"], settled.conflicts.len()), (&json!("1\n2\nthree"), 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError::NoConflict`] if the document does not have this conflict any more, and as [`Draft::put`].
    pub fn settle(&mut self, conflict: &Conflict, value: &Value) -> Result<()> {
        self.change(|doc, stamp, _| doc.settle_conflict(stamp, conflict, value))
    }

    /// Adds to the counter at a path, and makes it if it is not there.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.write("k", |draft| draft.increment(&["visits", "today"], 3))?;
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
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1, "list": [1, 2, 3]}))?;
    /// palace.write("k", |draft| draft.append(&["list"], &[json!(4)]))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["list"], json!([1, 2, 3, 4]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] if there is no list.
    pub fn append(&mut self, path: &[&str], values: &[Value]) -> Result<()> {
        self.change(|doc, stamp, _| doc.append(stamp, path, values))
    }

    /// Removes the items of the list at a path for which `which` returns true.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1, "list": [1, 2, 3]}))?;
    /// palace.write("k", |draft| draft.remove_items(&["list"], &|item| *item == 2))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["list"], json!([1, 3]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MergeError`] if there is no list.
    pub fn remove_items(&mut self, path: &[&str], which: &dyn Fn(&Value) -> bool) -> Result<()> {
        self.change(|doc, stamp, _| doc.remove_items(stamp, path, which))
    }

    /// Hides the document. A concurrent edit brings it back whole. So if the write names a base, and the document has
    /// changed since, this does nothing.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1, "list": [1, 2, 3]}))?;
    /// palace.write("k", |draft| draft.delete())?;
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
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    ///
    /// palace.write("k", |draft| {
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

    /// Files this value under a key that was derived from it. Every process makes the same first change of it, byte for
    /// byte, so the same content filed twice is one document without conflicts. Filing it again changes nothing.
    ///
    /// ```
    /// use crdt_palace::palace::Key;
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    ///
    /// let (key, value) = (Key::new("said/once")?, json!({"text": "said once"}));
    /// let file = || palace.write(key.as_str(), |draft| draft.file(&key, &value));
    /// assert!(file()?.changed);
    /// assert!(!file()?.changed);
    /// assert_eq!(palace.get("said/once")?.ok_or("it was filed")?.value["text"], "said once");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Draft::put`].
    pub fn file<T: Serialize + ?Sized>(&mut self, key: &Key, value: &T) -> Result<()> {
        if self.exists() {
            return Ok(());
        }
        let first = Doc::content_derived_change(key, &object(value)?)?;
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

    pub(super) fn change(
        &mut self,
        change: impl FnOnce(&mut Doc, &Stamp<'_>, Option<&Heads>) -> Result<Option<NewChange>>,
    ) -> Result<()> {
        let (stamp, base, undoes) = (self.stamp, self.base.clone(), self.undoes.clone());
        let stamp = Stamp { undoes: &undoes, ..stamp };
        let doc = self.doc()?;
        let before = doc.heads();
        let made = change(doc, &stamp, base.as_ref());
        if let Err(error) = &made
            && doc.heads() != before
        {
            self.harmed = Some(error.clone());
        }
        let made = made?;
        if let Some(made) = made {
            self.last = Heads::new(vec![made.hash]);
            self.changes.push(made);
            // A later change of the draft builds on this, and on nothing that it was concurrent with.
            self.base = self.base.take().map(|_| self.last.clone());
        }
        Ok(())
    }
}

/// Serializes a caller's value, which must become a JSON object.
///
/// # Errors
/// [`MergeError::NotAnObject`], [`MergeError::NotJson`].
pub(in crate::palace) fn object<T: Serialize + ?Sized>(value: &T) -> Result<Map<String, Value>> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(MergeError::NotAnObject { found: ValueType::of_json(&other) }),
        Err(error) => Err(MergeError::NotJson { why: error.to_string() }),
    }
}

/// Returns true if readers see a document.
pub(super) fn exists(doc: &Doc) -> bool {
    !doc.heads().is_empty() && !doc.is_deleted()
}
