//! Asking: what is known of an entity, now or at a moment, and in which order it came to be.

use super::triple::folded;
use super::{FACTS, Fact, Facts, MemoryError, Result, fact_of};
use crate::memory::each_key;
use crate::memory::when::{moment, one_form, readable};
use crate::palace::ranked::Question;
use crate::snapshot::words;
use std::collections::BTreeSet;

/// The most facts of one call.
pub const FACTS_MAX: usize = 100;

/// At which end of its facts an entity stands.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.state(&works, None, None, None)?;
/// facts.state(&Triple::new("Bob", "knows", "Ada")?, None, None, None)?;
/// let asked = Asked { entity: Some("Ada"), direction: Direction::Incoming, ..Asked::default() };
/// assert_eq!(facts.about(&asked)?.facts[0].triple.subject, "Bob");
/// assert_eq!(facts.about(&Asked { direction: Direction::Both, ..asked })?.total, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// It is the subject.
    Outgoing,
    /// It is the object.
    Incoming,
    /// It is one of the two.
    #[default]
    Both,
}

/// What to ask.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.state(&works, Some("2024-01-01"), Some("2026-03-01"), None)?;
/// let asked = Asked { entity: Some("ADA"), as_of: Some("2025-06-30"), ..Asked::default() };
/// assert_eq!(facts.about(&asked)?.facts[0].triple, works);
/// assert_eq!(facts.about(&Asked { as_of: Some("2026-03-01"), ..asked })?.total, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Of whom or what; whatever the case. `None`: of everything.
    pub entity: Option<&'a str>,
    /// Only what held at this moment.
    pub as_of: Option<&'a str>,
    /// Which facts of the entity.
    pub direction: Direction,
    /// Only what comes behind: the [`Fact::position`] of the last that an earlier call gave.
    pub after: Option<&'a str>,
    /// At most so many; 0 is [`FACTS_MAX`].
    pub limit: usize,
}

/// Some facts.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// for (place, since) in [("Acme", "2024-01-01"), ("Initech", "2025-01-01")] {
///     facts.state(&Triple::new("Ada", "works_at", place)?, Some(since), None, None)?;
/// }
/// let first = facts.about(&Asked { limit: 1, ..Asked::default() })?;
/// assert!(first.more && first.total == 2);
/// let after = first.facts[0].position();
/// let rest = facts.about(&Asked { after: Some(&after), ..Asked::default() })?;
/// assert_eq!((rest.facts[0].triple.object.as_str(), rest.more), ("Initech", false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactPage {
    /// In the order in which they began to hold; those that always did come first.
    pub facts: Vec<Fact>,
    /// How many there are in all.
    pub total: usize,
    /// Whether there is more behind.
    pub more: bool,
}

/// How much is known.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.state(&works, Some("2024-01-01"), None, None)?;
/// facts.supersede(&works, "Initech", Some("2026-03-01"))?;
/// let stats = facts.stats()?;
/// assert_eq!((stats.entities, stats.facts, stats.current), (3, 2, 1));
/// assert!(stats.predicates.contains("works_at"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Subjects and objects, whatever the case.
    pub entities: usize,
    /// All facts.
    pub facts: usize,
    /// Those that have not ended.
    pub current: usize,
    /// The predicates.
    pub predicates: BTreeSet<String>,
}

impl Fact {
    /// Its place in the order, and the cursor for what comes behind it.
    #[must_use]
    pub fn position(&self) -> String {
        // Before every character of a time: midnight comes before the moments of its day.
        format!("{}!{}", self.valid_from.as_deref().unwrap_or(""), self.id)
    }

    /// Whether the entity is its subject, and whether it is its object.
    pub(crate) fn ends_with(&self, entity: &str) -> (bool, bool) {
        let entity = folded(entity.trim());
        (folded(&self.triple.subject) == entity, folded(&self.triple.object) == entity)
    }
}

impl Facts {
    /// What is known.
    ///
    /// # Errors
    /// [`MemoryError::Argument`], or what the palace says.
    pub fn about(&self, asked: &Asked<'_>) -> Result<FactPage> {
        let as_of = asked.as_of.map(|text| moment("as_of", text)).transpose()?;
        if let Some(after) = asked.after.filter(|after| !after.contains('!')) {
            return Err(MemoryError::cursor(after));
        }
        let mut facts = match asked.entity {
            Some(entity) => self.of(entity, asked.direction)?,
            None => self.all()?,
        };
        facts.retain(|fact| as_of.as_deref().is_none_or(|at| fact.holds(at)));
        facts.sort_by_cached_key(Fact::position);
        let total = facts.len();
        if let Some(after) = asked.after {
            facts.retain(|fact| fact.position().as_str() > after);
        }
        let limit = if asked.limit == 0 { FACTS_MAX } else { asked.limit.min(FACTS_MAX) };
        let more = facts.len() > limit;
        facts.truncate(limit);
        Ok(FactPage { facts, total, more })
    }

    /// How much is known.
    ///
    /// ```
    /// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
    /// # let works = Triple::new("Ada", "works_at", "Acme")?;
    /// facts.state(&works, Some("2024-01-01"), Some("2026-03-01"), None)?;
    /// let stats = facts.stats()?;
    /// assert_eq!((stats.facts, stats.current), (1, 0)); // it has ended
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What the palace says.
    pub fn stats(&self) -> Result<Stats> {
        let (mut stats, mut entities, now) = (Stats::default(), BTreeSet::new(), self.now());
        for fact in self.all()? {
            stats.facts += 1;
            stats.current += usize::from(!fact.is_over(&now));
            entities.extend([folded(&fact.triple.subject), folded(&fact.triple.object)]);
            stats.predicates.insert(fact.triple.predicate);
        }
        stats.entities = entities.len();
        Ok(stats)
    }

    /// How many facts there are, by their keys.
    ///
    /// # Errors
    /// What the palace says.
    pub fn count(&self) -> Result<usize> {
        let mut count = 0;
        each_key(&self.palace, FACTS, |_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// The present moment, to compare with those of facts.
    ///
    /// ```
    /// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
    /// # let works = Triple::new("Ada", "works_at", "Acme")?;
    /// let fact = facts.state(&works, Some("2024-01-01"), None, None)?.fact;
    /// assert!(fact.holds(&facts.now()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn now(&self) -> String {
        let now = readable(self.palace.now_ms());
        let seconds = now.split('.').next().unwrap_or(&now);
        one_form(&format!("{}Z", seconds.trim_end_matches('Z')))
    }

    fn all(&self) -> Result<Vec<Fact>> {
        Ok(self.scan(FACTS)?.into_iter().map(|(_, fact)| fact).collect())
    }

    /// The facts of an entity. Those that have all of its words are found by the index of words.
    fn of(&self, entity: &str, direction: Direction) -> Result<Vec<Fact>> {
        let entity = super::triple::part("entity", entity)?;
        let is_of = |fact: &Fact| match (fact.ends_with(&entity), direction) {
            ((subject, _), Direction::Outgoing) => subject,
            ((_, object), Direction::Incoming) => object,
            ((subject, object), Direction::Both) => subject || object,
        };
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
    fn what_always_was_comes_first_and_midnight_before_its_day() {
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
            facts.state(&triple, *time, None, None).unwrap();
        }
        let mut after: Option<String> = None;
        let mut found = Vec::new();
        loop {
            let asked = Asked { after: after.as_deref(), limit: 1, ..Asked::default() };
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
