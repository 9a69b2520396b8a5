//! Imports drawers of another system, with everything that it knew about them.
//!
//! Invariant: an imported drawer is recognised by the id that it had there. Importing it again changes nothing,
//! whatever was changed here; only a drawer that was deleted here comes back. Two drawers with the same text in the
//! same room become one, with a filing for each.

use super::diary::DiaryEntry;
use super::drawer::{FILINGS, filings};
use super::file::{Item, ensure, is};
use super::handle::Drawers;
use super::place::{DIARY, drawer_id, drawer_key, key_at};
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::memory::moment::readable;
use crate::merge::MergeError;
use crate::palace::{Document, Draft, Error};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The field of a filing that came with an import.
const FROM: &str = "from";

/// A drawer or diary entry of another system.
pub(in crate::memory) struct ForeignDrawer {
    /// The id that it has there.
    pub id: String,
    /// The text to file.
    pub content: ForeignContent,
    /// The time when it was filed there, in milliseconds since 1970.
    pub filed_ms: Option<i64>,
    /// The offset of that time; `None` if it is UTC.
    pub offset: Option<String>,
    /// Everything else that was known about it.
    pub known: Map<String, Value>,
}

/// The text of a foreign drawer, as an item or as a diary entry.
pub(in crate::memory) enum ForeignContent {
    Drawer(Item),
    Entry(DiaryEntry),
}

/// Result of the import of one drawer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::memory) enum ImportedDrawer {
    /// A new drawer, with this id.
    New(String),
    /// A filing was added to the drawer with this id, which has the same text.
    Merged(String),
    /// The drawer with this id, which was imported before.
    Known(String),
    /// A drawer that cannot be stored, and the reason.
    Refused(String),
}

impl ForeignDrawer {
    /// Returns the size of its text, which is about its size in a commit.
    pub fn bytes(&self) -> usize {
        match &self.content {
            ForeignContent::Drawer(item) => item.content.len(),
            ForeignContent::Entry(entry) => entry.entry.len(),
        }
    }

    pub fn is_entry(&self) -> bool {
        matches!(self.content, ForeignContent::Entry(_))
    }

