//! Files texts: the same text in the same room is one drawer, however often and by however many processes it is filed.

use super::drawer::{CONTENT_CHARS_MAX, FILINGS, filings, place_of, text};
use super::handle::Drawers;
use super::place::{Place, drawer_id, drawer_key};
use super::places::Places;
use super::renames::FoldedPlace;
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::memory::source_name::names_source;
use crate::merge::MergeError;
use crate::palace::{Batch, Document, Draft, Outcome, Session};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The most text that one call may file, in bytes. A commit holds 8 MiB.
const FILE_BYTES_MAX: usize = 4 << 20;
/// The longest name of a source file or a filer, in characters.
const SAID_CHARS_MAX: usize = 1_000;

/// A text to file, and its place.
///
/// ```
/// use crdt_palace::memory::drawers::{Item, Place};
///
/// let place = Place::new("atlas", "decisions")?;
/// let item = Item::new(place.clone(), "We sign tokens with RSA.")?.said(Some("adr/7.md"), Some(""))?;
/// assert_eq!((item.source_file.as_deref(), item.added_by), (Some("adr/7.md"), None));
/// assert!(Item::new(place, " ").is_err()); // there is nothing to file
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The wing and room.
    pub place: Place,
    /// The text, word for word.
    pub content: String,
    /// The file that it comes from.
    pub source_file: Option<String>,
    /// The agent or user that files it.
    pub added_by: Option<String>,
}

/// The way a text was filed.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, FiledAs, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// let first = drawers.file(std::slice::from_ref(&item))?.remove(0);
/// let again = drawers.file(&[item])?.remove(0);
/// assert_eq!((first.filed, again.filed), (FiledAs::New, FiledAs::There));
/// assert_eq!(first.id, again.id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FiledAs {
    /// The call made a new drawer.
    New,
    /// The drawer existed already.
    There,
}

/// A text that was filed.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// let place = Place::new("atlas", "decisions")?;
/// let items = [Item::new(place.clone(), "We sign with RSA.")?, Item::new(place, "We log to stdout.")?];
/// let filed = drawers.file(&items)?; // in one commit, and answered in this order
/// assert_eq!(drawers.get(&filed[1].id)?.content, "We log to stdout.");
/// assert_eq!(drawers.get(&filed[1].id)?.etag, filed[1].etag);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filed {
    /// The drawer's id.
    pub id: String,
    /// The way it was filed: as a new drawer or an existing one.
    pub filed: FiledAs,
    /// The drawer's version after the call.
    pub etag: String,
}

impl Item {
    /// Makes an item of a place and a text.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if it is empty or longer than [`CONTENT_CHARS_MAX`].
    pub fn new(place: Place, content: &str) -> Result<Self> {
        let content = checked("content", content)?.to_owned();
        Ok(Item { place, content, source_file: None, added_by: None })
    }

    /// Adds the file that the text comes from, and its filer. An empty text counts as none.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if one is longer than 1,000 characters.
    pub fn said(mut self, source_file: Option<&str>, added_by: Option<&str>) -> Result<Self> {
        self.source_file = short("source_file", source_file)?;
        self.added_by = short("added_by", added_by)?;
        Ok(self)
    }

    fn value(&self) -> Map<String, Value> {
        Map::from_iter([
            ("wing".to_owned(), json!(self.place.wing)),
            ("room".to_owned(), json!(self.place.room)),
            ("content".to_owned(), json!(self.content)),
            (FILINGS.to_owned(), json!([])),
        ])
    }

    pub(super) fn filing(&self, at: Option<i64>) -> Map<String, Value> {
        let mut filing: Map<_, _> = at.map(|at| ("at".to_owned(), json!(at))).into_iter().collect();
        for (field, said) in [("source_file", &self.source_file), ("added_by", &self.added_by)] {
            filing.extend(said.as_ref().map(|said| (field.to_owned(), json!(said))));
        }
        filing
    }
}

