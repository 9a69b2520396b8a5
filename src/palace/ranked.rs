//! Full-text search for whole questions: documents with more of the words come first.
//!
//! Invariant: as in [`super::search`], where a document lives changes neither whether it is found nor its
//! place in the order. The indexes only say which documents may have how many of the words; documents are
//! read until no other can come before those that were found. The order is total, and a document's place
//! in it depends on that document alone, so paging is stable while others write.

use super::document::Document;
use super::search::{collect, parse, score, text_of};
use super::state::State;
use super::{Error, Palace, Result};
use crate::format::key::Key;
use crate::snapshot::{Terms, words};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

/// The most words of a query that are looked at.
pub const WORDS_MAX: usize = 32;

/// So many of what was found are kept before they are sorted.
const KEPT: usize = 500;

/// Words that say little about what somebody looks for. They count only in a query without others.
const COMMON: [&str; 48] = [
    "a", "about", "an", "and", "are", "as", "at", "be", "but", "by", "can", "did", "do", "does",
    "for", "from", "had", "has", "have", "how", "i", "in", "is", "it", "my", "of", "on", "or",
    "our", "that", "the", "their", "them", "there", "they", "this", "to", "was", "we", "were",
    "what", "when", "where", "which", "who", "why", "with", "you",
];

/// Where a document stands in the order: more words first, then the higher score, then the key.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// How many of the query's words it has.
    pub words: usize,
    /// As [`super::search::Hit::score`].
    pub score: f64,
    /// Its key.
    pub key: Key,
}

impl Rank {
    fn order(&self, other: &Rank) -> Ordering {
        other
            .words
            .cmp(&self.words)
            .then_with(|| other.score.total_cmp(&self.score))
            .then_with(|| self.key.cmp(&other.key))
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:016x}.{}", self.words, self.score.to_bits(), self.key)
    }
}

impl FromStr for Rank {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = || {
            let mut parts = text.splitn(3, '.');
            let words = parts.next()?.parse().ok()?;
            let score = f64::from_bits(u64::from_str_radix(parts.next()?, 16).ok()?);
            Some(Rank { words, score, key: Key::new(parts.next()?).ok()? })
        };
        parsed().ok_or_else(|| Error::Cursor { text: text.to_owned() })
    }
}

/// What is looked for, and where.
pub struct Question<'a> {
    /// The words; `plan*` stands for every word that starts with "plan".
    pub query: &'a str,
    /// Whether only documents are wanted that have all of them.
    pub every: bool,
    /// Which documents may be found, by their keys.
    pub keys: &'a dyn Fn(&Key) -> bool,
    /// Which may, by what they show.
    pub documents: &'a dyn Fn(&Document) -> bool,
    /// The fields whose texts are searched; empty for all.
    pub fields: &'a [&'a str],
    /// Only what comes behind this in the order.
    pub after: Option<&'a Rank>,
    /// At most so many, at least 1.
    pub limit: usize,
}

/// A document that has at least one word of a query.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The document.
    pub document: Document,
    /// Its place in the order, and the cursor for what comes behind it.
    pub rank: Rank,
}

impl Palace {
    /// The documents that have the most words of a question, best first. Words such as "the" are not
    /// looked at unless there are no others, nor are more than [`WORDS_MAX`] words.
    ///
    /// # Errors
    /// [`Error::EmptyQuery`] if there is no word in the query.
    pub(crate) fn ranked(&self, question: &Question<'_>) -> Result<Vec<Ranked>> {
        let terms = terms(question);
        if terms.is_empty() {
            return Err(Error::EmptyQuery);
        }
        self.read_fresh(|state| state.ranked(question, &terms))
    }
}

/// Each word by itself.
fn terms(question: &Question<'_>) -> Vec<Terms> {
    let query = question.query;
    let common = |word: &String| COMMON.contains(&word.as_str());
    let kept = |part: &&str| !words(part).iter().all(common);
    let telling: Vec<&str> = query.split_whitespace().filter(kept).collect();
    let mut found: Vec<Terms> = parse(&telling.join(" ")).each().take(WORDS_MAX).collect();
    if found.is_empty() || question.every {
        found = parse(query).each().take(WORDS_MAX).collect();
    }
    found
}

/// The documents that may have some of the words of a question.
struct Candidates {
    /// Those of which the indexes do not know all.
    unknown: BTreeSet<Key>,
    /// The others, by how many of the words they have: in which snapshot, and their numbers there.
    indexed: BTreeMap<usize, Vec<(usize, i64)>>,
}

