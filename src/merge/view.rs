//! A document as programs read it: a JSON value, and the conflicts in it.

use super::change_message::Written;
use super::common_version::CommonVersions;
use super::doc::{Doc, is_delete};
use super::earlier_texts::EarlierTexts;
use super::error::MergeError;
use super::hashes::{Hashes, native};
use super::json_pointer::{pointer, value_at, without_indexes};
use super::open_places::{OpenPlace, Reading};
use super::open_texts::OpenTexts;
use super::tree::{MapNode, Node, Slot, Texts};
use super::tree_reader::TreeReader;
use crate::format::hash::{ChangeHash, Heads};
use automerge::{Automerge, ChangeMetadata, ObjId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::ops::Range;

/// A document at one version. The same set of changes gives the same view on every machine.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("k", &json!({"a": 1}))?;
/// palace.write("k", |draft| {
///     let view = draft.view()?;
///     assert_eq!((&view.value["a"], view.deleted), (&json!(1), false));
///     draft.delete()?;
///     assert!(draft.view()?.deleted && draft.view()?.value.is_empty());
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct View {
    /// Value of the document; empty if it is deleted.
    pub value: Map<String, Json>,
    /// Fields to which different values were written concurrently, in the order of their paths. Empty if the
    /// document is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// True if the document is deleted. Its content is kept, and comes back with the next edit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Latest change by the writers' clocks; `None` if the document has no change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Written>,
}

/// Different values that were written to one field concurrently, or different readings of a part of its text.
///
/// Texts are merged line by line, and the text of a drawer sentence by sentence. Only where writers changed the same of
/// these differently, the text is in conflict. A put that leaves a value as it is shown leaves its conflict open. Another
/// value settles it, and so does a patch that names the field, with the shown value too.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let first = palace.put("k", &json!({"n": 0}))?;
/// // Two writers that read the same version:
/// for n in [1, 2] {
///     palace.with(WriteOptions::new().base(first.etag.clone())).put("k", &json!({"n": n}))?;
/// }
/// let found = palace.get("k")?.ok_or("it was written")?;
/// let (shown, conflict) = (&found.value["n"], &found.conflicts[0]);
/// assert_eq!((conflict.path.as_str(), conflict.others.len()), ("/n", 1));
/// assert_ne!(*shown, conflict.others[0].value);
///
/// palace.patch("k", &json!({"n": shown}))?;
/// assert!(palace.get("k")?.ok_or("it was written")?.conflicts.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conflict {
    /// JSON pointer (RFC 6901) into the view's value.
    pub path: String,
    /// Bytes of the text at this path that are in conflict. `None` if the whole value is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range<usize>>,
    /// Writer of the value that is shown.
    pub shown: Written,
    /// Values that are not shown, the latest operation first.
    pub others: Vec<Candidate>,
}

/// A value in conflict, and its writer.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let first = palace.put("k", &json!({"n": 0}))?;
/// for (n, by) in [(1, "ada"), (2, "bob")] {
///     palace.with(WriteOptions::new().base(first.etag.clone()).by(by)).put("k", &json!({"n": n}))?;
/// }
/// let found = palace.get("k")?.ok_or("it was written")?;
/// let lost = &found.conflicts[0].others[0];
/// assert_eq!(lost.value, if lost.written.by == "ada" { 1 } else { 2 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The value.
    pub value: Json,
    /// Writer of the value.
    #[serde(flatten)]
    pub written: Written,
}

/// A conflict that a write settled: values that were in conflict before it, and are nowhere after it.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let first = palace.put("k", &json!({"n": 0}))?;
/// for n in [1, 2] {
///     palace.with(WriteOptions::new().base(first.etag.clone())).put("k", &json!({"n": n}))?;
/// }
/// let receipt = palace.put("k", &json!({"n": 3}))?;
/// let settled = &receipt.settled[0];
/// assert_eq!((settled.path.as_str(), settled.values.len()), ("/n", 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Settled {
    /// JSON pointer (RFC 6901) into the value before the write.
    pub path: String,
    /// Values that are gone. The one that was shown comes first, if it is among them.
    pub values: Vec<Candidate>,
}

impl Doc {
    /// Returns the present view.
    #[must_use]
    pub fn view(&self) -> View {
        self.render(&self.am.get_heads(), None)
    }

    /// Returns the view of a past version.
    ///
    /// # Errors
    /// [`MergeError::UnknownVersion`] if one of the heads is not an applied change.
    pub fn view_at(&self, heads: &Heads) -> Result<View, MergeError> {
        let heads = self.native_heads(heads)?;
        Ok(self.render(&heads, Some(&heads)))
    }

