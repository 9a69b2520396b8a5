//! A document as people and programs read it: a JSON value, and what is in conflict.

use super::change_message::Written;
use super::doc::Doc;
use super::error::MergeError;
use super::hashes::Hashes;
use super::tree::{MapNode, Node, Slot, TreeReader};
use crate::format::hash::{ChangeHash, Heads};
use automerge::{Automerge, ObjId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// A document at one version. The same changes give the same view on every machine.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("k", json!({"a": 1}).as_object().ok_or("an object")?)?;
/// palace.write("k", &WriteOptions::default(), |draft| {
///     let view = draft.view()?;
///     assert_eq!((&view.value["a"], view.deleted), (&json!(1), false));
///     draft.delete()?;
///     assert!(draft.view()?.deleted && draft.view()?.value.is_empty());
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The document; empty if it is deleted.
    pub value: Map<String, Json>,
    /// The fields to which different values were written at the same time, in the order of their
    /// paths. Empty if the document is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Whether the document is deleted (its content is kept, and comes back with the next edit).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The latest change, by the writers' clocks; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Written>,
}

/// Different values that were written to one field at the same time. Writing the field again, also
/// with the shown value, settles it.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let first = palace.put("k", json!({"n": 0}).as_object().ok_or("an object")?)?;
/// // Two writers who saw the same version:
/// for n in [1, 2] {
///     let options = WriteOptions { base: Some(first.etag.clone()), ..WriteOptions::default() };
///     palace.put_with("k", json!({"n": n}).as_object().ok_or("an object")?, &options)?;
/// }
/// let found = palace.get("k")?.ok_or("it was written")?;
/// let (shown, conflict) = (&found.value["n"], &found.conflicts[0]);
/// assert_eq!((conflict.path.as_str(), conflict.others.len()), ("/n", 1));
/// assert_ne!(*shown, conflict.others[0].value);
///
/// palace.put("k", json!({"n": shown}).as_object().ok_or("an object")?)?;
/// assert!(palace.get("k")?.ok_or("it was written")?.conflicts.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Where: a JSON pointer (RFC 6901) into the view's value.
    pub path: String,
    /// Who wrote the value that is shown.
    pub shown: Written,
    /// The values that are not shown, the latest operation first.
    pub others: Vec<Candidate>,
}

/// A value that lost.
///
/// ```
/// use crdt_palace::palace::WriteOptions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// let first = palace.put("k", json!({"n": 0}).as_object().ok_or("an object")?)?;
/// for (n, by) in [(1, "ada"), (2, "bob")] {
///     let (base, by) = (Some(first.etag.clone()), Some(by.to_owned()));
///     let options = WriteOptions { base, by, ..WriteOptions::default() };
///     palace.put_with("k", json!({"n": n}).as_object().ok_or("an object")?, &options)?;
/// }
/// let found = palace.get("k")?.ok_or("it was written")?;
/// let lost = &found.conflicts[0].others[0];
/// assert_eq!(lost.value, if lost.written.by == "ada" { 1 } else { 2 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The value.
    pub value: Json,
    /// Who wrote it.
    #[serde(flatten)]
    pub written: Written,
}

/// What a write put an end to: values that were in conflict before it, and are nowhere after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// Where it was: a JSON pointer (RFC 6901) into the value before the write.
    pub path: String,
    /// The values that are gone, the one that was shown first if it is among them.
    pub values: Vec<Candidate>,
}

impl Doc {
    /// The document as it is now.
    #[must_use]
    pub fn view(&self) -> View {
        self.render(&self.am.get_heads(), None)
    }

    /// The document as it was at `heads`.
    ///
    /// # Errors
    /// [`MergeError::UnknownVersion`] if one of them is not a change of this document.
    pub fn view_at(&self, heads: &Heads) -> Result<View, MergeError> {
        let heads = self.native_heads(heads)?;
        Ok(self.render(&heads, Some(&heads)))
    }

