//! Imports facts of another system, with everything that it knew about them.
//!
//! Invariant: an imported fact is recognised by the id that it had there. Importing it again changes nothing, except
//! that it ends if it has ended there since. A fact that was deleted here stays deleted. A period that is known here
//! already gets one more source. A period that began at another moment is another period, and stays as it is.

use super::as_of::AsOf;
use super::assert::ensure;
use super::ending::note_end;
use super::fact::fact_of;
use super::flags::{Flag, note_offset};
use super::handle::Facts;
use super::triple::{Source, Triple};
use crate::format::key::Key;
use crate::memory::documents::each_document;
use crate::memory::error::Result;
use crate::memory::moment::Moment;
use crate::merge::MergeError;
use crate::palace::{Document, Draft, Error};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A fact of another system.
pub(in crate::memory) struct ForeignFact {
    /// The id that it has there.
    pub id: String,
    pub triple: Triple,
    /// The moments, in their one form.
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    /// The offsets in which the two were given.
    pub offsets: [Option<String>; 2],
    pub source: Source,
    /// Everything else that was known about it.
    pub known: Map<String, Value>,
}

/// Result of the import of one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::memory) enum ImportedFact {
    /// A new fact, or one that has ended since it was imported.
    New,
    /// A fact that was known here, without a difference.
    Known,
    /// A fact that cannot be stored, and the reason.
    Refused(String),
}

/// The write of a fact to a key; `n` is its position in the call.
struct PlannedWrite<'a> {
    key: Key,
    one: &'a ForeignFact,
    n: usize,
}

impl ForeignFact {
    fn moments(&self) -> [Option<&str>; 2] {
        [self.valid_from.as_deref(), self.valid_to.as_deref()]
    }

    fn value(&self) -> Value {
        let (mut value, mut from) = (self.source.value(), self.known.clone());
        from.insert("id".to_owned(), json!(self.id));
        value.insert("from".to_owned(), Value::Object(from));
        Value::Object(value)
    }

    fn is_noted(&self, value: &Map<String, Value>) -> bool {
        let sources = value.get("sources").and_then(Value::as_array).into_iter().flatten();
        sources.filter_map(|source| source.get("from")?.get("id")?.as_str()).any(|id| id == self.id)
    }

    /// Tells whether a period that is known here began at the same moment.
    fn begins_with(&self, document: &Document) -> bool {
        fact_of(document).is_some_and(|fact| fact.valid_from == self.valid_from)
    }

    /// Returns the end of the fact there.
    fn end(&self) -> Option<Moment> {
        let [_, offset] = &self.offsets;
        self.valid_to.as_deref().map(|to| Moment::kept(to, offset.as_deref(), &TimeZone::UTC))
    }

    /// Returns the beginning of the fact there.
    fn beginning(&self) -> Option<Moment> {
        let [offset, _] = &self.offsets;
        self.valid_from.as_deref().map(|from| Moment::kept(from, offset.as_deref(), &TimeZone::UTC))
    }

    /// Tells whether a document has everything that this fact says.
    fn is_known_to(&self, document: &Document) -> bool {
        let over = |to: Moment| {
            fact_of(document).is_some_and(|fact| fact.is_over(&AsOf::beginning_of(&to)))
        };
        self.is_noted(&document.value) && self.end().is_none_or(over)
    }
}

impl Facts {
    /// Imports facts in a few commits, and returns the result of each. If one cannot be stored, the others are.
    ///
    /// # Errors
    /// Errors of the palace; then a part may have been written.
    pub(in crate::memory) fn import(&self, facts: &[ForeignFact]) -> Result<Vec<ImportedFact>> {
        let mut results = vec![ImportedFact::Known; facts.len()];
        let (mut writes, mut prefixes) = (Vec::new(), BTreeSet::new());
        for (n, one) in facts.iter().enumerate() {
            // Two periods of one fact go into two commits, because the second may be the same period as the first.
            if !prefixes.insert(one.triple.prefix()) {
                self.commit_imports(std::mem::take(&mut writes), &mut results)?;
                prefixes = BTreeSet::from([one.triple.prefix()]);
            }
            if let Some(key) = self.import_key(one)? {
                writes.push(PlannedWrite { key, one, n });
            }
        }
        self.commit_imports(writes, &mut results)?;
        Ok(results)
    }

