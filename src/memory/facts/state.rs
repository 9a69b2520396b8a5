//! Stating and ending facts.
//!
//! Invariant: what a call answers is what its own commit left, or, if there is nothing to write, what a commit of
//! nothing found: then what the answer relies on is on disk, whoever wrote it. After the commit nothing is read.

use super::ending::{Ending, ended_at, ending, note_end, superseded};
use super::triple::{no_fact, part};
use super::{Fact, Facts, Known, MemoryError, Result, Source, Triple, fact_shown};
use crate::format::key::Key;
use crate::memory::when::moment;
use crate::merge::MergeError;
use crate::palace::{Draft, Outcome};
use serde_json::{Map, Value, json};
use std::cell::Cell;

/// A fact that was stated.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let first = facts.state(&works, Some("2024-01-01"), None, None)?;
/// let again = facts.state(&works, None, None, None)?;
/// assert!(first.new && !again.new); // it was known to hold still
/// assert_eq!(again.fact, first.fact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// As it is now.
    pub fact: Fact,
    /// False if it was known.
    pub new: bool,
}

/// A fact that ended.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.state(&works, Some("2024-01-01"), None, None)?;
/// let ended = facts.end(&works, Some("2026-03-01"))?;
/// assert_eq!((ended.changed, ended.fact.valid_to.as_deref()), (true, Some("2026-03-01")));
/// let again = facts.end(&works, Some("2026-05-01"))?; // it was over by then
/// assert_eq!((again.changed, again.fact.valid_to.as_deref()), (false, Some("2026-03-01")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As it is now; its `valid_to` is the earliest moment that anybody gave.
    pub fact: Fact,
    /// False if it had ended by then.
    pub changed: bool,
}

/// A period of a fact that is to be filed.
struct Period<'a> {
    key: Key,
    triple: &'a Triple,
    from: Option<String>,
    to: Option<String>,
    source: Option<&'a Source>,
}

/// What is to be done with the document of a period; one that does nothing sees to it that what it shows is on disk.
type Write<'a> = Box<dyn FnOnce(&mut Draft<'_>) -> Result<(), MergeError> + 'a>;

/// A period as a commit left it.
struct Left {
    fact: Fact,
    changed: bool,
}

impl Facts {
    /// States a fact: from a moment on, until a moment. If it is known to hold still, or was stated for this very
    /// period, that is the fact; also if somebody has ended it since.
    ///
    /// # Errors
    /// [`MemoryError::Argument`], or what the palace says; nothing was written then.
    pub fn state(
        &self,
        triple: &Triple,
        valid_from: Option<&str>,
        valid_to: Option<&str>,
        source: Option<&Source>,
    ) -> Result<Stated> {
        let from = valid_from.map(|text| moment("valid_from", text)).transpose()?;
        let to = valid_to.map(|text| moment("valid_to", text)).transpose()?;
        if from.as_ref().zip(to.as_ref()).is_some_and(|(from, to)| from >= to) {
            return Err(MemoryError::argument("valid_to", "it is not after valid_from: swap them"));
        }
        let known = self.periods(triple)?;
        let moments = [from.as_deref(), to.as_deref()];
        let found = stated(&known, moments).or_else(|| fitting(&known, moments));
        let key = match found {
            Some(period) => period.key.clone(),
            None => free_key(triple, moments, &known)?,
        };
        let new = found.is_none();
        let period = Period { key, triple, from, to, source };
        let mut left = self.commit(vec![period.write()])?;
        let Left { fact, .. } = left.pop().ok_or_else(|| no_fact(triple))?;
        Ok(Stated { fact, new })
    }

    /// Ends a fact at a moment: every period of it that holds then. If none is given it is today, or now if it
    /// began later today. Whoever ends it, and in whatever order: it ends at the earliest of the moments given. If it
    /// was ended at the moment that is given, nothing changes, also if it was stated again since.
    ///
    /// # Errors
    /// [`MemoryError::NoFact`], [`MemoryError::NotThen`], [`MemoryError::Argument`], or what the palace says;
    /// nothing was written then.
    pub fn end(&self, triple: &Triple, ended: Option<&str>) -> Result<Ended> {
        let known = self.periods(triple)?;
        let at = self.moment_or_today("ended", ended, &known)?;
        let ending = match ended.and_then(|_| ended_at(&known, &at)) {
            Some(period) => Ending::Over(period),
            None => ending(triple, &known, &at)?,
        };
        ended_of(self.commit(ending.writes(&known, &at))?, triple)
    }

