//! Full-text search over what documents show.
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

/// The most hits that one search gives.
pub const HITS_MAX: usize = 1_000;

/// Saturation of a word's count: the k1 of Okapi BM25 (Robertson and Zaragoza, 2009).
const K1: f64 = 1.2;
/// How much the length of a document matters: the b of BM25.
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
/// palace.put("a", json!({"text": "plan, plan, plan"}).as_object().ok_or("an object")?)?;
/// palace.put("b", json!({"text": "a plan"}).as_object().ok_or("an object")?)?;
/// let hits = palace.search("plan", 10)?;
/// assert_eq!(hits[0].document.key.as_str(), "a");
/// assert!(hits[0].score > hits[1].score);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
pub struct Hit {
    /// The document.
    pub document: Document,
    /// Higher is better; comparable within one query.
    pub score: f64,
}

impl Palace {
    /// The documents that hold every word of `query` in some text, best first, at most `limit` (and
    /// [`HITS_MAX`]).
    ///
    /// Words are runs of letters and digits, compared without case; a Chinese or Japanese character is
    /// a word of its own. `plan*` finds every word that starts with "plan".
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("a", json!({"text": "a plan for Monday"}).as_object().ok_or("an object")?)?;
    /// palace.put("b", json!({"text": "planets"}).as_object().ok_or("an object")?)?;
    /// let hits = palace.search("Plan monday", 10)?;
    /// assert_eq!(hits[0].document.key.as_str(), "a");
    /// assert_eq!(palace.search("plan*", 10)?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyQuery`] if there is no word in the query, or as [`Palace::get`].
    pub fn search(&self, query: &str, limit: usize) -> Result<Vec<Hit>> {
        self.search_where(query, limit, &|_| true)
    }

    /// As [`Palace::search`], among the documents whose key `wanted` names.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// for key in ["notes/a", "drafts/a"] {
    ///     palace.put(key, json!({"text": "a plan"}).as_object().ok_or("an object")?)?;
    /// }
    /// let hits = palace.search_where("plan", 10, &|key| key.starts_with("notes/"))?;
    /// assert_eq!((hits.len(), hits[0].document.key.as_str()), (1, "notes/a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyQuery`] if there is no word in the query.
    pub fn search_where(
        &self,
        query: &str,
        limit: usize,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Hit>> {
        let terms = parse(query);
        if terms.is_empty() {
            return Err(Error::EmptyQuery);
        }
        self.read_fresh(|view| search(view, &terms, limit, wanted))
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
    }
    candidates.extend(view.divergent_keys()?.iter().cloned());
    let mut hits = Vec::new();
    for key in candidates.into_iter().filter(|key| wanted(key.as_str())) {
        // Calls that need less of the processor go first: see `ranking`.
        std::thread::yield_now();
        if let Some(document) = view.read(&key)?
            && let Some(score) = score(&words(&text_of(&document.value)), terms)
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

/// The words of a query; one that ends in `*` is the beginning of a word.
pub(super) fn parse(query: &str) -> Terms {
    query.split_whitespace().fold(Terms::default(), |terms, part| match part.strip_suffix('*') {
        Some(start) => terms.prefix(start),
        None => terms.whole(part),
    })
}

/// How well a document with these words fits; `None` if a term is missing.
pub(super) fn score(words: &[String], terms: &Terms) -> Option<f64> {
    let norm = K1 * (1.0 - B + B * words.len() as f64 / USUAL_WORDS);
    let weigh = |count: usize| match count as f64 {
        0.0 => None,
        count => Some(count * (K1 + 1.0) / (count + norm)),
    };
    terms.counts(words).into_iter().map(weigh).sum()
}
