//! Asserts, ends and replaces facts.
//!
//! Invariant: a call answers with the state that its own commit left. If nothing has to be written, it commits a write
//! that changes nothing: after that, everything that the answer rests on is durable, whichever process wrote it.
//! Nothing is read after the commit.

use super::ending::{Ending, ended_at, ending, note_end, replaced};
use super::fact::{Fact, Period, fact_shown};
use super::handle::Facts;
use super::triple::{Source, Triple, no_fact, part};
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::memory::moment::moment;
use crate::merge::MergeError;
use crate::palace::{Draft, Outcome};
use serde_json::{Map, Value, json};
use std::cell::Cell;

/// Result of [`Facts::assert`].
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let first = facts.assert(&works, Some("2024-01-01"), None, None)?;
/// let again = facts.assert(&works, None, None, None)?;
/// assert!(first.new && !again.new); // it still holds, so nothing new was asserted
/// assert_eq!(again.fact, first.fact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asserted {
    /// The fact after the call.
    pub fact: Fact,
    /// False if it was asserted before.
    pub new: bool,
}

/// Result of [`Facts::end`].
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.assert(&works, Some("2024-01-01"), None, None)?;
/// let ended = facts.end(&works, Some("2026-03-01"))?;
/// assert_eq!((ended.changed, ended.fact.valid_to.as_deref()), (true, Some("2026-03-01")));
/// let again = facts.end(&works, Some("2026-05-01"))?; // it had ended before
/// assert_eq!((again.changed, again.fact.valid_to.as_deref()), (false, Some("2026-03-01")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// The fact after the call. Its `valid_to` is the earliest of all ends that were given.
    pub fact: Fact,
    /// False if it had ended before.
    pub changed: bool,
}

/// A period of a fact to file.
struct NewPeriod<'a> {
    key: Key,
    triple: &'a Triple,
    from: Option<String>,
    to: Option<String>,
    source: Option<&'a Source>,
}

/// A write of the document of a period. One that changes nothing makes sure that the state of the document is durable.
type Write<'a> = Box<dyn FnOnce(&mut Draft<'_>) -> Result<(), MergeError> + 'a>;

/// A period as a commit left it.
struct CommittedPeriod {
    fact: Fact,
    changed: bool,
}

impl Facts {
    /// Asserts a fact, from a moment on, until a moment. If the fact still holds, or was asserted for this very period,
    /// the result is that period, also if it was ended since.
    ///
    /// # Errors
    /// [`MemoryError::Argument`], and errors of the palace; then nothing was written.
    pub fn assert(
        &self,
        triple: &Triple,
        valid_from: Option<&str>,
        valid_to: Option<&str>,
        source: Option<&Source>,
    ) -> Result<Asserted> {
        let from = valid_from.map(|text| moment("valid_from", text)).transpose()?;
        let to = valid_to.map(|text| moment("valid_to", text)).transpose()?;
        if from.as_ref().zip(to.as_ref()).is_some_and(|(from, to)| from >= to) {
            return Err(MemoryError::argument(
                "valid_to",
                "it is not after valid_from: swap the two",
            ));
        }
        let known = self.periods(triple)?;
        let moments = [from.as_deref(), to.as_deref()];
        let found = asserted(&known, moments).or_else(|| fitting(&known, moments));
        let key = match found {
            Some(period) => period.key.clone(),
            None => free_key(triple, moments, &known)?,
        };
        let new = found.is_none();
        let period = NewPeriod { key, triple, from, to, source };
        let mut left = self.commit(vec![period.write()])?;
        let CommittedPeriod { fact, .. } = left.pop().ok_or_else(|| no_fact(triple))?;
        Ok(Asserted { fact, new })
    }