    /// Ends a fact and states another of the same subject and predicate from that moment on, in one commit. If that
    /// was done already, nothing changes, whatever has become of the other one since.
    ///
    /// ```
    /// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
    /// # let works = Triple::new("Ada", "works_at", "Acme")?;
    /// facts.state(&works, Some("2024-01-01"), None, None)?;
    /// let (ended, stated) = facts.supersede(&works, "Initech", Some("2026-03-01"))?;
    /// assert_eq!(ended.fact.valid_to.as_deref(), Some("2026-03-01"));
    /// assert_eq!(stated.fact.valid_from, ended.fact.valid_to);
    /// assert_eq!(stated.fact.triple.object, "Initech");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Facts::end`] and [`Facts::state`].
    pub fn supersede(
        &self,
        old: &Triple,
        new_object: &str,
        at: Option<&str>,
    ) -> Result<(Ended, Stated)> {
        let periods = self.periods(old)?;
        let (given, at) = (at.is_some(), self.moment_or_today("at", at, &periods)?);
        let new = Triple { object: part("new_object", new_object)?, ..old.clone() };
        if new.prefix() == old.prefix() {
            return Err(MemoryError::argument("new_object", "it is the old one: nothing changes"));
        }
        let known = self.periods(&new)?;
        let done = superseded(&periods, &known, &at, given);
        let mut writes = match done {
            Some((ended, _)) => vec![nothing(ended)],
            None => ending(old, &periods, &at)?.writes(&periods, &at),
        };
        let moments = [Some(at.as_str()), None];
        let found = done.map(|(_, successor)| successor).or_else(|| fitting(&known, moments));
        let from = Some(at.clone());
        writes.push(match found {
            Some(period) => nothing(period),
            None => {
                let key = free_key(&new, moments, &known)?;
                Period { key, triple: &new, from, to: None, source: None }.write()
            }
        });
        let mut left = self.commit(writes)?;
        let Left { fact, .. } = left.pop().ok_or_else(|| no_fact(&new))?;
        Ok((ended_of(left, old)?, Stated { fact, new: found.is_none() }))
    }

    /// The moment that is given, or else today; but now if a period began later today, which midnight would miss.
    fn moment_or_today(
        &self,
        field: &'static str,
        text: Option<&str>,
        periods: &[Known],
    ) -> Result<String> {
        if let Some(text) = text {
            return moment(field, text);
        }
        let now = self.now();
        let today = now.split('T').next().unwrap_or(&now);
        // Also if it has ended again: the same call once more finds it over.
        let began_today = |period: &Known| {
            let from = period.fact.valid_from.as_deref();
            from.is_some_and(|from| today < from && from <= now.as_str())
        };
        Ok(if periods.iter().any(began_today) { now } else { today.to_owned() })
    }

    /// Makes these writes in one commit, and gives what they left. That is taken from the drafts: a read after the
    /// commit could fail, and a call that was written would be told as one that failed.
    fn commit(&self, writes: Vec<(Key, Write<'_>)>) -> Result<Vec<Left>> {
        let facts: Vec<Cell<Option<Fact>>> = writes.iter().map(|_| Cell::default()).collect();
        let mut batch = self.palace.batch();
        for ((key, write), fact) in writes.into_iter().zip(&facts) {
            let of = key.clone();
            batch.write(key, move |draft| {
                write(draft)?;
                fact.set(Some(shown(draft, &of)?));
                Ok(())
            });
        }
        let outcomes = batch.commit(&self.options())?.outcomes;
        let left = |(outcome, fact): (Outcome, Cell<Option<Fact>>)| {
            let (changed, etag) = (outcome.changed, outcome.etag.to_string());
            Some(Left { fact: Fact { etag, ..fact.into_inner()? }, changed })
        };
        Ok(outcomes.into_iter().zip(facts).filter_map(left).collect())
    }
}

/// The period that was stated with just these moments. Of several one that holds still, if there is one.
fn stated<'a>(known: &'a [Known], [from, to]: [Option<&str>; 2]) -> Option<&'a Known> {
    // "It holds now" can be true once more; "since then" or "until then" names one period.
    let named = from.is_some() || to.is_some();
    let same = |period: &&Known| {
        named && period.fact.valid_from.as_deref() == from && period.stated_to.as_deref() == to
    };
    known.iter().filter(same).max_by_key(|period| period.fact.valid_to.is_none())
}

