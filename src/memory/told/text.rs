//! A document as a text for people: its title, its lines, and how many of them a change added and removed.

use super::fields::fields;
use super::kind::Kind;
use crate::format::key::Key;
use crate::memory::shown_value::shorten_sources;
use serde_json::{Map, Value};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use unicode_segmentation::UnicodeSegmentation as _;

/// Most characters of a title, as people count them.
const TITLE_CHARS: usize = 60;

fn field<'a>(value: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// Returns the title of a document: the first line of a drawer, the words of a fact, the name of anything else.
pub(crate) fn title_of(key: &Key, value: &Map<String, Value>) -> String {
    let words = |names: [&str; 3]| {
        let words: Option<Vec<&str>> = names.iter().map(|name| field(value, name)).collect();
        words.map(|words| words.join(" "))
    };
    let rest = |prefix: &str| key.as_str().strip_prefix(prefix).map(str::to_owned);
    let title = match Kind::of(key) {
        Kind::Drawer | Kind::Diary => field(value, "content").map(first_line),
        Kind::Fact => words(["subject", "predicate", "object"]),
        Kind::Relation => words(["from", "relationType", "to"]),
        Kind::Entity => rest("entity/"),
        Kind::Place => {
            let names = [field(value, "wing"), field(value, "room")];
            Some(names.into_iter().flatten().collect::<Vec<_>>().join("/"))
        }
        Kind::Note | Kind::Document => None,
    };
    let title = title.filter(|title| !title.is_empty());
    shortened(&title.unwrap_or_else(|| key.as_str().to_owned()))
}

/// Returns the title of a drawer with this text.
#[cfg(feature = "mcp")]
pub(crate) fn title_of_text(text: &str) -> String {
    shortened(&first_line(text))
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    // The marks of a heading in Markdown are no part of its words.
    line.trim_start_matches('#').trim_start().to_owned()
}

fn shortened(text: &str) -> String {
    match text.grapheme_indices(true).nth(TITLE_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text).trim_end()),
        None => text.to_owned(),
    }
}

/// Returns the kind and the title of a document, as a sentence names it.
pub(crate) fn name_of(key: &Key, value: &Map<String, Value>) -> String {
    named(Kind::of(key), &title_of(key, value))
}

/// Returns a kind and a title, as a sentence names a document.
pub(super) fn named(kind: Kind, title: &str) -> String {
    format!("{} \"{title}\"", kind.noun())
}

/// Returns the wing and room of a drawer or a diary entry, as they are stored.
pub(crate) fn place_of(key: &Key, value: &Map<String, Value>) -> Option<String> {
    if !matches!(Kind::of(key), Kind::Drawer | Kind::Diary) {
        return None;
    }
    Some(format!("{}/{}", field(value, "wing")?, field(value, "room")?))
}

/// Returns a version of a document as lines: the text of a drawer or a diary entry, and the fields of anything else. The
/// sources of a fact are shown by the last part of their paths.
pub(crate) fn text_of(key: &Key, value: &Map<String, Value>) -> String {
    match Kind::of(key) {
        Kind::Drawer | Kind::Diary => field(value, "content").unwrap_or_default().to_owned(),
        Kind::Fact => {
            let mut value = value.clone();
            shorten_sources(key, &mut value);
            fields(&value)
        }
        _ => fields(value),
    }
}

/// Returns how many lines were added and removed between two texts.
pub(crate) fn lines_changed(before: &str, after: &str) -> (usize, usize) {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (mut added, mut removed) = (0, 0);
    for op in capture_diff_slices(Algorithm::Histogram, &lines(before), &lines(after)) {
        match op {
            DiffOp::Equal { .. } => {}
            DiffOp::Delete { old_len, .. } => removed += old_len,
            DiffOp::Insert { new_len, .. } => added += new_len,
            DiffOp::Replace { old_len, new_len, .. } => {
                added += new_len;
                removed += old_len;
            }
        }
    }
    (added, removed)
}
