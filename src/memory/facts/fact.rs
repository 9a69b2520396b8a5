//! A fact, its periods, and their form as documents.

use super::triple::{FACTS, Source, Triple, text};
use crate::format::key::Key;
use crate::memory::moment::one_form;
use crate::palace::Document;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A fact, and the period in which it holds: from `valid_from` on, and before `valid_to`.
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let fact = facts.assert(&works, Some("2024-01-01"), Some("2026-03-01"), None)?.fact;
/// assert!(!fact.holds("2023-12-31") && fact.holds("2024-01-01"));
/// assert!(!fact.is_over("2026-02-28") && fact.is_over("2026-03-01T00:00:00Z"));
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
    /// Tells whether it holds at a moment.
    #[must_use]
    pub fn holds(&self, at: &str) -> bool {
        self.valid_from.as_deref().is_none_or(|from| from <= at) && !self.is_over(at)
    }

    /// Tells whether it has ended at a moment.
    #[must_use]
    pub fn is_over(&self, at: &str) -> bool {
        self.valid_to.as_deref().is_some_and(|to| to <= at)
    }
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
    Some(Fact {
        id: fact_id(key)?,
        triple: Triple {
            subject: text(value, "subject")?,
            predicate: text(value, "predicate")?,
            object: text(value, "object")?,
        },
        valid_from: moment("valid_from"),
        // Moments in their one form compare as texts.
        valid_to: ends(value).chain(moment("valid_to")).min(),
        sources: sources.into_iter().collect(),
        etag: String::new(),
    })
}
