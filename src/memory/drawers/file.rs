//! Filing: the same text in the same room is one drawer, whoever files it and however often.

use super::place::{Place, drawer_id, drawer_key};
use super::{CONTENT_CHARS_MAX, Drawers, FILINGS, filings, text};
use crate::format::key::Key;
use crate::memory::{MemoryError, Result};
use crate::merge::MergeError;
use crate::palace::{Batch, Document, Draft, Outcome};
use serde_json::{Map, Value, json};

/// How much one call may file, in bytes: a commit holds 8 MiB.
const FILE_BYTES_MAX: usize = 4 << 20;
/// The longest name of a file or of who files, in characters.
const SAID_CHARS_MAX: usize = 1_000;

/// What to file.
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
    /// Where.
    pub place: Place,
    /// The text, word for word.
    pub content: String,
    /// The file that it comes from.
    pub source_file: Option<String>,
    /// Who files it.
    pub added_by: Option<String>,
}

/// How it was filed.
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
pub enum FiledAs {
    /// As a new drawer.
    New,
    /// It was there.
    There,
}

/// What was filed.
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
pub struct Filed {
    /// The drawer's id.
    pub id: String,
    /// Whether it was there.
    pub filed: FiledAs,
    /// The drawer's version now.
    pub etag: String,
}

impl Item {
    /// A text for a place.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if it is empty or longer than [`CONTENT_CHARS_MAX`].
    pub fn new(place: Place, content: &str) -> Result<Self> {
        let content = checked("content", content)?.to_owned();
        Ok(Item { place, content, source_file: None, added_by: None })
    }

    /// The same, with where it comes from and who files it. Empty texts say nothing.
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

/// A text that can be filed.
pub(super) fn checked<'a>(field: &'static str, content: &'a str) -> Result<&'a str> {
    if content.trim().is_empty() {
        return Err(MemoryError::argument(field, "it is empty: pass the text, word for word"));
    }
    let length = content.chars().count();
    if length > CONTENT_CHARS_MAX {
        let why = format!(
            "it has {length} characters, at most {CONTENT_CHARS_MAX} are allowed: split it"
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
    /// Files all of these in one commit, and says what became of each.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if it is over 4 MiB, or what the palace says; nothing was written then.
    pub fn file(&self, items: &[Item]) -> Result<Vec<Filed>> {
        Ok(self.file_with(items, |_| Ok(()))?.0)
    }

    /// As [`Drawers::file`], with other writes in the same commit.
    pub(super) fn file_with<'a>(
        &'a self,
        items: &'a [Item],
        more: impl FnOnce(&mut Batch<'a>) -> Result<()>,
    ) -> Result<(Vec<Filed>, Vec<Outcome>)> {
        if items.iter().map(|item| item.content.len()).sum::<usize>() > FILE_BYTES_MAX {
            let why = format!(
                "they have over {FILE_BYTES_MAX} bytes together: file them in several calls"
            );
            return Err(MemoryError::argument("items", why));
        }
        let (mut batch, now) = (self.palace.batch(), self.palace.now_ms());
        let mut keys: Vec<(Key, FiledAs)> = Vec::new();
        let mut each: Vec<usize> = Vec::new();
        for item in items {
            let (key, filed) = self.key_for(item)?;
            let known = keys.iter().position(|(known, _)| *known == key);
            each.push(known.unwrap_or(keys.len()));
            if known.is_none() {
                batch.write(key.clone(), file_one(key.clone(), item, now));
                keys.push((key, filed));
            }
        }
        more(&mut batch)?;
        let mut outcomes = batch.commit(&self.options())?.outcomes;
        let others = outcomes.split_off(keys.len());
        let filed: Vec<Filed> = keys.iter().zip(&outcomes).map(filed).collect();
        Ok((each.into_iter().filter_map(|n| filed.get(n).cloned()).collect(), others))
    }

    /// The key under which a text is filed: where it is, or the first at which nothing is. One that was deleted may
    /// stand before the one that is there, so the last to be looked at is the first that never was.
    fn key_for(&self, item: &Item) -> Result<(Key, FiledAs)> {
        let (mut n, mut free) = (0, None);
        loop {
            let key = drawer_key(&item.place, &item.content, n)?;
            match self.palace.get(key.as_str())? {
                Some(found) if is(&found, item) => return Ok((key, FiledAs::There)),
                Some(_) => {}
                None if self.palace.has_history(&key)? => drop(free.get_or_insert(key)),
                None => return Ok((free.unwrap_or(key), FiledAs::New)),
            }
            n += 1;
        }
    }
}

pub(super) fn is(document: &Document, item: &Item) -> bool {
    let value = item.value();
    ["wing", "room", "content"].iter().all(|field| document.value.get(*field) == value.get(*field))
}

fn filed(((key, filed), outcome): (&(Key, FiledAs), &Outcome)) -> Filed {
    let id = drawer_id(key).unwrap_or_default();
    Filed { id, filed: *filed, etag: outcome.etag.to_string() }
}

/// Files one text, and notes who did if that is news. What was deleted comes back as it was filed, not as it
/// was when it was deleted.
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

/// Sees to it that a drawer is there with this text. Whether it was, and what it shows.
pub(super) fn ensure(
    draft: &mut Draft<'_>,
    key: &Key,
    item: &Item,
) -> Result<(bool, Map<String, Value>), MergeError> {
    let (there, mut value) = (draft.exists(), item.value());
    draft.file(key, &value)?;
    let shown = draft.view()?.value;
    value.remove(FILINGS);
    if !there && value.iter().any(|(field, value)| shown.get(field) != Some(value)) {
        draft.patch(&value)?;
    }
    Ok((there, shown))
}

fn is_news(shown: &Map<String, Value>, item: &Item) -> bool {
    let says = |field, wanted: &Option<String>| {
        wanted.is_none() || filings(shown).any(|filing| text(filing, field) == *wanted)
    };
    !says("source_file", &item.source_file) || !says("added_by", &item.added_by)
}
