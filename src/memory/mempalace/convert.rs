//! Converts drawers and facts of MemPalace.
//!
//! Invariant: a field that has no counterpart here is kept as it is, in the `from` of the filing or the source.

use super::chroma::Text;
use super::graph;
use super::prose_date::Days;
use crate::memory::drawers::import::{ForeignContent, ForeignDrawer, is_diary};
use crate::memory::drawers::{DiaryEntry, Item, NAME_CHARS_MAX, Place};
use crate::memory::facts::import::ForeignFact;
use crate::memory::facts::{Source, Triple, period};
use crate::memory::moment::{Moment, local_time};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The name that MemPalace gives to a place without a name.
const UNKNOWN: &str = "unknown";

/// Converts a drawer or a diary entry. The error says why it is not valid here.
pub(super) fn foreign_drawer(
    id: &str,
    text: Text,
    zone: &TimeZone,
) -> Result<ForeignDrawer, String> {
    let Text { content: text, mut known } = text;
    let wing = name(&mut known, "wing").unwrap_or_else(|| UNKNOWN.to_owned());
    let room = name(&mut known, "room").unwrap_or_else(|| UNKNOWN.to_owned());
    let filed = known.get("filed_at").and_then(Value::as_str);
    let filed = filed.and_then(|text| local_time(text, zone));
    let (filed_ms, offset) = filed.map_or((None, None), |(ms, offset)| (Some(ms), offset));
    let content = if is_diary(&room) && known.contains_key("agent") {
        let agent = name(&mut known, "agent").unwrap_or_else(|| UNKNOWN.to_owned());
        let topic = name(&mut known, "topic");
        DiaryEntry::new(&agent, &text, topic.as_deref(), Some(&wing)).map(ForeignContent::Entry)
    } else {
        let source_file = said(&mut known, "source_file");
        let added_by = said(&mut known, "added_by");
        let item = Place::new(&wing, &room).and_then(|place| Item::new(place, &text));
        item.and_then(|item| item.said(source_file.as_deref(), added_by.as_deref()))
            .map(ForeignContent::Drawer)
    };
    let content = content.map_err(|error| error.to_string())?;
    Ok(ForeignDrawer { id: id.to_owned(), content, filed_ms, offset, known })
}

/// Takes a name out of the metadata, and returns it in a form that is valid here. If that changes it, the old form
/// stays in the metadata.
fn name(known: &mut Map<String, Value>, field: &str) -> Option<String> {
    let found = match known.remove(field)? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let name = valid_name(&found);
    // Only a changed name is worth keeping twice.
    if name != found {
        known.insert(field.to_owned(), json!(found));
    }
    Some(name).filter(|name| !name.is_empty())
}

/// Returns a name with every character replaced or removed that is not valid here.
fn valid_name(name: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '\'' | '-' | ' ');
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let name: String = name.replace("..", "__").chars().take(NAME_CHARS_MAX).collect();
    name.trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

/// Takes a text out of the metadata, because it has a field of its own here.
fn said(known: &mut Map<String, Value>, field: &str) -> Option<String> {
    known.get(field)?.as_str()?;
    known.remove(field)?.as_str().map(str::to_owned)
}

/// Converts a fact. The error says why it is not valid here. `ids` maps old ids of drawers to those that they have
/// here.
pub(super) fn foreign_fact(
    triple: &graph::Triple,
    ids: &HashMap<String, String>,
) -> Result<ForeignFact, String> {
    let mut known = triple.known.clone();
    let old = said(&mut known, "source_drawer_id");
    // A fact must not point at an id that means nothing here. The old id stays beside it.
    let drawer = old.as_ref().map(|old| ids.get(old).unwrap_or(old).clone());
    if drawer != old {
        known.extend(old.map(|old| ("source_drawer_id".to_owned(), json!(old))));
    }
    let source = Source {
        closet: said(&mut known, "source_closet"),
        file: said(&mut known, "source_file"),
        drawer,
    };
    let (from, to) = (triple.valid_from.as_deref(), triple.valid_to.as_deref());
    let moment = |field, text: &str| Moment::parse(field, text, &TimeZone::UTC);
    let valid_from = from.map(|text| moment("valid_from", &beginning(text))).transpose();
    let valid_to = to.map(|text| moment("valid_to", &end(text))).transpose();
    let valid_from = valid_from.map_err(|error| error.to_string())?;
    let valid_to = valid_to.map_err(|error| error.to_string())?;
    if let Some((from, to)) = valid_from.as_ref().zip(valid_to.as_ref()) {
        period::checked("valid_to", from, to).map_err(|error| error.to_string())?;
    }
    // A month or a year was changed to its first day.
    let prose = from.filter(|from| Days::parse(from).is_some());
    known.extend(prose.map(|from| ("valid_from".to_owned(), json!(from))));
    // The end was changed to the last second of its day, so the original is kept.
    known.extend(to.map(|to| ("valid_to".to_owned(), json!(to))));
    let triple_here = Triple::new(&triple.subject, &triple.predicate, &triple.object);
    let triple_here = triple_here.map_err(|error| error.to_string())?;
    Ok(ForeignFact {
        id: triple.id.clone(),
        triple: triple_here,
        offsets: [&valid_from, &valid_to].map(|moment| moment.as_ref()?.offset.clone()),
        valid_from: valid_from.map(|moment| moment.text),
        valid_to: valid_to.map(|moment| moment.text),
        source,
        known,
    })
}

/// Converts the beginning of a period. A month or a year begins on its first day.
fn beginning(text: &str) -> String {
    Days::parse(text).map_or_else(|| text.to_owned(), |days| days.first().to_string())
}

/// Converts the end of a period. In MemPalace a date is included up to its last second; here it would end at its first
/// midnight. So a date becomes its last second. A month or a year ends on the first day of the next one.
fn end(text: &str) -> String {
    let text = text.trim();
    match Days::parse(text) {
        Some(Days::Period(_, next)) => next.to_string(),
        Some(Days::One(day)) => format!("{day}T23:59:59Z"),
        None if text.contains('T') => text.to_owned(),
        None => format!("{text}T23:59:59Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_valid_and_the_old_ones_are_kept() {
        for (old, new) in [
            ("-home-me", "home-me"),
            ("a/b", "a_b"),
            ("x..y", "x__y"),
            ("Zürich 東京", "Zürich 東京"),
            ("__", ""),
        ] {
            assert_eq!(valid_name(old), new);
            assert!(new.is_empty() || Place::new(new, new).is_ok());
        }
        let mut known =
            Map::from_iter([("wing".to_owned(), json!("-x")), ("room".to_owned(), json!("y"))]);
        assert_eq!(name(&mut known, "wing").as_deref(), Some("x"));
        assert_eq!(name(&mut known, "room").as_deref(), Some("y"));
        assert_eq!(json!(known), json!({"wing": "-x"}));
    }

    #[test]
    fn last_day_of_a_period_is_included() {
        assert_eq!(end("2026-03-01"), "2026-03-01T23:59:59Z");
        assert_eq!(end("2026-03-01T10:00:00Z"), "2026-03-01T10:00:00Z");
        assert_eq!(end("1 March 2026"), "2026-03-01T23:59:59Z");
        assert_eq!(
            (beginning("March 2026"), end("March 2026")),
            ("2026-03-01".into(), "2026-04-01".into())
        );
        assert_eq!(beginning("2026-03-01T10:00:00Z"), "2026-03-01T10:00:00Z");
    }
}
