//! Taking over facts from another system, with all that it knew of them.
//!
//! Invariant: a fact that was taken over is known by the id that it had there, so that taking it over again
//! changes nothing here, except that it ends if it has ended there meanwhile. A period that is known here
//! already gets one source more; one that began at another moment is another one, and stays as it is.

use super::ending::note_end;
use super::state::ensure;
use super::{Facts, Source, Triple, fact_of};
use crate::format::key::Key;
use crate::memory::{Result, each_document};
use crate::merge::MergeError;
use crate::palace::{Document, Draft, Error};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A fact of another system.
pub(in crate::memory) struct Carried {
    /// The id that it has there.
    pub id: String,
    pub triple: Triple,
    /// Moments in their one form.
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    pub source: Source,
    /// What else was known of it.
    pub known: Map<String, Value>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::memory) enum Became {
    /// It is new here, or has ended since it was taken over.
    New,
    /// It was there, just so.
    There,
    /// It cannot be stored.
    Bad(String),
}

/// Where a fact is to be written.
struct To<'a> {
    key: Key,
    one: &'a Carried,
    n: usize,
}

impl Carried {
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

    /// Whether a period of the fact that is known here began at the same moment.
    fn begins_with(&self, document: &Document) -> bool {
        fact_of(document).is_some_and(|fact| fact.valid_from == self.valid_from)
    }

    /// Whether a document has nothing to learn from this.
    fn is_old_news(&self, document: &Document) -> bool {
        let over = |to: &str| fact_of(document).is_some_and(|fact| fact.is_over(to));
        self.is_noted(&document.value) && self.valid_to.as_deref().is_none_or(over)
    }
}

impl Facts {
    /// Takes these over, in few commits, and says what became of each. What cannot be stored does not hinder
    /// the others.
    ///
    /// # Errors
    /// What the palace says; a part may have been written then.
    pub(in crate::memory) fn carry(&self, carried: &[Carried]) -> Result<Vec<Became>> {
        let mut became = vec![Became::There; carried.len()];
        let (mut writes, mut prefixes) = (Vec::new(), BTreeSet::new());
        for (n, one) in carried.iter().enumerate() {
            // Periods of one fact are looked for one after the other: each may be the same as the one before.
            if !prefixes.insert(one.triple.prefix()) {
                self.commit_carried(std::mem::take(&mut writes), &mut became)?;
                prefixes = BTreeSet::from([one.triple.prefix()]);
            }
            if let Some(key) = self.carry_to(one)? {
                writes.push(To { key, one, n });
            }
        }
        self.commit_carried(writes, &mut became)?;
        Ok(became)
    }

    /// The key for one; `None` if it is there, just so.
    fn carry_to(&self, one: &Carried) -> Result<Option<Key>> {
        let mut known = Vec::new();
        each_document(&self.palace, &one.triple.prefix(), |document| known.push(document))?;
        // An earlier version noted facts also at periods that began at another moment: those are not this one.
        let mut same = known.iter().filter(|document| one.begins_with(document));
        if let Some(noted) = same.clone().find(|document| one.is_noted(&document.value)) {
            return Ok(Some(noted.key.clone()).filter(|_| !one.is_old_news(noted)));
        }
        let ends_with = |document: &&Document| {
            fact_of(document).is_some_and(|fact| fact.valid_to == one.valid_to)
        };
        if let Some(same) = same.find(ends_with) {
            return Ok(Some(same.key.clone()));
        }
        let keys = known.iter().map(|document| &document.key).collect::<Vec<_>>();
        one.triple.free_key(one.moments(), &keys).map(Some)
    }

    fn commit_carried(&self, mut writes: Vec<To<'_>>, became: &mut [Became]) -> Result<()> {
        let mut set = |n: usize, what: Became| {
            became.get_mut(n).into_iter().for_each(|became| *became = what.clone());
        };
        while !writes.is_empty() {
            let mut batch = self.palace.batch();
            for To { key, one, .. } in &writes {
                batch.write(key.clone(), |draft| note(draft, key, one));
            }
            match batch.commit(&self.options()) {
                Ok(_) => {
                    writes.iter().for_each(|to| set(to.n, Became::New));
                    return Ok(());
                }
                Err(Error::Document { key, source }) => {
                    let bad: Vec<To<'_>> = writes.extract_if(.., |to| to.key == key).collect();
                    if bad.is_empty() {
                        return Err(Error::Document { key, source }.into());
                    }
                    bad.iter().for_each(|to| set(to.n, Became::Bad(source.to_string())));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn note(draft: &mut Draft<'_>, key: &Key, one: &Carried) -> std::result::Result<(), MergeError> {
    let shown = ensure(draft, key, &one.triple, one.moments())?;
    if !one.is_noted(&shown) {
        draft.append(&["sources"], &[one.value()])?;
    }
    match &one.valid_to {
        Some(to) if shown.get("valid_to").and_then(Value::as_str) != Some(to) => {
            note_end(draft, to)
        }
        _ => Ok(()),
    }
}
