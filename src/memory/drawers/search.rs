//! Finds drawers by words.
//!
//! Invariant: a drawer is found by its present text, and in its present place.

use super::drawer::{Drawer, drawer_of, filed_ms, place_of};
use super::filter::PlaceFilter;
use super::handle::Drawers;
use super::place::parts;
use super::snippet::{fits, snippet};
use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::palace::Document;
use crate::palace::search::question_words::telling_words;
use crate::palace::search::ranking::{Question, Rank, Ranked};
use crate::snapshot::words;

/// The longest query, in characters.
pub const QUERY_CHARS_MAX: usize = 10_000;
/// The most hits of one call.
pub const HITS_MAX: usize = 100;
/// The fields that are searched.
pub(super) const SEARCHED: [&str; 5] = ["content", "wing", "room", "agent", "topic"];

/// A query, and its filters.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place, Search};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # for text in ["Tokens are signed with RSA.", "Tokens expire.", "Logs go to stdout."] {
/// #     drawers.file(&[Item::new(Place::new("atlas", "decisions")?, text)?])?;
/// # }
/// let one = Search { query: "how are tokens signed?", wing: Some("atlas"), limit: 1, ..Search::default() };
/// let best = drawers.search(&one)?;
/// assert_eq!(best.hits[0].drawer.content, "Tokens are signed with RSA.");
/// let rest = drawers.search(&Search { after: Some(&best.hits[0].next), ..one })?;
/// assert_eq!(rest.hits[0].drawer.content, "Tokens expire.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The words to find, or a question.
    pub query: &'a str,
    /// Only drawers in this wing.
    pub wing: Option<&'a str>,
    /// Only drawers in rooms of this name.
    pub room: Option<&'a str>,
    /// Only drawers that were filed at this time or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Only drawers that were filed before this time.
    pub before_ms: Option<i64>,
    /// Only hits behind this cursor: the `next` of an earlier hit.
    pub after: Option<&'a str>,
    /// The most hits to return, 1 to [`HITS_MAX`].
    pub limit: usize,
}

impl Default for Search<'_> {
    fn default() -> Self {
        let (wing, room, since_ms, before_ms, after) = (None, None, None, None, None);
        Search { query: "", wing, room, since_ms, before_ms, after, limit: 5 }
    }
}

/// A drawer that was found.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place, Search};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # for text in ["Tokens are signed with RSA.", "Tokens expire.", "Logs go to stdout."] {
/// #     drawers.file(&[Item::new(Place::new("atlas", "decisions")?, text)?])?;
/// # }
/// let found = drawers.search(&Search { query: "decisions on tokens", ..Search::default() })?;
/// let hit = &found.hits[0];
/// assert_eq!((hit.words, hit.matched_via), (2, "content+metadata")); // one is the room's name
/// assert_eq!(hit.snippet, hit.drawer.content); // it is short
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The drawer.
    pub drawer: Drawer,
    /// The rank of its words (BM25), comparable within one query.
    pub score: f64,
    /// The number of the query's words that it has.
    pub words: usize,
    /// The part that has them: "content", "metadata", or "content+metadata".
    pub matched_via: &'static str,
    /// The part of the text with the most of them, or all of the text if it is short.
    pub snippet: String,
    /// The cursor for the hits behind this one.
    pub next: String,
}

/// A page of hits.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place, Search};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # for text in ["Tokens are signed with RSA.", "Tokens expire.", "Logs go to stdout."] {
/// #     drawers.file(&[Item::new(Place::new("atlas", "decisions")?, text)?])?;
/// # }
/// let found = drawers.search(&Search { query: "tokens", limit: 1, ..Search::default() })?;
/// assert!(found.more && found.hits.len() == 1);
/// let found = drawers.search(&Search { query: "cookies", ..Search::default() })?;
/// assert!(!found.more && found.hits.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchPage {
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// True if more hits follow.
    pub more: bool,
}

impl Drawers {
    /// Returns the drawers with the most words of a query, best first.
    ///
    /// # Errors
    /// [`MemoryError::Argument`], and errors of the palace.
    pub fn search(&self, search: &Search<'_>) -> Result<SearchPage> {
        if search.query.chars().count() > QUERY_CHARS_MAX {
            let why = format!("it is longer than {QUERY_CHARS_MAX} characters");
            return Err(MemoryError::argument("query", why));
        }
        let mut spellings = self.spellings()?;
        let filter = PlaceFilter::new(search.wing, search.room, spellings.places.clone())?;
        let after: Option<Rank> = search.after.map(str::parse).transpose()?;
        let limit = search.limit.clamp(1, HITS_MAX);
        let mut found = self.palace.ranked(&Question {
            query: search.query,
            every: false,
            keys: &|key| may_pass(key, &filter),
            documents: &|document| passes(document, &filter, search),
            fields: &SEARCHED,
            after: after.as_ref(),
            // One more than asked for tells whether another page follows.
            limit: limit + 1,
        })?;
        let more = found.len() > limit;
        found.truncate(limit);
        let asked = telling_words(search.query);
        let shown = |ranked| {
            let hit = hit(ranked, &asked);
            Ok(Hit { drawer: spellings.show(hit.drawer)?, ..hit })
        };
        Ok(SearchPage { hits: found.into_iter().map(shown).collect::<Result<_>>()?, more })
    }
}

/// Tells by its key whether a document can pass the filter. A drawer that was moved has to be read.
fn may_pass(key: &Key, filter: &PlaceFilter) -> bool {
    match parts(key) {
        Some((wing, room, _)) => filter.has(wing, room) || filter.places.moved.contains_key(key),
        None => false,
    }
}

fn passes(document: &Document, filter: &PlaceFilter, search: &Search<'_>) -> bool {
    let place = place_of(&document.key, &document.value);
    let filed = filed_ms(&document.value);
    filter.has(&place.wing, &place.room)
        && search.since_ms.is_none_or(|since| filed.is_some_and(|filed| filed >= since))
        && search.before_ms.is_none_or(|before| filed.is_some_and(|filed| filed < before))
}

fn hit(ranked: Ranked, asked: &[String]) -> Hit {
    let Ranked { document, rank } = ranked;
    let drawer = drawer_of(document);
    let has = |text: &str| has_word(text, asked);
    let place = format!("{} {}", drawer.place.wing, drawer.place.room);
    let about = drawer.diary.iter().any(|(agent, topic)| has(agent) || has(topic));
    let matched_via = match (has(&drawer.content), has(&place) || about) {
        (true, false) => "content",
        (true, true) => "content+metadata",
        (false, _) => "metadata",
    };
    let snippet = snippet(&drawer.content, asked);
    Hit {
        score: rank.score,
        words: rank.words,
        next: rank.to_string(),
        drawer,
        matched_via,
        snippet,
    }
}

fn has_word(text: &str, asked: &[String]) -> bool {
    words(text).iter().any(|word| asked.iter().any(|asked| fits(word, asked)))
}

impl Hit {
    /// Returns the lines of the snippet that have a word of the query.
    #[cfg(feature = "mcp")]
    pub(crate) fn lines(&self, query: &str) -> impl Iterator<Item = &str> {
        let asked = telling_words(query);
        self.snippet.lines().filter(move |line| has_word(line, &asked))
    }
}