    fn render(&self, at: &Hashes, heads: Option<&Hashes>) -> View {
        let modified = self.modified_at(at);
        if self.deleted_at(at) {
            return View {
                value: Default::default(),
                conflicts: Vec::new(),
                deleted: true,
                modified,
            };
        }
        let mut rendering = Renderer::new(&self.am);
        let value = rendering.map(TreeReader { am: &self.am, heads }.root());
        View { value, conflicts: rendering.conflicts, deleted: false, modified }
    }

    fn modified_at(&self, heads: &Hashes) -> Option<Written> {
        let written = |hash| Some(Written::new(&self.am.get_change_meta_by_hash(hash)?));
        heads.iter().filter_map(written).max_by_key(|written| (written.time_ms, written.change))
    }

    pub(super) fn root(&self, base: Option<&Hashes>) -> MapNode {
        TreeReader { am: &self.am, heads: base }.root()
    }
}

impl View {
    /// The values in conflict here that `after` does not have any more, neither shown nor in conflict. In
    /// between, places in lists may have moved.
    pub(super) fn settled_by(&self, after: &View) -> Vec<Settled> {
        if self.conflicts.is_empty() {
            return Vec::new();
        }
        let mut left: HashMap<String, Vec<Candidate>> = HashMap::new();
        for conflict in &after.conflicts {
            let here = left.entry(without_indexes(&after.value, &conflict.path)).or_default();
            here.extend(after.candidates(conflict));
        }
        let settled = |conflict: &Conflict| {
            let left = left
                .get(&without_indexes(&self.value, &conflict.path))
                .map_or(&[][..], Vec::as_slice);
            let shown = value_at(&after.value, &conflict.path);
            let gone = |one: &Candidate| !left.contains(one) && shown != Some(&one.value);
            let values: Vec<_> = self.candidates(conflict).filter(gone).collect();
            (!values.is_empty()).then(|| Settled { path: conflict.path.clone(), values })
        };
        self.conflicts.iter().filter_map(settled).collect()
    }

    /// All values of a conflict, the shown one first.
    fn candidates<'a>(&'a self, conflict: &'a Conflict) -> impl Iterator<Item = Candidate> + 'a {
        let shown = value_at(&self.value, &conflict.path).cloned();
        let shown = shown.map(|value| Candidate { value, written: conflict.shown.clone() });
        shown.into_iter().chain(conflict.others.iter().cloned())
    }
}

/// A JSON pointer, but for where in lists it leads.
fn without_indexes(value: &Map<String, Json>, path: &str) -> String {
    let (mut place, mut end) = (String::new(), 0);
    for step in path.split('/').skip(1) {
        let in_list =
            value_at(value, path.get(..end).unwrap_or_default()).is_some_and(Json::is_array);
        place.extend(["/", if in_list { "#" } else { step }]);
        end += 1 + step.len();
    }
    place
}

/// What stands at a JSON pointer that leads to a field of the map, or deeper.
fn pointed<'a>(value: &'a Map<String, Json>, path: &str) -> Option<&'a Json> {
    let path = path.strip_prefix('/')?;
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    value.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
}

/// Turns the tree into JSON and collects the conflicts on the way.
struct Renderer<'a> {
    am: &'a Automerge,
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
        self.path.push(step);
        if !slot.losers.is_empty() {
            self.conflict(&slot);
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
        let others = slot.losers.iter().map(|loser| Candidate {
            value: loser.node.to_json(),
            written: written(self.am, &loser.id),
        });
        let conflict = Conflict {
            path: pointer(self.path.iter().map(String::as_str)),
            shown: written(self.am, &slot.id),
            others: others.collect(),
        };
        self.conflicts.push(conflict);
    }
}

/// The JSON pointer of a path.
pub(super) fn pointer<'a>(path: impl Iterator<Item = &'a str>) -> String {
    path.flat_map(|step| ["/".to_owned(), step.replace('~', "~0").replace('/', "~1")]).collect()
}

fn written(am: &Automerge, operation: &ObjId) -> Written {
    let meta = am.hash_for_opid(operation).and_then(|hash| am.get_change_meta_by_hash(&hash));
    // Every operation in a document belongs to one of its changes.
    meta.as_ref().map(Written::new).unwrap_or_else(|| Written {
        by: String::new(),
        time_ms: 0,
        change: ChangeHash([0; 32]),
    })
}
