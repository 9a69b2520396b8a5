//! Facts with a time: who is, has or does what, from when to when.
//!
//! Owns: what a fact is as a document, and what stating, ending and asking mean. Invariants: stating the same
//! fact twice, in one process or in two at once, is one fact; a fact that several end ends at the earliest
//! moment that anybody gave, whatever the order; nothing that was stated is lost. Must not know: who asks.
//!
//! # The documents
//! `fact/<32 hex digits>/<32 hex digits>` is `{"subject", "predicate", "object", "valid_from", "valid_to", "ends",
//! "sources"}`, filed by its content; the moments are optional. The first digits are a hash of what is stated,
//! whatever the case, so that every period of it is found at once; the last are a hash of this period. `ends` is
//! a list of moments, one for each time that somebody ended it, and the fact ends at the earliest of those and
//! of `valid_to`. So two who end a fact at once need not agree, nor does one of them win by chance. Midnight may
//! stand there with a time, from earlier versions, and is read as the date. A source that was taken over from another
//! system has a `from`: the `id` that the fact had there, and what else was known of it.

mod ask;
mod ending;
#[cfg(feature = "mcp")]
pub(in crate::memory) mod import;
mod state;
mod triple;

pub use ask::{Asked, Direction, FACTS_MAX, FactPage, Stats};
pub use state::{Ended, Stated};
pub use triple::{Source, Triple};

use crate::format::key::Key;
use crate::memory::when::one_form;
use crate::memory::{MemoryError, Result, each_document};
use crate::palace::{Document, Palace, WriteOptions};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What the keys of facts start with.
const FACTS: &str = "fact/";
/// The longest subject, predicate or object, in characters.
pub const PART_CHARS_MAX: usize = 500;

/// A fact, and when it holds: from `valid_from` on, and before `valid_to`.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let fact = facts.state(&works, Some("2024-01-01"), Some("2026-03-01"), None)?.fact;
/// assert!(!fact.holds("2023-12-31") && fact.holds("2024-01-01"));
/// assert!(!fact.is_over("2026-02-28") && fact.is_over("2026-03-01T00:00:00Z"));
/// assert!(fact.position().starts_with("2024-01-01!")); // the cursor for what began later
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its id.
    pub id: String,
    /// What is stated.
    pub triple: Triple,
    /// Since when; `None` if always.
    pub valid_from: Option<String>,
    /// Until when; `None` if still.
    pub valid_to: Option<String>,
    /// Where it comes from.
    pub sources: Vec<Source>,
    /// Its version.
    pub etag: String,
}

/// A period of a fact, and who said when it ends.
struct Known {
    key: Key,
    fact: Fact,
    /// Until when it was stated to hold.
    stated_to: Option<String>,
    /// When it was noted to end since.
    ends: Vec<String>,
}

impl Fact {
    /// Whether it holds at a moment.
    #[must_use]
    pub fn holds(&self, at: &str) -> bool {
        self.valid_from.as_deref().is_none_or(|from| from <= at) && !self.is_over(at)
    }

    /// Whether it has ended by then.
    #[must_use]
    pub fn is_over(&self, at: &str) -> bool {
        self.valid_to.as_deref().is_some_and(|to| to <= at)
    }
}

/// The facts of a palace. Cheap to clone.
///
/// ```
/// use crdt_palace::memory::facts::{Asked, Facts, Triple};
/// use crdt_palace::palace::Palace;
///
/// let dir = tempfile::tempdir()?;
/// let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.state(&works, Some("2024-01-01"), None, None)?;
/// facts.by(Some("some-client/2.0".into())).end(&works, Some("2026-03-01"))?;
/// let found = facts.about(&Asked { entity: Some("ada"), ..Asked::default() })?;
/// assert_eq!(found.facts[0].valid_to.as_deref(), Some("2026-03-01"));
/// assert_eq!(facts.count()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Facts {
    palace: Palace,
    by: Option<String>,
}

impl Facts {
    /// The facts in this palace.
    #[must_use]
    pub fn new(palace: Palace) -> Self {
        Facts { palace, by: None }
    }

    /// The same facts; history names `by`, a client's name and version, as the writer.
    #[must_use]
    pub fn by(&self, by: Option<String>) -> Self {
        Facts { palace: self.palace.clone(), by }
    }

    fn options(&self) -> WriteOptions {
        WriteOptions { by: self.by.clone(), ..WriteOptions::default() }
    }

    /// The periods of a fact, in the order in which they began.
    fn periods(&self, triple: &Triple) -> Result<Vec<Known>> {
        let mut known = Vec::new();
        each_document(&self.palace, &triple.prefix(), |document| {
            known.extend(fact_of(&document).map(|fact| Known {
                fact,
                stated_to: text(&document.value, "valid_to").as_deref().map(one_form),
                ends: ends(&document.value).collect(),
                key: document.key,
            }));
        })?;
        known.sort_by(|a, b| a.fact.valid_from.cmp(&b.fact.valid_from));
        Ok(known)
    }

    /// The facts whose keys start like this.
    fn scan(&self, prefix: &str) -> Result<Vec<(Key, Fact)>> {
        let mut facts = Vec::new();
        each_document(&self.palace, prefix, |document| {
            facts.extend(fact_of(&document).map(|fact| (document.key, fact)));
        })?;
        Ok(facts)
    }
}

/// The id of the fact with this key; `None` if it is no fact's.
pub(crate) fn fact_id(key: &Key) -> Option<String> {
    let (what, period) = key.as_str().strip_prefix(FACTS)?.split_once('/')?;
    Some(format!("t_{what}_{period}"))
}

fn text(value: &Map<String, Value>, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

fn fact_of(document: &Document) -> Option<Fact> {
    let fact = fact_shown(&document.key, &document.value)?;
    Some(Fact { etag: document.etag.to_string(), ..fact })
}

/// The moments at which somebody ended what a document shows.
fn ends(value: &Map<String, Value>) -> impl Iterator<Item = String> {
    items(value, "ends").filter_map(Value::as_str).map(one_form)
}

fn items<'a>(value: &'a Map<String, Value>, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// The fact that a document with this value shows, without its version.
fn fact_shown(key: &Key, value: &Map<String, Value>) -> Option<Fact> {
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
        valid_to: ends(value).chain(moment("valid_to")).min(),
        sources: sources.into_iter().collect(),
        etag: String::new(),
    })
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod repeat_tests;
