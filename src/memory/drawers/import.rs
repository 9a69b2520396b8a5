//! Taking over drawers from another system, with all that it knew of them.
//!
//! Invariant: a drawer that was taken over is known by the id that it had there, so that taking it over again
//! changes nothing, whatever has become of it here; only what was deleted here comes back. Two that have the
//! same text in the same room become one drawer that names both.

use super::diary::DiaryEntry;
use super::file::{Item, ensure, is};
use super::place::{DIARY, drawer_id, drawer_key, key_at};
use super::{Drawers, FILINGS, filings};
use crate::format::key::Key;
use crate::memory::{MemoryError, Result};
use crate::merge::MergeError;
use crate::palace::{Document, Draft, Error};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What stands in a filing if it was taken over.
const FROM: &str = "from";

/// A drawer or entry of another system.
pub(in crate::memory) struct Carried {
    /// The id that it has there.
    pub id: String,
    /// What is to be filed.
    pub what: What,
    /// When it was filed there.
    pub filed_ms: Option<i64>,
    /// What else was known of it.
    pub known: Map<String, Value>,
}

pub(in crate::memory) enum What {
    Drawer(Item),
    Entry(DiaryEntry),
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::memory) enum Became {
    /// A new drawer, with this id.
    New(String),
    /// Noted at a drawer of the same text.
    Same(String),
    /// It had been taken over before.
    There(String),
    /// It cannot be stored.
    Bad(String),
}

impl Carried {
    /// What a text of this drawer costs a commit, about.
    pub fn bytes(&self) -> usize {
        match &self.what {
            What::Drawer(item) => item.content.len(),
            What::Entry(entry) => entry.entry.len(),
        }
    }

    pub fn is_entry(&self) -> bool {
        matches!(self.what, What::Entry(_))
    }

    fn filing(&self) -> Value {
        let mut filing = match &self.what {
            What::Drawer(item) => item.filing(self.filed_ms),
            What::Entry(_) => {
                self.filed_ms.map(|at| ("at".to_owned(), json!(at))).into_iter().collect()
            }
        };
        let mut from = self.known.clone();
        from.insert("id".to_owned(), json!(self.id));
        filing.insert(FROM.to_owned(), Value::Object(from));
        Value::Object(filing)
    }

    fn is_noted(&self, value: &Map<String, Value>) -> bool {
        filings(value)
            .filter_map(|filing| filing.get(FROM)?.get("id")?.as_str())
            .any(|id| id == self.id)
    }

    /// The end of an entry's key: that of its id if it has the form of ours, which is MemPalace's.
    fn entry_end(&self, entry: &DiaryEntry) -> String {
        let rest = self
            .id
            .strip_prefix("diary_")
            .and_then(|id| id.strip_prefix(entry.place.wing.as_str()));
        let end = rest.and_then(|rest| rest.strip_prefix('_')).filter(|end| is_entry_end(end));
        end.map(str::to_owned).unwrap_or_else(|| {
            let digits: String =
                Sha256::digest(&self.id).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            let time = crate::memory::readable(self.filed_ms.unwrap_or(0)).replace(['-', ':'], "");
            let (date, time) = time.split_once('T').unwrap_or(("19700101", "000000"));
            format!("{date}_{}000000_{digits}", time.get(..6).unwrap_or("000000"))
        })
    }
}

/// `<8 digits>_<12 digits>_<hex digits>`
fn is_entry_end(end: &str) -> bool {
    let parts: Vec<&str> = end.split('_').collect();
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    match parts.as_slice() {
        [date, time, hash] => {
            (date.len(), time.len()) == (8, 12)
                && digits(date)
                && digits(time)
                && !hash.is_empty()
                && hash.chars().all(|c| c.is_ascii_hexdigit())
        }
        _ => false,
    }
}

/// Those that become one document.
#[derive(Default)]
struct Together {
    items: Vec<usize>,
    there: bool,
}