/// The period that says the same now.
fn fitting<'a>(known: &'a [Known], [from, to]: [Option<&str>; 2]) -> Option<&'a Known> {
    known.iter().find(|Known { fact, .. }| match to {
        None => fact.valid_to.is_none(),
        Some(_) => fact.valid_to.as_deref() == to && fact.valid_from.as_deref() == from,
    })
}

fn free_key(triple: &Triple, moments: [Option<&str>; 2], known: &[Known]) -> Result<Key> {
    let taken: Vec<&Key> = known.iter().map(|period| &period.key).collect();
    triple.free_key(moments, &taken)
}

impl Ending<'_> {
    /// What is to be written, the period that is shown in the end as the last.
    fn writes<'a>(&self, known: &'a [Known], at: &'a str) -> Vec<(Key, Write<'a>)> {
        match self {
            Ending::Of(holding) => {
                let end = |period: &&Known| -> (Key, Write<'a>) {
                    (period.key.clone(), Box::new(move |draft| note_end(draft, at)))
                };
                holding.iter().map(end).collect()
            }
            Ending::Over(shown) => {
                let others = known.iter().filter(|period| period.key != shown.key);
                others.chain([*shown]).map(nothing).collect()
            }
        }
    }
}

/// A write that changes nothing: what the period shows was decisive, and may be somebody else's, not on disk yet.
fn nothing<'a>(period: &Known) -> (Key, Write<'a>) {
    (period.key.clone(), Box::new(|_| Ok(())))
}

/// What became of a fact that was to end: of several periods the one that began last.
fn ended_of(mut left: Vec<Left>, triple: &Triple) -> Result<Ended> {
    let changed = left.iter().any(|left| left.changed);
    let Left { fact, .. } = left.pop().ok_or_else(|| no_fact(triple))?;
    Ok(Ended { fact, changed })
}

/// The fact that a draft shows.
fn shown(draft: &mut Draft<'_>, key: &Key) -> Result<Fact, MergeError> {
    let gone = || MergeError::Refused { why: "somebody has just deleted this fact".to_owned() };
    let value = if draft.exists() { draft.view()?.value } else { Map::new() };
    fact_shown(key, &value).ok_or_else(gone)
}

impl<'a> Period<'a> {
    fn write(self) -> (Key, Write<'a>) {
        (self.key.clone(), Box::new(move |draft| self.file(draft)))
    }

    fn file(&self, draft: &mut Draft<'_>) -> Result<(), MergeError> {
        let Period { key, triple, from, to, source } = self;
        let shown = ensure(draft, key, triple, [from.as_deref(), to.as_deref()])?;
        let Some(source) = source.map(|source| Value::Object(source.value())) else {
            return Ok(());
        };
        let sources = shown.get("sources").and_then(Value::as_array);
        match sources.is_some_and(|sources| sources.contains(&source)) {
            true => Ok(()),
            false => draft.append(&["sources"], &[source]),
        }
    }
}

/// Sees to it that a period of a fact is there, and gives what it shows.
pub(super) fn ensure(
    draft: &mut Draft<'_>,
    key: &Key,
    triple: &Triple,
    moments: [Option<&str>; 2],
) -> Result<Map<String, Value>, MergeError> {
    let mut value = Map::from_iter([
        ("subject".to_owned(), json!(triple.subject)),
        ("predicate".to_owned(), json!(triple.predicate)),
        ("object".to_owned(), json!(triple.object)),
        ("ends".to_owned(), json!([])),
        ("sources".to_owned(), json!([])),
    ]);
    let moments = ["valid_from", "valid_to"].into_iter().zip(moments);
    value.extend(moments.filter_map(|(f, m)| Some((f.to_owned(), json!(m?)))));
    draft.file(key, &value)?;
    Ok(draft.view()?.value)
}