    fn filing(&self) -> Value {
        let mut filing = match &self.content {
            ForeignContent::Drawer(item) => item.filing(self.filed_ms),
            ForeignContent::Entry(_) => {
                let at = self.filed_ms.map(|at| ("at".to_owned(), json!(at)));
                let offset = self.offset.as_ref().map(|text| ("offset".to_owned(), json!(text)));
                at.into_iter().chain(offset).collect()
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

    /// Returns the end of an entry's key. It is the end of the foreign id, if that has the form of MemPalace's ids.
    fn entry_end(&self, entry: &DiaryEntry) -> String {
        let rest = self
            .id
            .strip_prefix("diary_")
            .and_then(|id| id.strip_prefix(entry.place.wing.as_str()));
        let end = rest.and_then(|rest| rest.strip_prefix('_')).filter(|end| is_entry_end(end));
        end.map(str::to_owned).unwrap_or_else(|| {
            let digits: String =
                Sha256::digest(&self.id).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            let time = readable(self.filed_ms.unwrap_or(0)).replace(['-', ':'], "");
            let (date, time) = time.split_once('T').unwrap_or(("19700101", "000000"));
            format!("{date}_{}000000_{digits}", time.get(..6).unwrap_or("000000"))
        })
    }
}

/// Tells whether a text has the form `<8 digits>_<12 digits>_<hex digits>`.
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

/// Foreign drawers that become one document.
#[derive(Default)]
struct SameDocument {
    /// Their positions in the call.
    items: Vec<usize>,
    /// True if the document existed before.
    exists: bool,
}

impl Drawers {
    /// Imports drawers in one commit, and returns the result of each. If one cannot be stored, the others are.
    ///
    /// # Errors
    /// Errors of the palace; then nothing was written.
    pub(in crate::memory) fn import(
        &self,
        drawers: &[ForeignDrawer],
    ) -> Result<Vec<ImportedDrawer>> {
        let mut results: Vec<Option<ImportedDrawer>> = drawers.iter().map(|_| None).collect();
        let mut keys: BTreeMap<Key, SameDocument> = BTreeMap::new();
        for (n, (one, result)) in drawers.iter().zip(&mut results).enumerate() {
            match self.import_key(one)? {
                (key, Some(found)) if one.is_noted(&found.value) => {
                    *result = Some(ImportedDrawer::Known(id_of(&key)));
                }
                (key, found) => {
                    let same = keys.entry(key).or_default();
                    same.exists = found.is_some();
                    same.items.push(n);
                }
            }
        }
        let refused = self.commit_imports(drawers, &mut keys)?;
        let mut set = |n: usize, what: ImportedDrawer| {
            results.get_mut(n).into_iter().for_each(|result| *result = Some(what.clone()));
        };
        for (key, SameDocument { items, exists }) in &keys {
            for (position, n) in items.iter().enumerate() {
                // Only the first of several drawers with one text makes the document; the others add a filing to it.
                let new = position == 0 && !exists;
                let what = if new { ImportedDrawer::New } else { ImportedDrawer::Merged };
                set(*n, what(id_of(key)));
            }
        }
        refused.into_iter().for_each(|(n, why)| set(n, ImportedDrawer::Refused(why)));
        Ok(results.into_iter().flatten().collect())
    }

    /// Returns the key for a drawer, and the document there. It is the document that notes its id, or else the first
    /// one with the same text, or else a free key.
    fn import_key(&self, one: &ForeignDrawer) -> Result<(Key, Option<Document>)> {
        // An entry has no twin: its key follows from its wing and its id.
        let item = match &one.content {
            ForeignContent::Drawer(item) => item,
            ForeignContent::Entry(entry) => {
                let key = key_at(&entry.place, &one.entry_end(entry))?;
                let found = self.palace.get_unrefreshed(key.as_str())?;
                return Ok((key, found));
            }
        };
        // Edits here may have moved the text to a later key, so every key of this text is looked at before one is
        // chosen.
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

    /// Commits the documents in `keys`. One that cannot be stored is removed from `keys`, and its drawers are returned
    /// with the reason.
    fn commit_imports(
        &self,
        drawers: &[ForeignDrawer],
        keys: &mut BTreeMap<Key, SameDocument>,
    ) -> Result<Vec<(usize, String)>> {
        // One bad document fails the whole batch. It is taken out, and the rest is tried again.
        let mut refused = Vec::new();
        while !keys.is_empty() {
            let mut batch = self.palace.with(self.options()).batch();
            for (key, same) in keys.iter() {
                let these = same.items.iter().filter_map(|n| drawers.get(*n)).collect();
                batch.write(key.clone(), note(key.clone(), these));
            }
            match batch.commit() {
                Ok(_) => break,
                Err(Error::Document { key, source }) => {
                    let Some(same) = keys.remove(&key) else {
                        return Err(MemoryError::from(Error::Document { key, source }));
                    };
                    refused.extend(same.items.into_iter().map(|n| (n, source.to_string())));
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

/// Writes the document of these drawers: the text if it is not there, and a filing for each.
fn note(
    key: Key,
    these: Vec<&ForeignDrawer>,
) -> impl FnOnce(&mut Draft<'_>) -> std::result::Result<(), MergeError> {
    move |draft| {
        let Some(first) = these.first() else { return Ok(()) };
        let (there, shown) = match &first.content {
            ForeignContent::Drawer(item) => ensure(draft, &key, item)?,
            ForeignContent::Entry(entry) if !draft.exists() => {
                return draft.file(&key, &entry.value(first.filing()));
            }
            ForeignContent::Entry(_) => (true, draft.view()?.value),
        };
        // Another process may have imported some of them since the documents were read.
        let news = these.iter().filter(|one| !there || !one.is_noted(&shown));
        let news: Vec<Value> = news.map(|one| one.filing()).collect();
        if news.is_empty() { Ok(()) } else { draft.append(&[FILINGS], &news) }
    }
}

/// Tells whether a room holds a diary.
pub(in crate::memory) fn is_diary(room: &str) -> bool {
    room == DIARY
}