    /// Ends a fact at a moment: every period of it that holds then.
    ///
    /// The default moment is the beginning of today, or now if a period began later today. A fact that is ended several
    /// times ends at the earliest moment. If it was ended at this very moment before, nothing changes, also if it was
    /// asserted again since.
    ///
    /// # Errors
    /// [`MemoryError::NoFact`], [`MemoryError::FactDoesNotHold`], [`MemoryError::Argument`], and errors of the palace;
    /// then nothing was written.
    pub fn end(&self, triple: &Triple, ended: Option<&str>) -> Result<Ended> {
        let known = self.periods(triple)?;
        let at = self.moment_or_today("ended", ended, &known)?;
        let ending = match ended.and_then(|_| ended_at(&known, &at)) {
            Some(period) => Ending::Over(period),
            None => ending(triple, &known, &at)?,
        };
        ended_of(self.commit(ending.writes(&known, &at))?, triple)
    }

    /// Ends a fact, and asserts another one with the same subject and predicate from that moment on, in one commit. If
    /// that was done before, nothing changes, whatever was written to the new fact since.
    ///
    /// ```
    /// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
    /// # let works = Triple::new("Ada", "works_at", "Acme")?;
    /// facts.assert(&works, Some("2024-01-01"), None, None)?;
    /// let (ended, asserted) = facts.replace(&works, "Initech", Some("2026-03-01"))?;
    /// assert_eq!(ended.fact.valid_to.as_deref(), Some("2026-03-01"));
    /// assert_eq!(asserted.fact.valid_from, ended.fact.valid_to);
    /// assert_eq!(asserted.fact.triple.object, "Initech");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`Facts::end`] and [`Facts::assert`].
    pub fn replace(
        &self,
        old: &Triple,
        new_object: &str,
        at: Option<&str>,
    ) -> Result<(Ended, Asserted)> {
        let periods = self.periods(old)?;
        let (given, at) = (at.is_some(), self.moment_or_today("at", at, &periods)?);
        // The check comes before any write: a refused call must not end the old fact.
        let new = Triple { object: part("new_object", new_object)?, ..old.clone() };
        // Prefixes ignore case, so this also refuses the same object in another spelling.
        if new.prefix() == old.prefix() {
            return Err(MemoryError::argument(
                "new_object",
                "it is the old object, so nothing would change: pass another one",
            ));
        }
        let known = self.periods(&new)?;
        let done = replaced(&periods, &known, &at, given);
        let mut writes = match done {
            Some((ended, _)) => vec![nothing(ended)],
            None => ending(old, &periods, &at)?.writes(&periods, &at),
        };
        let moments = [Some(at.as_str()), None];
        // The new fact may hold already, from an earlier assertion.
        let found = done.map(|(_, successor)| successor).or_else(|| fitting(&known, moments));
        let from = Some(at.clone());
        writes.push(match found {
            Some(period) => nothing(period),
            None => {
                let key = free_key(&new, moments, &known)?;
                NewPeriod { key, triple: &new, from, to: None, source: None }.write()
            }
        });
        let mut left = self.commit(writes)?;
        let CommittedPeriod { fact, .. } = left.pop().ok_or_else(|| no_fact(&new))?;
        Ok((ended_of(left, old)?, Asserted { fact, new: found.is_none() }))
    }

    /// Returns the moment that the caller gave, or else today's midnight. If a period began after that, it returns now,
    /// because the period does not hold at midnight.
    fn moment_or_today(
        &self,
        field: &'static str,
        text: Option<&str>,
        periods: &[Period],
    ) -> Result<String> {
        if let Some(text) = text {
            return moment(field, text);
        }
        let now = self.now();
        let today = now.split('T').next().unwrap_or(&now);
        // Periods that have ended count too, so that a repeat of the same call finds them ended.
        let began_today = |period: &Period| {
            let from = period.fact.valid_from.as_deref();
            from.is_some_and(|from| today < from && from <= now.as_str())
        };
        Ok(if periods.iter().any(began_today) { now } else { today.to_owned() })
    }

