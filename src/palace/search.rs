//! Full-text search over what documents show.
//!
//! Invariant: where a document lives must not change whether it is found, nor its rank. So the word
//! indexes of the snapshots only name candidates; each is then read, merged, and judged by its own
//! words, with constants instead of statistics of the snapshot that it happens to be in.

use super::document::Document;
use super::{Error, Palace, Result};
use crate::format::key::Key;
use crate::snapshot::{Terms, words};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

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
    /// # Errors
    /// [`Error::EmptyQuery`] if there is no word in the query.
    pub fn search(&self, query: &str, limit: usize) -> Result<Vec<Hit>> {
        let terms = Terms::parse(query).ok_or(Error::EmptyQuery)?;
        let mut state = self.fresh()?;
        let mut candidates: BTreeSet<Key> = state.tail.keys("", None).cloned().collect();
        for snapshot in state.snapshots() {
            candidates.extend(snapshot.matching(&terms)?);
        }
        let mut hits = Vec::new();
        for key in candidates {
            if let Some(document) = state.read(&key)?
                && let Some(score) = score(&document.value, &terms)
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
}

/// All words in the texts of a value: what the index of a snapshot is given, too.
#[must_use]
pub fn words_of(value: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for value in value.values() {
        collect(value, &mut found);
    }
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(words(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `None` if a term is missing.
fn score(value: &Map<String, Value>, terms: &Terms) -> Option<f64> {
    let words = words_of(value);
    let length = words.len() as f64;
    let mut counts: HashMap<usize, f64> = HashMap::new();
    for word in &words {
        for (n, term) in terms.iter().enumerate() {
            if term.matches(word) {
                *counts.entry(n).or_default() += 1.0;
            }
        }
    }
    let weigh = |count: f64| count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / USUAL_WORDS));
    (0..terms.iter().count()).map(|n| counts.get(&n).copied().map(weigh)).sum()
}
