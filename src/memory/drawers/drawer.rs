//! A drawer, and its form as a document.

use super::place::{self, Place, drawer_id};
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::merge::{Conflict, View, Written};
use crate::palace::Document;
use serde_json::{Map, Value};

/// The longest text of a drawer, in characters.
pub const CONTENT_CHARS_MAX: usize = 100_000;

/// The field of a drawer that holds its filings, a list.
pub(in crate::memory) const FILINGS: &str = "filings";

/// A drawer, as it is now or as it was at a version.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// let place = Place::new("atlas", "decisions")?;
/// let item = Item::new(place.clone(), "We sign tokens with RSA.")?.said(Some("adr/7.md"), Some("ada"))?;
/// let id = drawers.file(&[item])?.remove(0).id;
/// let drawer = drawers.get(&id)?;
/// assert_eq!((drawer.place, drawer.content.as_str()), (place, "We sign tokens with RSA."));
/// assert_eq!((drawer.source_files, drawer.added_by), (vec!["adr/7.md".into()], vec!["ada".into()]));
/// assert!(drawer.diary.is_none() && drawer.conflicts.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Drawer {
    /// The key of its document.
    pub(crate) key: Key,
    /// The full hashes behind `etag`.
    pub(crate) heads: Heads,
    /// Its id.
    pub id: String,
    /// The wing and room that it is in now.
    pub place: Place,
    /// Its text.
    pub content: String,
    /// The time of its first filing, in milliseconds since 1970, by the clock of the process that filed it.
    pub filed_ms: Option<i64>,
    /// The offset of the time zone in which it was first filed, such as `+09:00`. Only entries of diaries note it, and
    /// only if it is not UTC.
    pub filed_offset: Option<String>,
    /// The files that it comes from, as its filings name them.
    pub source_files: Vec<String>,
    /// The agents or users that filed it, as its filings name them.
    pub added_by: Vec<String>,
    /// The agent and the topic, if it is an entry of a diary.
    pub diary: Option<(String, String)>,
    /// Its version.
    pub etag: String,
    /// The values of concurrent writes that are not shown.
    pub conflicts: Vec<Conflict>,
    /// The value that is shown where each of `conflicts` is, in the same order.
    pub shown_values: Vec<Value>,
    /// The newest change.
    pub modified: Option<Written>,
}

pub(super) fn text(value: &Map<String, Value>, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

/// Returns the place that the document names. If it names none, the key does.
pub(super) fn place_of(key: &Key, value: &Map<String, Value>) -> Place {
    // Another program may have written the document without these fields.
    let (wing, room, _) = place::parts(key).unwrap_or_default();
    let said = |field, key: &str| text(value, field).unwrap_or_else(|| key.to_owned());
    Place { wing: said("wing", wing), room: said("room", room) }
}

/// Returns the time of the first filing.
pub(super) fn filed_ms(value: &Map<String, Value>) -> Option<i64> {
    filings(value).filter_map(|filing| filing.get("at").and_then(Value::as_i64)).min()
}

/// Returns the offset of the first filing.
fn filed_offset(value: &Map<String, Value>) -> Option<String> {
    let at = |filing: &Map<String, Value>| filing.get("at").and_then(Value::as_i64);
    let timed = filings(value).filter_map(|filing| Some((at(filing)?, filing)));
    text(timed.min_by_key(|(at, _)| *at)?.1, "offset")
}

/// Returns the filings of a drawer.
pub(super) fn filings(value: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    value.get(FILINGS).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Returns the values of a field of the filings, each once.
fn said(value: &Map<String, Value>, field: &str) -> Vec<String> {
    let mut said: Vec<String> = filings(value).filter_map(|filing| text(filing, field)).collect();
    said.sort();
    said.dedup();
    said
}

pub(super) fn drawer_of(document: Document) -> Drawer {
    let Document { key, value, heads, conflicts, modified, .. } = document;
    shown(&key, heads, View { value, conflicts, modified, deleted: false })
}

/// Returns the drawer with this key, as a view shows it.
pub(super) fn shown(key: &Key, heads: Heads, view: View) -> Drawer {
    let View { value, conflicts, modified, .. } = view;
    let shown_value = |conflict: &Conflict| conflict.shown_value(&value).unwrap_or_default();
    Drawer {
        shown_values: conflicts.iter().map(shown_value).collect(),
        key: key.clone(),
        etag: heads.etag().to_string(),
        heads,
        id: drawer_id(key).unwrap_or_else(|| key.to_string()),
        place: place_of(key, &value),
        content: text(&value, "content").unwrap_or_default(),
        filed_ms: filed_ms(&value),
        filed_offset: filed_offset(&value),
        source_files: said(&value, "source_file"),
        added_by: said(&value, "added_by"),
        diary: text(&value, "agent").zip(text(&value, "topic")),
        conflicts,
        modified,
    }
}
