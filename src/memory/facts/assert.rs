//! Asserts, ends and replaces facts.
//!
//! Invariant: a call answers with the state that its own commit left. If nothing has to be written, it commits a write
//! that changes nothing: after that, everything that the answer rests on is durable, whichever process wrote it.
//! Nothing is read after the commit.

use super::as_of::AsOf;
use super::ending::{Ending, ended_at, ending, just_deleted, note_end, note_replaced, replaced};
use super::fact::{Fact, Period, fact_shown};
use super::find::texts;
use super::flags::{self, Flag};
use super::handle::Facts;
use super::period;
use super::triple::{Source, Triple, no_fact, part, text};
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::memory::moment::{Moment, one_form};
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
    from: Option<&'a Moment>,
    to: Option<&'a Moment>,
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
    /// If that period was deleted, it comes back. One that was ended before it was deleted stays deleted, and the result
    /// is another period.
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
        let from = valid_from.map(|text| self.moment("valid_from", text)).transpose()?;
        let to = valid_to.map(|text| self.moment("valid_to", text)).transpose()?;
        if let Some((from, to)) = from.as_ref().zip(to.as_ref()) {
            period::checked("valid_to", from, to)?;
        }
        let known = self.periods(triple)?;
        let (from, to) = (from.as_ref(), to.as_ref());
        let found = self.same_period(&known, [from, to]);
        let key = match found {
            Some(period) => period.key.clone(),
            None => {
                self.free_key(triple, texts([from, to]), known.iter().map(|period| &period.key))?
            }
        };
        let new = found.is_none();
        let period = NewPeriod { key, triple, from, to, source };
        let mut left = self.commit(vec![period.write()])?;
        let CommittedPeriod { fact, .. } = left.pop().ok_or_else(|| no_fact(triple))?;
        Ok(Asserted { fact, new })
    }

    /// Ends a fact at a moment: every period of it that holds then.
    ///
    /// The default moment is today, or now if a period began at a time of today. A fact that began on the date on which
    /// it ends holds for that whole day. A fact that is ended several times ends at the earliest moment. If it was ended
    /// at this very moment before, nothing changes, also if it was asserted again since.
    ///
    /// # Errors
    /// [`MemoryError::NoFact`], [`MemoryError::FactDoesNotHold`], [`MemoryError::Argument`], and errors of the palace;
    /// then nothing was written.
    pub fn end(&self, triple: &Triple, ended: Option<&str>) -> Result<Ended> {
        let known = self.periods(triple)?;
        let at = self.moment_or_today("ended", ended, &known)?;
        let ending = match ended.and_then(|_| ended_at(&known, &at)) {
            Some(period) => Ending::Over(period),
            None => self.ending("ended", triple, &known, (&at, ended.is_some()))?,
        };
        ended_of(self.commit(ending.writes(&known, &at, note_end))?, triple)
    }

    /// Ends a fact, and asserts another one with the same subject and predicate from that moment on, in one commit. If
    /// that was done before, nothing changes, whatever was written to the new fact since.
    ///
    /// The default moment is that of [`Facts::end`]. A fact that is replaced on the date on which it began did not hold
    /// on that day.
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
            None => {
                let ending = self.ending("at", old, &periods, (&at, given))?;
                ending.writes(&periods, &at, note_replaced)
            }
        };
        let moments = [Some(&at), None];
        // The new fact may hold already, from an earlier assertion.
        let fitting = || self.fitting(&known, moments);
        let found = done.map(|(_, successor)| successor).or_else(fitting);
        writes.push(match found {
            Some(period) => nothing(period),
            None => {
                let known = known.iter().map(|period| &period.key);
                let key = self.free_key(&new, texts(moments), known)?;
                NewPeriod { key, triple: &new, from: Some(&at), to: None, source: None }.write()
            }
        });
        let mut left = self.commit(writes)?;
        let CommittedPeriod { fact, .. } = left.pop().ok_or_else(|| no_fact(&new))?;
        Ok((ended_of(left, old)?, Asserted { fact, new: found.is_none() }))
    }

    /// Returns the moment that the caller gave, or else today. If a period began at a time of today, it returns now,
    /// because the period does not hold when the day begins.
    fn moment_or_today(
        &self,
        field: &'static str,
        text: Option<&str>,
        periods: &[Period],
    ) -> Result<Moment> {
        if let Some(text) = text {
            return self.moment(field, text);
        }
        let now = self.present();
        let today = self.day(now.date());
        let (morning, present) = (AsOf::beginning_of(&today), AsOf::beginning_of(&now));
        // Periods that have ended count too, so that a repeat of the same call finds them ended.
        let began_today = |Period { fact, .. }: &Period| {
            fact.begins_after(&morning) && !fact.begins_after(&present)
        };
        Ok(if periods.iter().any(began_today) { now } else { today })
    }

    /// Decides which periods end at a moment. It is refused if it is before the beginning of one, or that very moment.
    fn ending<'a>(
        &self,
        field: &'static str,
        triple: &Triple,
        known: &'a [Period],
        (at, given): (&Moment, bool),
    ) -> Result<Ending<'a>> {
        let check = |Period { fact, .. }: &Period| match self.beginning(fact) {
            Some(from) => period::checked(field, &from, at),
            None => Ok(()),
        };
        let then = AsOf::beginning_of(at);
        if known.iter().all(|period| period.fact.begins_after(&then)) {
            known.first().map_or(Ok(()), check)?;
        }
        let ending = ending(triple, known, at)?;
        // The present moment may be that in which it began, and the caller cannot pass a later one.
        if let (Ending::Of(holding), true) = (&ending, given) {
            holding.iter().try_for_each(|period| check(period))?;
        }
        Ok(ending)
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

impl Ending<'_> {
    /// Returns the writes. The last one is of the period that the answer shows.
    fn writes<'a>(
        &self,
        known: &'a [Period],
        at: &'a Moment,
        note: fn(&mut Draft<'_>, &Moment) -> Result<(), MergeError>,
    ) -> Vec<(Key, Write<'a>)> {
        match self {
            Ending::Of(holding) => {
                let end = |period: &&Period| -> (Key, Write<'a>) {
                    (period.key.clone(), Box::new(move |draft| note(draft, at)))
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
    let value = if draft.exists() { draft.view()?.value } else { Map::new() };
    fact_shown(key, &value).ok_or_else(just_deleted)
}

impl<'a> NewPeriod<'a> {
    fn write(self) -> (Key, Write<'a>) {
        (self.key.clone(), Box::new(move |draft| self.file(draft)))
    }

    fn file(&self, draft: &mut Draft<'_>) -> Result<(), MergeError> {
        let NewPeriod { key, triple, from, to, source } = self;
        let new = !draft.exists();
        let shown = ensure(draft, key, triple, texts([*from, *to]))?;
        let is_kept = |field, moment: &&Moment| {
            text(&shown, field).as_deref().map(one_form).as_ref() == Some(&moment.text)
        };
        // It may be another period that says the same. Then the moments are not those of this call.
        if let Some(from) = from.filter(|from| is_kept("valid_from", from)) {
            flags::note_offset(draft, Flag::Began, from, new)?;
        }
        if let Some(to) = to.filter(|to| is_kept("valid_to", to)) {
            flags::note_offset(draft, Flag::Ended, to, new)?;
        }
        let Some(source) = source else { return Ok(()) };
        let sources = shown.get("sources").and_then(Value::as_array).into_iter().flatten();
        match sources.filter_map(Source::of).any(|stored| source.names(&stored)) {
            true => Ok(()),
            false => draft.append(&["sources"], &[Value::Object(source.value())]),
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