    /// Makes the writes in one commit, and returns the state that they left. The state is taken from the drafts: a read
    /// after the commit could fail, and a call that was written would be reported as failed.
    fn commit(&self, writes: Vec<(Key, Write<'_>)>) -> Result<Vec<CommittedPeriod>> {
        // A cell for each write: its closure runs inside the commit.
        let facts: Vec<Cell<Option<Fact>>> = writes.iter().map(|_| Cell::default()).collect();
        let mut batch = self.palace.with(self.options()).batch();
        for ((key, write), fact) in writes.into_iter().zip(&facts) {
            let of = key.clone();
            batch.write(key, move |draft| {
                write(draft)?;
                fact.set(Some(shown(draft, &of)?));
                Ok(())
            });
        }
        let outcomes = batch.commit()?.outcomes;
        let left = |(outcome, fact): (Outcome, Cell<Option<Fact>>)| {
            let (changed, etag) = (outcome.changed, outcome.etag.to_string());
            Some(CommittedPeriod { fact: Fact { etag, ..fact.into_inner()? }, changed })
        };
        Ok(outcomes.into_iter().zip(facts).filter_map(left).collect())
    }
}

/// Returns the period that was asserted with these very moments. Of several, one that still holds comes first.
fn asserted<'a>(known: &'a [Period], [from, to]: [Option<&str>; 2]) -> Option<&'a Period> {
    // Without moments an assertion means "it holds now", which can become true again. With one it names one period.
    let named = from.is_some() || to.is_some();
    let same = |period: &&Period| {
        named && period.fact.valid_from.as_deref() == from && period.asserted_to.as_deref() == to
    };
    known.iter().filter(same).max_by_key(|period| period.fact.valid_to.is_none())
}

/// Returns the period that says the same now.
fn fitting<'a>(known: &'a [Period], [from, to]: [Option<&str>; 2]) -> Option<&'a Period> {
    known.iter().find(|Period { fact, .. }| match to {
        // An assertion without an end means "it holds now", which any open period says already.
        None => fact.valid_to.is_none(),
        Some(_) => fact.valid_to.as_deref() == to && fact.valid_from.as_deref() == from,
    })
}

fn free_key(triple: &Triple, moments: [Option<&str>; 2], known: &[Period]) -> Result<Key> {
    let taken: Vec<&Key> = known.iter().map(|period| &period.key).collect();
    triple.free_key(moments, &taken)
}

impl Ending<'_> {
    /// Returns the writes. The last one is of the period that the answer shows.
    fn writes<'a>(&self, known: &'a [Period], at: &'a str) -> Vec<(Key, Write<'a>)> {
        match self {
            Ending::Of(holding) => {
                let end = |period: &&Period| -> (Key, Write<'a>) {
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

/// Returns a write that changes nothing. The answer rests on the period, which another process may have written and not
/// yet made durable.
fn nothing<'a>(period: &Period) -> (Key, Write<'a>) {
    (period.key.clone(), Box::new(|_| Ok(())))
}

/// Returns the result of ending a fact. Of several periods it shows the one that began last.
fn ended_of(mut left: Vec<CommittedPeriod>, triple: &Triple) -> Result<Ended> {
    let changed = left.iter().any(|left| left.changed);
    let CommittedPeriod { fact, .. } = left.pop().ok_or_else(|| no_fact(triple))?;
    Ok(Ended { fact, changed })
}

/// Returns the fact that a draft shows.
fn shown(draft: &mut Draft<'_>, key: &Key) -> Result<Fact, MergeError> {
    let gone =
        || MergeError::Refused { why: "another process has just deleted this fact".to_owned() };
    let value = if draft.exists() { draft.view()?.value } else { Map::new() };
    fact_shown(key, &value).ok_or_else(gone)
}

impl<'a> NewPeriod<'a> {
    fn write(self) -> (Key, Write<'a>) {
        (self.key.clone(), Box::new(move |draft| self.file(draft)))
    }

    fn file(&self, draft: &mut Draft<'_>) -> Result<(), MergeError> {
        let NewPeriod { key, triple, from, to, source } = self;
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

/// Makes sure that a period of a fact exists, and returns its content.
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
    // Filed by content: two processes that assert the same period at once make one document.
    draft.file(key, &value)?;
    Ok(draft.view()?.value)
}
