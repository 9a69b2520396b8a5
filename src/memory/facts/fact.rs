//! A fact, its periods, and their form as documents.

use super::as_of::AsOf;
use super::flags::{self, Flag};
use super::triple::{FACTS, Source, Triple, text};
use crate::format::key::Key;
use crate::memory::moment::{is_date, one_form};
use crate::palace::Document;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A fact, and the period in which it holds: from `valid_from` on, and before `valid_to`.
///
/// A date begins at midnight where the reader is. If both are the same date, the fact holds for that whole day.
///
/// ```
/// # use crdt_palace::memory::facts::{AsOf, Facts, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let fact = facts.assert(&works, Some("2024-01-01"), Some("2026-03-01"), None)?.fact;
/// let (before, first) = (AsOf::parse("2023-12-31")?, AsOf::parse("2024-01-01")?);
/// assert!(fact.begins_after(&before) && !fact.holds(&before) && fact.holds(&first));
/// let (last, after) = (AsOf::parse("2026-02-28")?, AsOf::parse("2026-03-01T00:00:00Z")?);
/// assert!(!fact.is_over(&last) && fact.is_over(&after));
/// assert!(fact.position().starts_with("2024-01-01!")); // the cursor for what began later
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fact {
    /// Its id.
    pub id: String,
    /// The subject, predicate and object.
    pub triple: Triple,
    /// The moment at which it begins to hold; `None` if it always held.
    pub valid_from: Option<String>,
    /// The moment at which it ends; `None` if it still holds.
    pub valid_to: Option<String>,
    /// The offset in which the time of `valid_from` was given, such as `+09:00`; `None` for a date. For a time in UTC it
    /// is `None`, or `+00:00` at midnight, which is kept as its date.
    pub valid_from_offset: Option<String>,
    /// The offset in which the time of `valid_to` was given, in the same way.
    pub valid_to_offset: Option<String>,
    /// True if it begins and ends with the same date, and holds for that whole day.
    pub whole_day: bool,
    /// The sources that it comes from.
    pub sources: Vec<Source>,
    /// Its version.
    pub etag: String,
}

/// A period in which a fact holds, with every end that was given for it.
pub(super) struct Period {
    pub key: Key,
    pub fact: Fact,
    /// The end that it was asserted with.
    pub asserted_to: Option<String>,
    /// The ends that were noted since.
    pub ends: Vec<String>,
}

impl Fact {
    /// Tells whether it holds at an instant, or at any moment of a day.
    #[must_use]
    pub fn holds(&self, as_of: &AsOf) -> bool {
        !self.begins_after(as_of) && !self.is_over(as_of) && !self.never_held()
    }

    /// Tells whether it has ended by an instant, or by the beginning of a day.
    #[must_use]
    pub fn is_over(&self, as_of: &AsOf) -> bool {
        self.valid_to.as_deref().is_some_and(|to| match self.whole_day {
            true => to < as_of.date(),
            false => as_of.is_after(to, is_timed(to, &self.valid_to_offset)),
        })
    }

    /// Tells whether it begins after an instant, or after a day.
    #[must_use]
    pub fn begins_after(&self, as_of: &AsOf) -> bool {
        let timed = |from| is_timed(from, &self.valid_from_offset);
        self.valid_from.as_deref().is_some_and(|from| !as_of.reaches(from, timed(from)))
    }

    /// Tells whether it ended before it began, or in the very second.
    fn never_held(&self) -> bool {
        let moments = self.valid_from.as_deref().zip(self.valid_to.as_deref());
        moments.is_some_and(|(from, to)| {
            let times =
                is_timed(from, &self.valid_from_offset) && is_timed(to, &self.valid_to_offset);
            // With a date, it depends on the question which of the two comes first.
            times && to <= from
        })
    }
}

/// Tells whether a moment of a fact is a time, and not a date.
fn is_timed(moment: &str, offset: &Option<String>) -> bool {
    !is_date(moment) || offset.is_some()
}

/// Returns the key of the fact with this id; `None` if no fact can have it.
pub(in crate::memory) fn fact_key(id: &str) -> Option<Key> {
    let (triple, period) = id.strip_prefix("t_")?.split_once('_')?;
    let is_hash = |part: &str| {
        part.len() == 32 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let key = is_hash(triple) && is_hash(period);
    key.then(|| Key::new(&format!("{FACTS}{triple}/{period}")).ok()).flatten()
}

/// Returns the id of the fact with this key; `None` for another key.
pub(crate) fn fact_id(key: &Key) -> Option<String> {
    let (triple, period) = key.as_str().strip_prefix(FACTS)?.split_once('/')?;
    Some(format!("t_{triple}_{period}"))
}

pub(super) fn fact_of(document: &Document) -> Option<Fact> {
    let fact = fact_shown(&document.key, &document.value)?;
    Some(Fact { etag: document.etag.to_string(), ..fact })
}

/// Returns the moments at which the fact of a document was ended.
pub(super) fn ends(value: &Map<String, Value>) -> impl Iterator<Item = String> {
    items(value, "ends").filter_map(Value::as_str).map(one_form)
}

fn items<'a>(value: &'a Map<String, Value>, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// Returns the fact that a document with this value shows, without its version.
pub(super) fn fact_shown(key: &Key, value: &Map<String, Value>) -> Option<Fact> {
    let moment = |field| text(value, field).as_deref().map(one_form);
    let sources: BTreeSet<Source> = items(value, "sources").filter_map(Source::of).collect();
    let offset = |flag, moment: &Option<String>| flags::offset_of(value, flag, moment.as_deref()?);
    let valid_from = moment("valid_from");
    // Moments in their one form compare as texts.
    let valid_to = ends(value).chain(moment("valid_to")).min();
    let valid_from_offset = offset(Flag::Began, &valid_from);
    let valid_to_offset = offset(Flag::Ended, &valid_to);
    let is_day = |date: &String| {
        let offsets = [&valid_from_offset, &valid_to_offset];
        !offsets.into_iter().any(|offset| is_timed(date, offset))
            && !flags::is_replaced(value, date)
    };
    let whole_day = valid_from == valid_to && valid_to.as_ref().is_some_and(is_day);
    Some(Fact {
        id: fact_id(key)?,
        triple: Triple {
            subject: text(value, "subject")?,
            predicate: text(value, "predicate")?,
            object: text(value, "object")?,
        },
        valid_from,
        valid_to,
        valid_from_offset,
        valid_to_offset,
        whole_day,
        sources: sources.into_iter().collect(),
        etag: String::new(),
    })
}