    fn render(&self, at: &Hashes, heads: Option<&Hashes>) -> View {
        let metas = at.iter().filter_map(|head| self.am.get_change_meta_by_hash(head));
        let metas: Vec<ChangeMetadata<'_>> = metas.collect();
        let modified = latest(&metas);
        // The content of a deleted document is still in Automerge: a concurrent edit must find it.
        if !metas.is_empty() && metas.iter().all(is_delete) {
            return View {
                value: Default::default(),
                conflicts: Vec::new(),
                deleted: true,
                modified,
            };
        }
        let mut renderer = Renderer::new(&self.am);
        let value = renderer.map(self.tree(heads));
        View { value, conflicts: renderer.conflicts, deleted: false, modified }
    }

    /// Reads the whole tree of a version, or of the present one if `None`, also of a deleted document.
    pub(super) fn tree(&self, base: Option<&Hashes>) -> MapNode {
        self.read(base, |reader| reader.root())
    }

    /// Reads a version, or the present one if `None`.
    pub(super) fn read<T>(
        &self,
        heads: Option<&Hashes>,
        read: impl FnOnce(&TreeReader<'_>) -> T,
    ) -> T {
        let common = &CommonVersions::new(&self.am, &self.graph);
        // A drawer is flat, and most reads are of drawers.
        let is_flat = self.prose.is_some();
        let kept = (!is_flat).then(|| self.removals.kept(&self.am, &self.graph, heads)).flatten();
        let (prose, kept) = (self.prose, kept.as_deref());
        let open = &OpenTexts::new(&self.am, common);
        let (am, earlier) = (&self.am, &EarlierTexts::default());
        read(&TreeReader { am, heads, prose, common, open, earlier, ancestor: 0, kept })
    }
}

impl View {
    /// Returns true if a server that does not merge texts may have made this view: it has a conflict of whole texts, which
    /// may show what none of their writers meant.
    pub(crate) fn predates_text_merge(&self, prose: Option<&str>) -> bool {
        let is_text = |conflict: &Conflict| {
            let is_prose =
                prose.is_some_and(|field| conflict.path.strip_prefix('/') == Some(field));
            let shown = value_at(&self.value, &conflict.path);
            let mut values = conflict.others.iter().map(|other| &other.value).chain(shown);
            is_prose || values.any(|value| value.as_str().is_some_and(|text| text.contains('\n')))
        };
        self.conflicts.iter().any(|conflict| conflict.range.is_none() && is_text(conflict))
    }

    /// Returns the values in conflict in this view that `after` has neither shown nor in conflict.
    ///
    /// Positions in lists may have moved in between, so paths are compared without them.
    pub(super) fn settled_by(&self, after: &View) -> Vec<Settled> {
        // Nearly every document has no conflict, so nothing is built for it.
        if self.conflicts.is_empty() {
            return Vec::new();
        }
        let mut left: HashMap<String, Vec<Candidate>> = HashMap::new();
        for conflict in &after.conflicts {
            let here = left.entry(without_indexes(&after.value, &conflict.path)).or_default();
            here.extend(after.candidates(conflict));
        }
        // The same value may still be there: shown, or in another conflict of the same list. A reading of a part of a
        // text is there if the text has it anywhere.
        let settled = |conflict: &Conflict| {
            let left = left
                .get(&without_indexes(&self.value, &conflict.path))
                .map_or(&[][..], Vec::as_slice);
            let shown = value_at(&after.value, &conflict.path);
            let gone = |one: &Candidate| {
                !left.iter().any(|left| left.value == one.value) && !is_shown(conflict, one, shown)
            };
            let values: Vec<_> = self.candidates(conflict).filter(gone).collect();
            (!values.is_empty()).then(|| Settled { path: conflict.path.clone(), values })
        };
        self.conflicts.iter().filter_map(settled).collect()
    }

    /// Iterates over all values of a conflict, the shown one first.
    fn candidates<'a>(&'a self, conflict: &'a Conflict) -> impl Iterator<Item = Candidate> + 'a {
        let shown = conflict.shown_value(&self.value);
        let shown = shown.map(|value| Candidate { value, written: conflict.shown.clone() });
        shown.into_iter().chain(conflict.others.iter().cloned())
    }
}

impl Conflict {
    /// Returns true if this is the same conflict: of the same values at the same path. A part of a text may have moved.
    pub(crate) fn is_same(&self, other: &Conflict) -> bool {
        let is_part = |conflict: &Conflict| conflict.range.is_some();
        (&self.path, &self.shown, &self.others) == (&other.path, &other.shown, &other.others)
            && is_part(self) == is_part(other)
    }

    /// Returns true if a value is one of the readings, shown or not, in the value of the document.
    pub(crate) fn has_reading(&self, reading: &Json, document: &Map<String, Json>) -> bool {
        self.others.iter().any(|other| other.value == *reading)
            || self.shown_value(document).as_ref() == Some(reading)
    }

