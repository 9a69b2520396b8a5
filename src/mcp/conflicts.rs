//! Values in conflict as results show them: who wrote each, when, and the version that still has it.
//!
//! Invariant: a conflict is bounded, whatever the values are; what is left out is said.

use super::page::{Budget, shortened};
use crate::merge::{Candidate, Conflict, Settled, Written};
use crate::palace::status::time_text;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::Value;

/// Most bytes of conflicts in a result that is about something else.
pub(super) const ASIDE_BYTES: usize = 22_000;
/// Most bytes of one value in conflict.
const VALUE_BYTES: usize = 4_000;
/// Most bytes of all values of one field in conflict. They are fewer than those of a list of conflicts, so that a
/// list has always room for one.
const VALUES_BYTES: usize = 3 * VALUE_BYTES;
/// Most characters of a writer's name. A writer can put any text there.
const WRITER_CHARS: usize = 200;
/// Most characters of a path: names of fields may be long.
const PATH_CHARS: usize = 500;

/// The writer, and the time
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Authorship {
    /// The writer, as it calls itself
    pub by: String,
    /// When, by the writer's clock
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

impl Authorship {
    pub fn new(by: &str, time_ms: i64) -> Self {
        // The first change of a document that is filed by its content has no time: all writers make the same change.
        Authorship { by: writer(by), time: time_text(time_ms) }
    }
}

/// A writer's name, in the length in which results show it.
pub(super) fn writer(by: &str) -> String {
    by.chars().take(WRITER_CHARS).collect()
}

/// A path, in the length in which results show it.
pub(super) fn path(path: &str) -> String {
    shortened(path, PATH_CHARS)
}

/// A value, who wrote it, and in which version.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct VersionedValue {
    /// The value; left out if it is long
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// If it is left out: how many bytes of JSON it has. document_get with this etag as version shows it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// The writer, as it calls itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When, by the writer's clock
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The version in which it was written
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl VersionedValue {
    /// The value, if it has no more than `max` bytes; otherwise its length.
    pub fn bounded(value: Value, max: usize, written: Option<&Written>) -> Self {
        let length = value.to_string().len();
        let author = written.map(|written| Authorship::new(&written.by, written.time_ms));
        let (by, time) = author.map_or((None, None), |author| (Some(author.by), author.time));
        VersionedValue {
            value: (length <= max).then_some(value),
            bytes: (length > max).then_some(length as i64),
            by,
            time,
            etag: written.map(|written| written.change.etag().to_string()),
        }
    }

    fn of(Candidate { value, written }: Candidate) -> Self {
        VersionedValue::bounded(value, VALUE_BYTES, Some(&written))
    }
}

/// A field that several writers set at the same time
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct OpenConflict {
    /// The field, as a JSON pointer
    pub path: String,
    /// True if only a part of a text is in conflict. Then the values here are that part; the rest of the text is merged
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
    /// The value that is shown
    pub shown: VersionedValue,
    /// The others. Writing another value settles it, and document_patch does with the one that is shown
    pub others: Vec<VersionedValue>,
    /// Number of values that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
}

impl OpenConflict {
    pub fn of(conflict: Conflict, document: &Value) -> Self {
        let value = document.as_object().and_then(|value| conflict.shown_value(value));
        let value = value.unwrap_or_default();
        let (others, more) = values(conflict.others);
        let shown = VersionedValue::of(Candidate { value, written: conflict.shown });
        let part = conflict.range.is_some();
        OpenConflict { path: path(&conflict.path), part, shown, others, more }
    }
}

/// Values in conflict that a write put an end to
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct SettledConflict {
    /// The field, as a JSON pointer
    pub path: String,
    /// The values that are gone from it; document_get still has them under their etags as version
    pub values: Vec<VersionedValue>,
    /// Number of values that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
}

impl SettledConflict {
    pub fn of(settled: Settled) -> Self {
        let (values, more) = values(settled.values);
        SettledConflict { path: path(&settled.path), values, more }
    }
}

/// The values that fit, and the number of those that do not.
fn values(values: Vec<Candidate>) -> (Vec<VersionedValue>, Option<i64>) {
    Budget::of(VALUES_BYTES).keep(values.into_iter().map(VersionedValue::of))
}

/// Conflicts in a result that is about something else: those that fit, and the number of the others.
pub(super) fn open_aside(
    conflicts: Vec<Conflict>,
    document: &Value,
) -> (Vec<OpenConflict>, Option<i64>) {
    let shown = conflicts.into_iter().map(|conflict| OpenConflict::of(conflict, document));
    Budget::of(ASIDE_BYTES).keep(shown)
}

/// The conflicts that a write settled: those that fit, and the number of the others.
pub(super) fn settled_aside(settled: Vec<Settled>) -> (Vec<SettledConflict>, Option<i64>) {
    Budget::of(ASIDE_BYTES).keep(settled.into_iter().map(SettledConflict::of))
}
