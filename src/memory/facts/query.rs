//! Queries facts: those of an entity or all, at a moment or at all times, in the order in which they began.

use super::as_of::AsOf;
#[cfg(feature = "mcp")]
use super::fact::fact_key;
use super::fact::{Fact, fact_of};
use super::handle::Facts;
use super::triple::{FACTS, folded, part};
use crate::memory::documents::each_key;
use crate::memory::error::{MemoryError, Result};
#[cfg(feature = "mcp")]
use crate::memory::nearest::nearest;
use crate::palace::search::ranking::Question;
use crate::snapshot::words;
use std::collections::BTreeSet;

/// The most facts of one call.
pub const FACTS_MAX: usize = 100;

/// The position of an entity in its facts.
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.assert(&works, None, None, None)?;
/// facts.assert(&Triple::new("Bob", "knows", "Ada")?, None, None, None)?;
/// let asked = FactQuery { entity: Some("Ada"), direction: Direction::Incoming, ..FactQuery::default() };
/// assert_eq!(facts.about(&asked)?.facts[0].triple.subject, "Bob");
/// assert_eq!(facts.about(&FactQuery { direction: Direction::Both, ..asked })?.total, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// The entity is the subject.
    Outgoing,
    /// The entity is the object.
    Incoming,
    /// The entity is the subject or the object.
    #[default]
    Both,
}

/// A query for facts.
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.assert(&works, Some("2024-01-01"), Some("2026-03-01"), None)?;
/// let asked = FactQuery { entity: Some("ADA"), as_of: Some("2025-06-30"), ..FactQuery::default() };
/// assert_eq!(facts.about(&asked)?.facts[0].triple, works);
/// assert_eq!(facts.about(&FactQuery { as_of: Some("2026-03-01"), ..asked })?.total, 0); // it ends as the day begins
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FactQuery<'a> {
    /// The entity that the facts are about; case does not matter. `None` for all facts.
    pub entity: Option<&'a str>,
    /// Only facts that hold at this time, or at any moment of this date. The date is that of the machine's time zone.
    pub as_of: Option<&'a str>,
    /// The position of the entity in the facts.
    pub direction: Direction,
    /// Only facts behind this cursor: the [`Fact::position`] of the last fact of an earlier page.
    pub after: Option<&'a str>,
    /// The most facts to return; 0 stands for [`FACTS_MAX`].
    pub limit: usize,
}

/// A page of facts.
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// for (place, since) in [("Acme", "2024-01-01"), ("Initech", "2025-01-01")] {
///     facts.assert(&Triple::new("Ada", "works_at", place)?, Some(since), None, None)?;
/// }
/// let first = facts.about(&FactQuery { limit: 1, ..FactQuery::default() })?;
/// assert!(first.more && first.total == 2);
/// let after = first.facts[0].position();
/// let rest = facts.about(&FactQuery { after: Some(&after), ..FactQuery::default() })?;
/// assert_eq!((rest.facts[0].triple.object.as_str(), rest.more), ("Initech", false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FactPage {
    /// The facts, in the order in which they begin to hold. Those that always held come first.
    pub facts: Vec<Fact>,
    /// The number of facts on all pages.
    pub total: usize,
    /// True if more facts follow.
    pub more: bool,
    /// The number of facts on all pages that hold now, have ended, and have not begun.
    pub counts: Counts,
}

/// Numbers of facts by whether they hold now.
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Facts, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// let works = |place| Triple::new("Ada", "works_at", place);
/// facts.assert(&works("Acme")?, Some("2024-01-01"), Some("2025-01-01"), None)?;
/// facts.assert(&works("Initech")?, Some("9000-01-01"), None, None)?;
/// let counts = facts.about(&FactQuery::default())?.counts;
/// assert_eq!((counts.current, counts.over, counts.future), (0, 1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The number of facts that hold now.
    pub current: usize,
    /// The number of facts that have ended.
    pub over: usize,
    /// The number of facts that have not begun.
    pub future: usize,
}

/// Counts of the facts of a palace.
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.assert(&works, Some("2024-01-01"), None, None)?;
/// facts.replace(&works, "Initech", Some("2026-03-01"))?;
/// let stats = facts.stats()?;
/// facts.assert(&works, Some("9000-01-01"), None, None)?;
/// let stats = facts.stats()?;
/// assert_eq!((stats.entities, stats.facts, stats.current, stats.future), (3, 3, 1, 1));
/// assert!(stats.predicates.contains("works_at"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of subjects and objects; case does not matter.
    pub entities: usize,
    /// The number of facts.
    pub facts: usize,
    /// The number of facts that hold now.
    pub current: usize,
    /// The number of facts that have not begun.
    pub future: usize,
    /// The predicates.
    pub predicates: BTreeSet<String>,
}

impl Counts {
    fn of<'a>(facts: impl IntoIterator<Item = &'a Fact>, now: &AsOf) -> Self {
        let mut counts = Counts::default();
        for fact in facts {
            // A fact may be asserted for the future and ended before that. Then it is over.
            match (fact.is_over(now), fact.begins_after(now)) {
                (true, _) => counts.over += 1,
                (false, true) => counts.future += 1,
                (false, false) => counts.current += 1,
            }
        }
        counts
    }
}

impl Fact {
    /// Returns its position in the order, which is the cursor for the facts behind it.
    #[must_use]
    pub fn position(&self) -> String {
        // `!` sorts before every character of a time, so midnight comes before the other moments of its day.
        format!("{}!{}", self.valid_from.as_deref().unwrap_or(""), self.id)
    }

    /// Tells whether the entity is its subject, and whether it is its object.
    pub(crate) fn ends_with(&self, entity: &str) -> (bool, bool) {
        let entity = folded(entity.trim());
        (folded(&self.triple.subject) == entity, folded(&self.triple.object) == entity)
    }
}