impl Drawers {
    /// Takes these over, in one commit, and says what became of each. What cannot be stored does not hinder
    /// the others.
    ///
    /// # Errors
    /// What the palace says; nothing was written then.
    pub(in crate::memory) fn carry(&self, carried: &[Carried]) -> Result<Vec<Became>> {
        let mut became: Vec<Option<Became>> = carried.iter().map(|_| None).collect();
        let mut keys: BTreeMap<Key, Together> = BTreeMap::new();
        for (n, (one, became)) in carried.iter().zip(&mut became).enumerate() {
            match self.carry_to(one)? {
                (key, Some(found)) if one.is_noted(&found.value) => {
                    *became = Some(Became::There(id_of(&key)));
                }
                (key, found) => {
                    let together = keys.entry(key).or_default();
                    together.there = found.is_some();
                    together.items.push(n);
                }
            }
        }
        let refused = self.commit_carried(carried, &mut keys)?;
        for (key, Together { items, there }) in &keys {
            for (position, n) in items.iter().enumerate() {
                let new = position == 0 && !there;
                let what = if new { Became::New } else { Became::Same };
                became.get_mut(*n).into_iter().for_each(|became| *became = Some(what(id_of(key))));
            }
        }
        for (n, why) in refused {
            became
                .get_mut(n)
                .into_iter()
                .for_each(|became| *became = Some(Became::Bad(why.clone())));
        }
        Ok(became.into_iter().flatten().collect())
    }

    /// The key for one: where it is noted, or else the first at which this text is, or else nothing.
    fn carry_to(&self, one: &Carried) -> Result<(Key, Option<Document>)> {
        let item = match &one.what {
            What::Drawer(item) => item,
            What::Entry(entry) => {
                let key = key_at(&entry.place, &one.entry_end(entry))?;
                let found = self.palace.get_unrefreshed(key.as_str())?;
                return Ok((key, found));
            }
        };
        let (mut n, mut same, mut free) = (0, None, None);
        loop {
            let key = drawer_key(&item.place, &item.content, n)?;
            match self.palace.get_unrefreshed(key.as_str())? {
                Some(found) if one.is_noted(&found.value) => return Ok((key, Some(found))),
                Some(found) if same.is_none() && is(&found, item) => {
                    same = Some((key, Some(found)))
                }
                Some(_) => {}
                None if self.palace.has_history(&key)? => drop(free.get_or_insert(key)),
                None => return Ok(same.unwrap_or_else(|| (free.unwrap_or(key), None))),
            }
            n += 1;
        }
    }

    /// Those that cannot be stored are taken out of `keys`, and returned with the reason.
    fn commit_carried(
        &self,
        carried: &[Carried],
        keys: &mut BTreeMap<Key, Together>,
    ) -> Result<Vec<(usize, String)>> {
        let mut refused = Vec::new();
        while !keys.is_empty() {
            let mut batch = self.palace.batch();
            for (key, together) in keys.iter() {
                let these = together.items.iter().filter_map(|n| carried.get(*n)).collect();
                batch.write(key.clone(), note(key.clone(), these));
            }
            match batch.commit(&self.options()) {
                Ok(_) => break,
                Err(Error::Document { key, source }) => {
                    let Some(together) = keys.remove(&key) else {
                        return Err(MemoryError::from(Error::Document { key, source }));
                    };
                    refused.extend(together.items.into_iter().map(|n| (n, source.to_string())));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(refused)
    }
}

fn id_of(key: &Key) -> String {
    drawer_id(key).unwrap_or_else(|| key.to_string())
}

fn note(
    key: Key,
    these: Vec<&Carried>,
) -> impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError> {
    move |draft| {
        let Some(first) = these.first() else { return Ok(()) };
        let (there, shown) = match &first.what {
            What::Drawer(item) => ensure(draft, &key, item)?,
            What::Entry(entry) if !draft.exists() => {
                return draft.file(&key, &entry.value(first.filing()));
            }
            What::Entry(_) => (true, draft.view()?.value),
        };
        // Another process may have taken them over in the meantime.
        let news = these.iter().filter(|one| !there || !one.is_noted(&shown));
        let news: Vec<Value> = news.map(|one| one.filing()).collect();
        if news.is_empty() { Ok(()) } else { draft.append(&[FILINGS], &news) }
    }
}

/// A room that entries of a diary are in.
pub(in crate::memory) fn is_diary(room: &str) -> bool {
    room == DIARY
}
