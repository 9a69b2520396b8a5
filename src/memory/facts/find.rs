//! Finds the period that an assertion is about: one that says the same already, or a key for a new one.

use super::as_of::AsOf;
use super::fact::{Fact, Period, ends};
use super::handle::Facts;
use super::triple::Triple;
use crate::format::key::Key;
use crate::memory::error::Result;
use crate::memory::moment::Moment;

impl Facts {
    /// Returns the period that was asserted with these very moments, or else one that says the same now.
    pub(super) fn same_period<'a>(
        &self,
        known: &'a [Period],
        moments: [Option<&Moment>; 2],
    ) -> Option<&'a Period> {
        asserted(known, texts(moments)).or_else(|| self.fitting(known, moments))
    }

    /// Returns the period that says the same now.
    pub(super) fn fitting<'a>(
        &self,
        known: &'a [Period],
        [from, to]: [Option<&Moment>; 2],
    ) -> Option<&'a Period> {
        let Some(to) = to else {
            // An assertion without an end means "it holds now", or from its beginning on. Any open period that has begun
            // by then says that already.
            let (now, then) = (self.now(), from.map(AsOf::beginning_of));
            let has_begun = |fact: &Fact| {
                !fact.begins_after(&now)
                    || then.as_ref().is_some_and(|then| !fact.begins_after(then))
            };
            return known
                .iter()
                .find(|Period { fact, .. }| fact.valid_to.is_none() && has_begun(fact));
        };
        let moments = texts([from, Some(to)]);
        known.iter().find(|Period { fact, .. }| {
            [&fact.valid_from, &fact.valid_to].map(Option::as_deref) == moments
        })
    }

    /// Returns the first key for a period that no known period has. A deleted period comes back under its key, unless it
    /// was ended before.
    pub(super) fn free_key<'a>(
        &self,
        triple: &Triple,
        moments: [Option<&str>; 2],
        known: impl Iterator<Item = &'a Key>,
    ) -> Result<Key> {
        let taken: Vec<&Key> = known.collect();
        let mut n = 0;
        loop {
            let key = triple.period_key(moments, n)?;
            if !taken.contains(&&key) && !self.was_ended(&key)? {
                return Ok(key);
            }
            n += 1;
        }
    }

    /// Tells whether the fact with this key is deleted, and was ended before.
    fn was_ended(&self, key: &Key) -> Result<bool> {
        let before = self.palace.before_delete(key)?;
        Ok(before.is_some_and(|value| ends(&value).next().is_some()))
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

/// Returns moments in their one form.
pub(super) fn texts(moments: [Option<&Moment>; 2]) -> [Option<&str>; 2] {
    moments.map(|moment| moment.map(|moment| moment.text.as_str()))
}