/// Checks that a text can be filed.
pub(super) fn checked<'a>(field: &'static str, content: &'a str) -> Result<&'a str> {
    if content.trim().is_empty() {
        return Err(MemoryError::argument(field, "it is empty: pass the text, word for word"));
    }
    let length = content.chars().count();
    if length > CONTENT_CHARS_MAX {
        let why = format!(
            "it has {length} characters, and at most {CONTENT_CHARS_MAX} are allowed: split it"
        );
        return Err(MemoryError::argument(field, why));
    }
    Ok(content)
}

fn short(field: &'static str, text: Option<&str>) -> Result<Option<String>> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    match text.is_some_and(|text| text.chars().count() > SAID_CHARS_MAX) {
        true => Err(MemoryError::argument(field, "it is longer than 1000 characters: shorten it")),
        false => Ok(text.map(str::to_owned)),
    }
}

impl Drawers {
    /// Files all items in one commit, and returns the drawer of each.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if they have over 4 MiB together, and errors of the palace; then nothing was written.
    pub fn file(&self, items: &[Item]) -> Result<Vec<Filed>> {
        Ok(self.file_with(items, |_, _| {})?.0)
    }

    /// Files items like [`Drawers::file`], with other writes in the same commit. `more` adds them, and is given the id of
    /// each item's drawer, and whether that is new.
    pub(super) fn file_with<'a>(
        &'a self,
        items: &'a [Item],
        more: impl FnOnce(&mut Batch<'a>, Vec<(String, FiledAs)>),
    ) -> Result<(Vec<Filed>, Vec<Outcome>)> {
        if items.iter().map(|item| item.content.len()).sum::<usize>() > FILE_BYTES_MAX {
            let why = format!(
                "they have over {FILE_BYTES_MAX} bytes together: file them in several calls"
            );
            return Err(MemoryError::argument("items", why));
        }
        let (mut batch, now) = (self.palace.with(self.effect()).batch(), self.palace.now_ms());
        let places = self.places()?;
        let mut keys: Vec<Target> = Vec::new();
        let mut each: Vec<usize> = Vec::new();
        let mut known: HashMap<(FoldedPlace, &str), usize> = HashMap::new();
        for item in items {
            // The same text twice in one call is one write: a batch takes a key once.
            let same =
                known.entry((places.fold(&item.place.wing, &item.place.room), &item.content));
            let is_known = matches!(same, Entry::Occupied(_));
            each.push(*same.or_insert(keys.len()));
            if !is_known {
                let target = self.target_of(item, &places)?;
                batch.write(target.key.clone(), file_one(target.key.clone(), item, now));
                keys.push(target);
            }
        }
        let planned = each.iter().filter_map(|n| keys.get(*n));
        more(&mut batch, planned.map(|target| (target.id(), target.filed())).collect());
        let mut outcomes = batch.commit()?.outcomes;
        // The outcomes come in the order of the writes, those of `more` last.
        let others = outcomes.split_off(keys.len());
        for (target, outcome) in keys.iter().zip(&outcomes) {
            self.session.iter().for_each(|session| target.note_in(session, outcome));
        }
        let filed: Vec<Filed> = keys.iter().zip(&outcomes).map(filed).collect();
        Ok((each.into_iter().filter_map(|n| filed.get(n).cloned()).collect(), others))
    }

    /// Returns the key for a text: that of its drawer, or else the first free one. The drawer may have been filed under
    /// another spelling of the place.
    ///
    /// Two processes that file a text under two spellings at once make two drawers: neither can see the other's key.
    fn target_of(&self, item: &Item, places: &Places) -> Result<Target> {
        let own = self.target_at(&item.place, item, places)?;
        if own.there.is_some() {
            return Ok(own);
        }
        let fold = places.fold(&item.place.wing, &item.place.room);
        for place in places.filed_places(&fold).filter(|place| **place != item.place) {
            let found = self.target_at(place, item, places)?;
            if found.there.is_some() {
                return Ok(found);
            }
        }
        Ok(own)
    }

