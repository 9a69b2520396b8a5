//! Full-text search over the texts of documents.
//!
//! Invariant: where a document lives must not change whether it is found, nor its rank. So the word
//! indexes of the snapshots only name candidates; each is then read, merged, and judged by its own
//! words, with constants instead of statistics of the snapshot that it happens to be in.

use crate::format::key::Key;
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use crate::palace::view::document::Document;
use crate::palace::view::text::{Patterns, text_of};
use crate::palace::view::view::View;
use crate::snapshot::{Terms, words};
use std::collections::BTreeSet;

/// Most hits of one search.
pub const HITS_MAX: usize = 1_000;

/// Saturation of a word's count: the k1 of Okapi BM25 (Robertson and Zaragoza, 2009).
const K1: f64 = 1.2;
/// Influence of the length of a document: the b of BM25.
const B: f64 = 0.75;
/// The length, in words, that counts as usual. BM25 takes the average of the collection, which would
/// make the rank depend on where a document lives.
const USUAL_WORDS: f64 = 100.0;

/// A document that has all words of a query.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", &json!({"text": "plan, plan, plan"}))?;
/// palace.put("b", &json!({"text": "a plan"}))?;
/// let hits = palace.search("plan").hits()?;
/// assert_eq!(hits[0].document.key.as_str(), "a");
/// assert!(hits[0].score > hits[1].score);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Hit {
    /// The document.
    pub document: Document,
    /// Higher is better; comparable within one query.
    pub score: f64,
}

/// A search that has not run yet. Made by [`Palace::search`].
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// for key in ["notes/a", "notes/b", "drafts/a"] {
///     palace.put(key, &json!({"text": "a plan"}))?;
/// }
/// assert_eq!(palace.search("plan").limit(1).hits()?.len(), 1);
/// assert_eq!(palace.search("plan").prefix("notes/").hits()?.len(), 2);
/// let hits = palace.search("plan").filter(|key| key.ends_with("/a")).hits()?;
/// assert_eq!(hits.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a search runs when `hits` is called"]
pub struct Search<'a> {
    palace: &'a Palace,
    query: &'a str,
    prefix: &'a str,
    filter: Box<dyn Fn(&str) -> bool + 'a>,
    limit: usize,
}

impl std::fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Search { query, prefix, limit, .. } = self;
        let mut shown = f.debug_struct("Search");
        shown.field("query", query).field("prefix", prefix).field("limit", limit);
        shown.finish_non_exhaustive()
    }
}

impl Palace {
    /// Searches for the documents that hold every word of `query` in some text, best first.
    ///
    /// Words are runs of letters and digits, compared without case; a Chinese or Japanese character is
    /// a word of its own. `plan*` finds every word that starts with "plan".
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", &json!({"text": "a plan for Monday"}))?;
    /// palace.put("b", &json!({"text": "planets"}))?;
    /// let hits = palace.search("Plan monday").hits()?;
    /// assert_eq!(hits[0].document.key.as_str(), "a");
    /// assert_eq!(palace.search("plan*").limit(10).hits()?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn search<'a>(&'a self, query: &'a str) -> Search<'a> {
        Search { palace: self, query, prefix: "", filter: Box::new(|_| true), limit: HITS_MAX }
    }
}

impl<'a> Search<'a> {
    /// Searches only the documents whose keys start with `prefix`.
    pub fn prefix(mut self, prefix: &'a str) -> Self {
        self.prefix = prefix;
        self
    }

    /// Searches only the documents whose keys `wanted` returns true for. It may read the palace.
    pub fn filter(mut self, wanted: impl Fn(&str) -> bool + 'a) -> Self {
        self.filter = Box::new(wanted);
        self
    }

    /// Returns at most this number of hits, and at most [`HITS_MAX`], which is the default.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the search, and returns its hits, best first.
    ///
    /// # Errors
    /// [`Error::EmptyQuery`] if there is no word in the query, or as [`Palace::get`].
    pub fn hits(self) -> Result<Vec<Hit>> {
        let terms = parse(self.query);
        if terms.is_empty() {
            return Err(Error::EmptyQuery);
        }
        let wanted = |key: &str| key.starts_with(self.prefix) && (self.filter)(key);
        self.palace.read_fresh(|view| search(view, &terms, self.limit, &wanted))
    }
}

fn search(
    view: &View,
    terms: &Terms,
    limit: usize,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Hit>> {
    let mut candidates: BTreeSet<Key> = BTreeSet::new();
    let patterns = Patterns::of(terms);
    for (key, document) in view.tail.documents().filter(|(key, _)| wanted(key.as_str())) {
        if patterns.all_in(view.shown_with_words(key, document)?.distinct_words()) {
            candidates.insert(key.clone());
        }
    }
    for snapshot in view.snapshots() {
        candidates.extend(snapshot.matching(terms)?);
        for number in View::partly_indexed(snapshot)? {
            candidates.insert(snapshot.numbered_key(*number)?);
        }
    }
    candidates.extend(view.divergent_keys()?.iter().cloned());
    let mut hits = Vec::new();
    for key in candidates.into_iter().filter(|key| wanted(key.as_str())) {
        // Calls that need less of the processor go first: see `ranking`.
        std::thread::yield_now();
        if let Some(document) = view.read(&key)?
            && let Some(score) =
                score(&words(&text_of(&document.value, &document.conflicts)), terms)
        {
            hits.push(Hit { document, score });
        }
    }
    hits.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| a.document.key.cmp(&b.document.key))
    });
    hits.truncate(limit.clamp(1, HITS_MAX));
    Ok(hits)
}

/// Parses the words of a query. One that ends in `*` is the beginning of a word.
pub(super) fn parse(query: &str) -> Terms {
    query.split_whitespace().fold(Terms::default(), |terms, part| match part.strip_suffix('*') {
        Some(start) => terms.prefix(start),
        None => terms.whole(part),
    })
}

/// Returns the score of a document with these words; `None` if a term is missing.
pub(super) fn score(words: &[String], terms: &Terms) -> Option<f64> {
    let norm = K1 * (1.0 - B + B * words.len() as f64 / USUAL_WORDS);
    let weigh = |count: usize| match count as f64 {
        0.0 => None,
        count => Some(count * (K1 + 1.0) / (count + norm)),
    };
    terms.counts(words).into_iter().map(weigh).sum()
}
