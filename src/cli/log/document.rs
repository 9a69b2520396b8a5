//! A document as JSON: the form that `show`, `at` and `conflicts` share.

use crate::format::key::Key;
use crate::memory::told::{Kind, id_of, place_of, title_of};
use crate::palace::{Conflict, Written};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A version of a document as a line of JSON.
#[derive(Serialize)]
pub(super) struct DocumentJson<'a> {
    kind: &'static str,
    id: String,
    key: &'a Key,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// True if it is deleted. The value is what it was before.
    pub deleted: bool,
    value: &'a Map<String, Value>,
    conflicts: Vec<Value>,
}

impl<'a> DocumentJson<'a> {
    pub fn new(key: &'a Key, value: &'a Map<String, Value>, conflicts: &[Conflict]) -> Self {
        let conflict = |conflict| conflict_json(conflict, value);
        DocumentJson {
            kind: Kind::of(key).name(),
            id: id_of(key),
            key,
            title: title_of(key, value),
            place: place_of(key, value),
            deleted: false,
            value,
            conflicts: conflicts.iter().map(conflict).collect(),
        }
    }
}

fn conflict_json(conflict: &Conflict, value: &Map<String, Value>) -> Value {
    let shown = conflict.shown_value(value).unwrap_or_default();
    let others = conflict.others.iter().map(|other| reading(&other.value, &other.written));
    json!({
        "path": conflict.path,
        "shown": reading(&shown, &conflict.shown),
        "others": others.collect::<Vec<_>>(),
    })
}

fn reading(value: &Value, written: &Written) -> Value {
    json!({"value": value, "by": written.by, "time_ms": written.time_ms})
}
