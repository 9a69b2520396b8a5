//! Tests of the rules of the layer, of the traps of Automerge, of hostile changes, and of convergence over random
//! histories.

mod automerge_traps;
mod change_order;
mod conflicts;
mod convergence;
mod deletes;
mod first_change;
mod hostile;
mod lists;
mod merged_values;
mod open_places;
mod removed_objects;
mod size_bounds;
mod text_races;
mod texts;
mod writes;

use super::{Doc, NewChange, Stamp, View};
use crate::format::hash::Heads;
use automerge::ReadDoc;
use serde_json::{Map, Value as Json};

/// Returns the stamp of a writer with one letter for a name.
pub(super) fn by(name: char) -> Stamp<'static> {
    let names = "abcdefghijklmnopqrstuvwxyz";
    let at = names.find(name).unwrap();
    Stamp { actor: [name as u8; 16], time_ms: 1000 + at as i64, by: &names[at..=at], undoes: "" }
}

pub(super) fn map(value: Json) -> Map<String, Json> {
    value.as_object().unwrap().clone()
}

pub(super) fn put(doc: &mut Doc, name: char, value: Json) -> NewChange {
    doc.put(&by(name), None, &map(value)).unwrap().unwrap()
}

pub(super) fn patch(doc: &mut Doc, name: char, value: Json) -> NewChange {
    doc.patch(&by(name), None, &map(value)).unwrap().unwrap()
}

pub(super) fn value(doc: &Doc) -> Json {
    Json::Object(doc.view().value)
}

/// Merges both documents into each other, and checks that they agree on everything.
pub(super) fn sync(a: &mut Doc, b: &mut Doc) {
    assert_eq!(a.merge(b).unwrap().rejected, []);
    assert_eq!(b.merge(a).unwrap().rejected, []);
    assert_eq!(a.heads(), b.heads());
    assert_eq!(a.view(), b.view());
    assert_eq!(a.size, b.size);
    assert_eq!(a.size.operations, a.am.stats().num_ops);
    let saved = Doc::load(&a.save()).unwrap().size;
    assert_eq!((saved.operations, saved.references), (a.size.operations, a.size.references));
    assert!(saved.names <= a.size.names, "{saved:?}, {:?}", a.size);
}

/// Returns the conflicts as `(path, losing values)`.
pub(super) fn conflicts(doc: &Doc) -> Vec<(String, Vec<Json>)> {
    let conflicts = doc.view().conflicts.into_iter();
    conflicts.map(|c| (c.path, c.others.into_iter().map(|other| other.value).collect())).collect()
}

/// Returns two documents with the same first change.
pub(super) fn twins(start: Json) -> (Doc, Doc) {
    let mut doc = Doc::new();
    put(&mut doc, 's', start);
    (doc.clone(), doc)
}

pub(super) fn view_at(doc: &Doc, heads: &Heads) -> View {
    doc.view_at(heads).unwrap()
}