impl State {
    fn ranked(&mut self, question: &Question<'_>, terms: &[Terms]) -> Result<Vec<Ranked>> {
        let ranks = self.ranks(question, terms)?;
        let mut found = Vec::with_capacity(ranks.len());
        for rank in ranks {
            // It was there a moment ago, under the same lock.
            if let Some(document) = self.read(&rank.key)? {
                found.push(Ranked { document, rank });
            }
        }
        Ok(found)
    }

    fn ranks(&mut self, question: &Question<'_>, terms: &[Terms]) -> Result<Vec<Rank>> {
        let Candidates { unknown, indexed } = self.candidates(question, terms)?;
        let mut found: Vec<Rank> = Vec::new();
        for key in &unknown {
            if let Some(document) = self.read(key)? {
                found.extend(rank(&document, question, terms));
            }
            keep_best(&mut found, question.limit);
        }
        for (words, numbers) in indexed.into_iter().rev() {
            // What is left has at most so many of the words.
            let too_few = question.every && words < terms.len();
            if too_few || found.iter().filter(|rank| rank.words > words).count() >= question.limit {
                break;
            }
            for (snapshot, number) in numbers {
                found.extend(self.rank_indexed(snapshot, number, &unknown, question, terms)?);
                keep_best(&mut found, question.limit);
            }
        }
        found.sort_by(Rank::order);
        found.truncate(question.limit.max(1));
        Ok(found)
    }

    /// The rank of a document that stands in one snapshot alone.
    fn rank_indexed(
        &mut self,
        snapshot: usize,
        number: i64,
        unknown: &BTreeSet<Key>,
        question: &Question<'_>,
        terms: &[Terms],
    ) -> Result<Option<Rank>> {
        let Some(snapshot) = self.snapshots().get(snapshot) else { return Ok(None) };
        let key = snapshot.numbered_key(number)?;
        if !(question.keys)(&key) || unknown.contains(&key) {
            return Ok(None);
        }
        let row = snapshot.numbered_view(number)?;
        let document = self.read_rows(&key, vec![row])?;
        Ok(document.and_then(|document| rank(&document, question, terms)))
    }

    fn candidates(&mut self, question: &Question<'_>, terms: &[Terms]) -> Result<Candidates> {
        let mut unknown: BTreeSet<Key> =
            self.keys_apart()?.iter().filter(|key| (question.keys)(key)).cloned().collect();
        unknown.extend(self.tail.keys("", None).filter(|key| (question.keys)(key)).cloned());
        let mut indexed: BTreeMap<usize, Vec<(usize, i64)>> = BTreeMap::new();
        for (n, snapshot) in self.snapshots().iter().enumerate() {
            let mut counts: HashMap<i64, usize> = HashMap::new();
            for term in terms {
                for number in snapshot.numbers_matching(term)? {
                    *counts.entry(number).or_default() += 1;
                }
            }
            for (number, count) in counts {
                indexed.entry(count).or_default().push((n, number));
            }
        }
        Ok(Candidates { unknown, indexed })
    }
}

/// Forgets those that cannot be among the first any more, now and then: a word may be in every document.
fn keep_best(found: &mut Vec<Rank>, limit: usize) {
    if found.len() > limit.max(KEPT).saturating_mul(2) {
        found.sort_by(Rank::order);
        found.truncate(limit.max(1));
    }
}

/// Where a document stands in the order; `None` if it is none that is looked for.
fn rank(document: &Document, question: &Question<'_>, terms: &[Terms]) -> Option<Rank> {
    if !(question.documents)(document) {
        return None;
    }
    let words = words(&searched(&document.value, question.fields));
    let scores: Vec<f64> = terms.iter().filter_map(|term| score(&words, term)).collect();
    let rank = Rank { words: scores.len(), score: scores.iter().sum(), key: document.key.clone() };
    let behind = |after| rank.order(after) == Ordering::Greater;
    let enough = if question.every { terms.len() } else { 1 };
    (rank.words >= enough && question.after.is_none_or(behind)).then_some(rank)
}

/// The texts of these fields, or of all.
fn searched(value: &Map<String, Value>, fields: &[&str]) -> String {
    if fields.is_empty() {
        return text_of(value);
    }
    let mut text = String::new();
    fields.iter().filter_map(|field| value.get(*field)).for_each(|v| collect(v, &mut text));
    text
}