impl Facts {
    /// Returns a page of the facts that a query asks for.
    ///
    /// # Errors
    /// [`MemoryError::Argument`], and errors of the palace.
    pub fn about(&self, query: &FactQuery<'_>) -> Result<FactPage> {
        let as_of = query.as_of.map(|text| self.as_of(text)).transpose()?;
        if let Some(after) = query.after.filter(|after| !after.contains('!')) {
            return Err(MemoryError::cursor(after));
        }
        let mut facts = match query.entity {
            Some(entity) => self.of(entity, query.direction)?,
            None => self.all()?,
        };
        // The total counts all pages, so filters come before the cursor.
        facts.retain(|fact| as_of.as_ref().is_none_or(|at| fact.holds(at)));
        facts.sort_by_cached_key(Fact::position);
        let (total, counts) = (facts.len(), Counts::of(&facts, &self.now()));
        if let Some(after) = query.after {
            facts.retain(|fact| fact.position().as_str() > after);
        }
        let limit = if query.limit == 0 { FACTS_MAX } else { query.limit.min(FACTS_MAX) };
        let more = facts.len() > limit;
        facts.truncate(limit);
        Ok(FactPage { facts, total, more, counts })
    }

    /// Counts facts, entities and predicates.
    ///
    /// ```
    /// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
    /// # let works = Triple::new("Ada", "works_at", "Acme")?;
    /// facts.assert(&works, Some("2024-01-01"), Some("2026-03-01"), None)?;
    /// let stats = facts.stats()?;
    /// assert_eq!((stats.facts, stats.current), (1, 0)); // it has ended
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn stats(&self) -> Result<Stats> {
        let (facts, mut entities) = (self.all()?, BTreeSet::new());
        let Counts { current, future, .. } = Counts::of(&facts, &self.now());
        let mut stats = Stats { facts: facts.len(), current, future, ..Stats::default() };
        for fact in facts {
            entities.extend([folded(&fact.triple.subject), folded(&fact.triple.object)]);
            stats.predicates.insert(fact.triple.predicate);
        }
        stats.entities = entities.len();
        Ok(stats)
    }

    /// Returns the nearest names of entities if no fact is about this one; `None` if one is.
    ///
    /// # Errors
    /// Errors of the palace.
    #[cfg(feature = "mcp")]
    pub(crate) fn nearest_entities(&self, entity: &str) -> Result<Option<Vec<String>>> {
        let names = self.all()?.into_iter().map(|fact| fact.triple);
        let names = names.flat_map(|triple| [triple.subject, triple.object]);
        Ok(nearest(entity.trim(), names, folded))
    }

    /// Returns the fact with this id; `None` if there is none.
    ///
    /// # Errors
    /// Errors of the palace.
    #[cfg(feature = "mcp")]
    pub(crate) fn get(&self, id: &str) -> Result<Option<Fact>> {
        let Some(key) = fact_key(id) else { return Ok(None) };
        Ok(self.palace.get(key.as_str())?.and_then(|document| fact_of(&document)))
    }

    /// Counts the facts by their keys.
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn count(&self) -> Result<usize> {
        let mut count = 0;
        each_key(&self.palace, FACTS, |_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    fn all(&self) -> Result<Vec<Fact>> {
        Ok(self.scan(FACTS)?.into_iter().map(|(_, fact)| fact).collect())
    }

    /// Returns the facts of an entity. The word index finds the facts that have all of its words.
    fn of(&self, entity: &str, direction: Direction) -> Result<Vec<Fact>> {
        let entity = part("entity", entity)?;
        let is_of = |fact: &Fact| match (fact.ends_with(&entity), direction) {
            ((subject, _), Direction::Outgoing) => subject,
            ((_, object), Direction::Incoming) => object,
            ((subject, object), Direction::Both) => subject || object,
        };
        // The index finds words, not names: a fact with all words may name another entity, so `is_of` decides.
        let words = words(&entity);
        if words.is_empty() {
            return Ok(self.all()?.into_iter().filter(is_of).collect());
        }
        let found = self.palace.ranked(&Question {
            query: &words.join(" "),
            every: true,
            keys: &|key| key.as_str().starts_with(FACTS),
            documents: &|document| fact_of(document).is_some_and(|fact| is_of(&fact)),
            fields: &["subject", "object"],
            after: None,
            limit: usize::MAX,
        })?;
        Ok(found.iter().filter_map(|ranked| fact_of(&ranked.document)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::facts::Triple;
    use crate::palace::Palace;

    #[test]
    fn facts_without_a_start_come_first_and_midnight_before_its_day() {
        let dir = tempfile::tempdir().unwrap();
        let facts = Facts::new(Palace::open(dir.path().join("palace")).unwrap());
        let times = [
            None,
            Some("2023-06-01"),
            Some("2024-01-01"),
            Some("2024-01-01T00:00:01Z"),
            Some("2024-01-01T10:00:00Z"),
            Some("2024-01-02"),
        ];
        for (n, time) in times.iter().enumerate().rev() {
            let triple = Triple::new("Ada", "was_at", &format!("place {n}")).unwrap();
            facts.assert(&triple, *time, None, None).unwrap();
        }
        let mut after: Option<String> = None;
        let mut found = Vec::new();
        loop {
            let asked = FactQuery { after: after.as_deref(), limit: 1, ..FactQuery::default() };
            let page = facts.about(&asked).unwrap();
            after = page.facts.last().map(Fact::position);
            found.extend(page.facts.into_iter().map(|fact| fact.triple.object));
            if !page.more {
                break;
            }
        }
        assert_eq!(found, (0..times.len()).map(|n| format!("place {n}")).collect::<Vec<_>>());
    }
}