    /// Returns the name of the field of the document that this is in.
    pub(crate) fn field(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    /// Returns the value that is shown, or the part of the text that is, in the value of the document.
    ///
    /// ```
    /// # use crdt_palace::palace::{Palace, WriteOptions};
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let first = palace.put("k", &json!({"text": "one\ntwo\n"}))?;
    /// for text in ["one\n2\n", "one\nII\n"] {
    ///     palace.with(WriteOptions::new().base(first.etag.clone())).put("k", &json!({"text": text}))?;
    /// }
    /// let found = palace.get("k")?.ok_or("it was written")?;
    /// let conflict = &found.conflicts[0];
    /// assert_eq!(conflict.range, Some(4..found.value["text"].as_str().ok_or("a text")?.len() - 1));
    /// let mut readings = [conflict.shown_value(&found.value), Some(conflict.others[0].value.clone())];
    /// readings.sort_by_key(|reading| reading.as_ref().map(ToString::to_string));
    /// assert_eq!(readings, [Some(json!("2")), Some(json!("II"))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shown_value(&self, value: &Map<String, Json>) -> Option<Json> {
        let whole = value_at(value, &self.path)?;
        match &self.range {
            None => Some(whole.clone()),
            Some(range) => whole.as_str()?.get(range.clone()).map(Json::from),
        }
    }
}

/// Returns true if the value of a candidate is what a field shows now, or a part of it if it was a reading of a part.
fn is_shown(conflict: &Conflict, one: &Candidate, shown: Option<&Json>) -> bool {
    match (&conflict.range, shown, &one.value) {
        (Some(_), Some(Json::String(now)), Json::String(reading)) => now.contains(reading.as_str()),
        (_, now, value) => now == Some(value),
    }
}

/// Turns the tree into JSON, and collects the conflicts on the way.
struct Renderer<'a> {
    am: &'a Automerge,
    /// Steps from the root to the field in hand.
    path: Vec<String>,
    conflicts: Vec<Conflict>,
}

impl<'a> Renderer<'a> {
    fn new(am: &'a Automerge) -> Self {
        Renderer { am, path: Vec::new(), conflicts: Vec::new() }
    }

    fn map(&mut self, map: MapNode) -> Map<String, Json> {
        let field = |(key, slot)| (String::clone(&key), self.slot(key, slot));
        map.fields.into_iter().map(field).collect()
    }

    fn slot(&mut self, step: String, slot: Slot) -> Json {
        // Conflicts are collected before their children, so that they come in the order of their paths.
        self.path.push(step);
        if !slot.losers.is_empty() {
            self.conflict(&slot);
        }
        if let Some(texts) = &slot.texts {
            self.text_conflicts(texts);
        }
        let value = match slot.shown {
            Node::Json(value) => value,
            Node::Counter(n) => Json::from(n),
            Node::Text { text, .. } => Json::String(text),
            Node::Map(map) => Json::Object(self.map(map)),
            Node::List(list) => {
                let items = list.items.into_iter().enumerate();
                Json::Array(items.map(|(n, item)| self.slot(n.to_string(), item.slot)).collect())
            }
        };
        self.path.pop();
        value
    }

    fn conflict(&mut self, slot: &Slot) {
        let others = slot.lost_readings().map(|reading| Candidate {
            written: match reading.edited {
                Some(edited) => written_in(self.am, Some(edited)),
                None => written(self.am, reading.id),
            },
            value: reading.value,
        });
        let conflict = Conflict {
            path: pointer(self.path.iter().map(String::as_str)),
            range: None,
            shown: written(self.am, &slot.id),
            others: others.collect(),
        };
        self.conflicts.push(conflict);
    }

    fn text_conflicts(&mut self, texts: &Texts) {
        let path = pointer(self.path.iter().map(String::as_str));
        let writer = |change: &ChangeHash| written_in(self.am, Some(native(change)));
        let candidate = |reading: &Reading| Candidate {
            value: reading.text.as_str().into(),
            written: writer(&reading.change),
        };
        let conflict = |(place, bytes): (&OpenPlace, Range<usize>)| Conflict {
            path: path.clone(),
            range: Some(bytes),
            shown: writer(&place.shown),
            others: place.others.iter().map(candidate).collect(),
        };
        let bytes = texts.shown.bytes(texts.size);
        self.conflicts.extend(texts.shown.open.iter().zip(bytes).map(conflict));
    }
}

/// Returns the change with the latest time. Clocks may be wrong, so the hash decides between equal times, the same way on
/// every machine.
fn latest(changes: &[ChangeMetadata<'_>]) -> Option<Written> {
    changes.iter().map(Written::new).max_by_key(|written| (written.time_ms, written.change))
}

/// Returns the writer of the change that an operation belongs to.
fn written(am: &Automerge, operation: &ObjId) -> Written {
    written_in(am, am.hash_for_opid(operation))
}

/// Returns the writer of a change.
fn written_in(am: &Automerge, change: Option<automerge::ChangeHash>) -> Written {
    let meta = change.and_then(|hash| am.get_change_meta_by_hash(&hash));
    // The default is never seen: every operation in a document belongs to one of its changes.
    meta.as_ref().map(Written::new).unwrap_or_else(|| Written {
        by: String::new(),
        time_ms: 0,
        change: ChangeHash([0; 32]),
    })
}
