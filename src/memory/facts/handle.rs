//! The handle of the facts of a palace, and reading their documents.

use super::as_of::AsOf;
use super::fact::{Fact, Period, ends, fact_of};
use super::triple::{Triple, text};
use crate::format::key::Key;
use crate::memory::documents::each_document;
use crate::memory::error::Result;
use crate::memory::moment::{Moment, one_form};
use crate::palace::{Once, Palace, WriteOptions};
use jiff::tz::TimeZone;

/// The facts of a palace. Cheap to clone.
///
/// ```
/// use crdt_palace::memory::facts::{FactQuery, Facts, Triple};
/// use crdt_palace::palace::Palace;
///
/// let dir = tempfile::tempdir()?;
/// let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.assert(&works, Some("2024-01-01"), None, None)?;
/// facts.by(Some("some-client/2.0".into())).end(&works, Some("2026-03-01"))?;
/// let found = facts.about(&FactQuery { entity: Some("ada"), ..FactQuery::default() })?;
/// assert_eq!(found.facts[0].valid_to.as_deref(), Some("2026-03-01"));
/// assert_eq!(facts.count()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Facts {
    pub(super) palace: Palace,
    by: Option<String>,
    /// The zone in which days begin.
    zone: TimeZone,
    /// The name of the call whose write is made once.
    once: Option<Once>,
}

impl Facts {
    /// Makes a handle of the facts in this palace. Days begin at midnight of the machine's time zone (`$TZ`).
    #[must_use]
    pub fn new(palace: Palace) -> Self {
        Facts { palace, by: None, zone: TimeZone::system(), once: None }
    }

    /// Returns a handle of the same facts whose days begin at midnight of a zone.
    #[cfg(test)]
    pub(super) fn in_zone(&self, zone: &TimeZone) -> Self {
        Facts { zone: zone.clone(), ..self.clone() }
    }

    /// Returns a handle of the same facts for a client. History names `by`, its name and version, as the writer.
    #[must_use]
    pub fn by(&self, by: Option<String>) -> Self {
        Facts { by, ..self.clone() }
    }

    /// Returns the present instant, with the date of the machine's time zone.
    ///
    /// ```
    /// # use crdt_palace::memory::facts::{Facts, Triple};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
    /// # let works = Triple::new("Ada", "works_at", "Acme")?;
    /// let fact = facts.assert(&works, Some("2024-01-01"), None, None)?.fact;
    /// assert!(fact.holds(&facts.now()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn now(&self) -> AsOf {
        AsOf::beginning_of(&self.present())
    }

    /// Returns the present moment.
    pub(super) fn present(&self) -> Moment {
        Moment::at(self.palace.now_ms(), &self.zone)
    }

    /// Parses a moment that a caller gave.
    ///
    /// # Errors
    /// [`MemoryError::Argument`](crate::memory::MemoryError::Argument) with the name of the field.
    pub(super) fn moment(&self, field: &'static str, text: &str) -> Result<Moment> {
        Moment::parse(field, text, &self.zone)
    }

    /// Returns the beginning of a fact.
    pub(super) fn beginning(&self, fact: &Fact) -> Option<Moment> {
        let offset = fact.valid_from_offset.as_deref();
        fact.valid_from.as_deref().map(|from| Moment::kept(from, offset, &self.zone))
    }

    /// Returns a date as a moment.
    pub(super) fn day(&self, date: &str) -> Moment {
        Moment::kept(date, None, &self.zone)
    }

    /// Parses the time of a question.
    ///
    /// # Errors
    /// [`MemoryError::Argument`](crate::memory::MemoryError::Argument) if it is neither a date nor a time.
    pub(super) fn as_of(&self, text: &str) -> Result<AsOf> {
        AsOf::in_zone(text, &self.zone)
    }

    /// Returns a handle whose next write is made once, however often the call of this name is sent.
    #[cfg(feature = "mcp")]
    pub(crate) fn once(self, once: Option<Once>) -> Self {
        Facts { once, ..self }
    }

    pub(super) fn options(&self) -> WriteOptions {
        WriteOptions { by: self.by.clone(), once: self.once.clone(), ..WriteOptions::new() }
    }

    /// Returns the periods of a fact, in the order in which they begin.
    pub(super) fn periods(&self, triple: &Triple) -> Result<Vec<Period>> {
        let mut known = Vec::new();
        each_document(&self.palace, &triple.prefix(), |document| {
            known.extend(fact_of(&document).map(|fact| Period {
                fact,
                asserted_to: text(&document.value, "valid_to").as_deref().map(one_form),
                ends: ends(&document.value).collect(),
                key: document.key,
            }));
            Ok(())
        })?;
        // Keys are hashes, so their order says nothing about time. `None` sorts first: it always held.
        known.sort_by(|a, b| a.fact.valid_from.cmp(&b.fact.valid_from));
        Ok(known)
    }

    /// Returns the facts whose keys start with `prefix`.
    pub(super) fn scan(&self, prefix: &str) -> Result<Vec<(Key, Fact)>> {
        let mut facts = Vec::new();
        each_document(&self.palace, prefix, |document| {
            facts.extend(fact_of(&document).map(|fact| (document.key, fact)));
            Ok(())
        })?;
        Ok(facts)
    }
}