    /// Returns the key for a text under one spelling of its place.
    ///
    /// A deleted drawer may stand before the one with this text. So the search ends only at the first key that was
    /// never written.
    fn target_at(&self, place: &Place, item: &Item, places: &Places) -> Result<Target> {
        let (mut n, mut free) = (0, None);
        loop {
            let key = drawer_key(place, &item.content, n)?;
            match self.palace.get(key.as_str())? {
                Some(found) if is_same(&found, item, places) => {
                    return Ok(Target { key, there: Some(found.heads) });
                }
                Some(_) => {}
                // A deleted drawer leaves its key free for the same text, but another drawer may follow.
                None if self.palace.has_history(&key)? => drop(free.get_or_insert(key)),
                None => return Ok(Target { key: free.unwrap_or(key), there: None }),
            }
            n += 1;
        }
    }
}

/// The drawer that a text is filed as.
struct Target {
    key: Key,
    /// The version that was there with this text, if one was.
    there: Option<Heads>,
}

impl Target {
    fn id(&self) -> String {
        drawer_id(&self.key).unwrap_or_default()
    }

    fn filed(&self) -> FiledAs {
        if self.there.is_some() { FiledAs::There } else { FiledAs::New }
    }

    /// Notes what the client knows now: the text of the drawer is the one that it sent.
    fn note_in(&self, session: &Session, outcome: &Outcome) {
        let Some(there) = &self.there else { return session.created(&self.key, outcome) };
        session.saw_whole(&self.key, there);
        if outcome.changed {
            session.saw_some(&self.key, &outcome.own);
        }
    }
}

/// Tells whether a document is the drawer of this item, under any spelling of its place.
fn is_same(document: &Document, item: &Item, places: &Places) -> bool {
    text(&document.value, "content").as_ref() == Some(&item.content)
        && places.is_same(&place_of(&document.key, &document.value), &item.place)
}

/// Tells whether a document is the drawer of this item, under the same names.
#[cfg(feature = "mcp")]
pub(super) fn is(document: &Document, item: &Item) -> bool {
    let value = item.value();
    ["wing", "room", "content"].iter().all(|field| document.value.get(*field) == value.get(*field))
}

fn filed((target, outcome): (&Target, &Outcome)) -> Filed {
    Filed { id: target.id(), filed: target.filed(), etag: outcome.etag.to_string() }
}

/// Files one text, and adds a filing if its source or its filer is new. A deleted drawer comes back as it was filed,
/// not as it was when it was deleted.
fn file_one(
    key: Key,
    item: &Item,
    now: i64,
) -> impl FnOnce(&mut Draft<'_>) -> Result<(), MergeError> {
    move |draft| {
        let (there, shown) = ensure(draft, &key, item)?;
        match there && !is_news(&shown, item) {
            true => Ok(()),
            false => draft.append(&[FILINGS], &[Value::Object(item.filing(Some(now)))]),
        }
    }
}

/// Makes sure that the drawer of this item exists. Returns whether it did, and its content.
pub(super) fn ensure(
    draft: &mut Draft<'_>,
    key: &Key,
    item: &Item,
) -> Result<(bool, Map<String, Value>), MergeError> {
    let (there, mut value) = (draft.exists(), item.value());
    draft.file(key, &value)?;
    let shown = draft.view()?.value;
    // `Draft::file` restores a deleted drawer with its last text. The patch sets the filed text, and keeps the
    // filings.
    value.remove(FILINGS);
    if !there && value.iter().any(|(field, value)| shown.get(field) != Some(value)) {
        draft.patch(&value)?;
    }
    Ok((there, shown))
}

/// Tells whether the source or the filer of this item is in none of the filings.
fn is_news(shown: &Map<String, Value>, item: &Item) -> bool {
    // A filing without a source or a filer says nothing new, whatever the others say.
    let says = |field, wanted: &Option<String>, same: fn(&str, &str) -> bool| {
        let Some(wanted) = wanted else { return true };
        filings(shown).filter_map(|filing| text(filing, field)).any(|said| same(wanted, &said))
    };
    // A client that was shown the name of a source may send that back: it is no other source.
    !says("source_file", &item.source_file, names_source)
        || !says("added_by", &item.added_by, |wanted, said| wanted == said)
}