    /// Returns the key to write a fact to; `None` if it is known here, without a difference.
    fn import_key(&self, one: &ForeignFact) -> Result<Option<Key>> {
        let mut known = Vec::new();
        each_document(&self.palace, &one.triple.prefix(), |document| {
            known.push(document);
            Ok(())
        })?;
        // An earlier version noted facts also in periods that began at another moment. Those are other periods.
        let mut same = known.iter().filter(|document| one.begins_with(document));
        if let Some(noted) = same.clone().find(|document| one.is_noted(&document.value)) {
            return Ok(Some(noted.key.clone()).filter(|_| !one.is_known_to(noted)));
        }
        // A period with another end was asserted here by its own right, and must keep its end.
        let ends_with = |document: &&Document| {
            fact_of(document).is_some_and(|fact| fact.valid_to == one.valid_to)
        };
        if let Some(same) = same.find(ends_with) {
            return Ok(Some(same.key.clone()));
        }
        if self.was_deleted(one)? {
            return Ok(None);
        }
        let keys = known.iter().map(|document| &document.key);
        self.free_key(&one.triple, one.moments(), keys).map(Some)
    }

    /// Tells whether a fact was imported, and deleted here. It is looked for where it was filed: among the periods of
    /// its beginning, with its end or, if it has ended there since, without one.
    fn was_deleted(&self, one: &ForeignFact) -> Result<bool> {
        let [from, to] = one.moments();
        for to in [to, None] {
            for n in 0.. {
                let key = one.triple.period_key([from, to], n)?;
                match self.palace.before_delete(&key)? {
                    Some(before) if one.is_noted(&before) => return Ok(true),
                    Some(_) => {}
                    None if self.palace.has_history(&key)? => {}
                    None => break,
                }
            }
        }
        Ok(false)
    }

    fn commit_imports(
        &self,
        mut writes: Vec<PlannedWrite<'_>>,
        results: &mut [ImportedFact],
    ) -> Result<()> {
        let mut set = |n: usize, what: ImportedFact| {
            results.get_mut(n).into_iter().for_each(|result| *result = what.clone());
        };
        // One bad document fails the whole batch. It is taken out, and the rest is tried again.
        while !writes.is_empty() {
            let mut batch = self.palace.with(self.options()).batch();
            for PlannedWrite { key, one, .. } in &writes {
                batch.write(key.clone(), |draft| note(draft, key, one));
            }
            match batch.commit() {
                Ok(done) => {
                    let outcomes = writes.iter().zip(done.outcomes);
                    let changed = outcomes.filter(|(_, outcome)| outcome.changed);
                    changed.for_each(|(to, _)| set(to.n, ImportedFact::New));
                    return Ok(());
                }
                Err(Error::Document { key, source }) => {
                    let bad: Vec<PlannedWrite<'_>> =
                        writes.extract_if(.., |to| to.key == key).collect();
                    if bad.is_empty() {
                        return Err(Error::Document { key, source }.into());
                    }
                    bad.iter().for_each(|to| set(to.n, ImportedFact::Refused(source.to_string())));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Writes a fact into its document: the period, its source and its end.
fn note(
    draft: &mut Draft<'_>,
    key: &Key,
    one: &ForeignFact,
) -> std::result::Result<(), MergeError> {
    if let Some(before) = draft.before_delete() {
        // Another process has deleted it since the documents were read.
        let deleted = draft.view_at(&before)?.value;
        if one.is_noted(&deleted) {
            return Ok(());
        }
    }
    let new = !draft.exists();
    let shown = ensure(draft, key, &one.triple, one.moments())?;
    if !one.is_noted(&shown) {
        draft.append(&["sources"], &[one.value()])?;
    }
    // The key was chosen among the periods with this beginning.
    if let Some(from) = one.beginning() {
        note_offset(draft, Flag::Began, &from, new)?;
    }
    match one.end() {
        // The end is noted as one of several, so that an earlier end that was given here counts.
        Some(to) if shown.get("valid_to").and_then(Value::as_str) != Some(&to.text) => {
            note_end(draft, &to)
        }
        Some(to) => note_offset(draft, Flag::Ended, &to, new),
        None => Ok(()),
    }
}
