//! Full-text search for whole questions: documents with more of the words come first.
//!
//! Invariant: as in [`super::query`], a document's rank does not depend on the file that holds it. The indexes only
//! bound how many of the words a document may have. Documents are read until no other can come before those that were
//! found. The order is total, and a document's rank depends on that document alone, so paging is stable while other
//! processes write.
//!
//! A document may be in several snapshots, and all but one hold an earlier state of it. So a row alone never decides that
//! a document is found, only that it may be. A row that would not be among the best is dropped without reading the other
//! snapshots. If the document has another state now, the row with that state has its own turn: see
//! [`View::divergent_keys`]. A row that an earlier version wrote may show one of several readings alone, so a document in
//! conflict is read too: see [`View::partly_indexed`].

use super::query::score;
use super::question_words::terms;
use crate::format::key::Key;
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Palace;
use crate::palace::view::document::Document;
use crate::palace::view::rows::parse_view;
use crate::palace::view::tail::TailDocument;
use crate::palace::view::text::{Patterns, text_of_fields};
use crate::palace::view::view::View;
use crate::snapshot::{Terms, words};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

/// The rank of a document: more words first, then the higher score, then the key.
#[derive(Clone, Debug)]
pub struct Rank {
    /// Number of the query's words that it has.
    pub words: usize,
    /// Its score, as [`super::query::Hit::score`].
    pub score: f64,
    /// Its key.
    pub key: Key,
}

/// Compares ranks: the better one is less.
impl Ord for Rank {
    fn cmp(&self, other: &Rank) -> Ordering {
        other
            .words
            .cmp(&self.words)
            .then_with(|| other.score.total_cmp(&self.score))
            .then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Rank) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Rank) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rank {}

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

/// A question: its words, and the documents to search.
pub struct Question<'a> {
    /// The words; `plan*` stands for every word that starts with "plan".
    pub query: &'a str,
    /// True if only documents with all of the words are wanted.
    pub every: bool,
    /// Filter of the documents by their keys.
    pub keys: &'a dyn Fn(&Key) -> bool,
    /// Filter of the documents by their values.
    pub documents: &'a dyn Fn(&Document) -> bool,
    /// The fields whose texts are searched; empty for all.
    pub fields: &'a [&'a str],
    /// Only documents behind this rank.
    pub after: Option<&'a Rank>,
    /// The most documents to return, at least 1.
    pub limit: usize,
}

/// A document that has at least one word of a query.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The document.
    pub document: Document,
    /// Its rank, and the cursor for the documents behind it.
    pub rank: Rank,
}

impl Palace {
    /// Returns the documents that have the most of the [telling words](super::question_words) of a question, best first.
    ///
    /// # Errors
    /// [`Error::EmptyQuery`] if there is no word in the query.
    pub(crate) fn ranked(&self, question: &Question<'_>) -> Result<Vec<Ranked>> {
        let terms = terms(question.query, question.every);
        if terms.is_empty() {
            return Err(Error::EmptyQuery);
        }
        self.read_fresh(|view| ranked(view, question, &terms))
    }
}

/// A document that may have some of the words of a question.
enum Candidate<'a> {
    /// A row of the snapshot with this number, by its own number.
    Row(usize, i64),
    /// A document with changes in the tail.
    Tail(&'a Key, &'a TailDocument),
}

/// The best of the documents that were read, each once: no two have the same rank.
struct Best {
    limit: usize,
    found: BTreeMap<Rank, Document>,
}

impl Best {
    fn add(&mut self, rank: Rank, document: Document) {
        self.found.insert(rank, document);
        if self.found.len() > self.limit {
            self.found.pop_last();
        }
    }

    /// Returns true if a document of this rank would be among them.
    fn has_room_for(&self, rank: &Rank) -> bool {
        self.found.len() < self.limit || self.last().is_some_and(|last| rank < last)
    }

    /// Returns true if a document with so many of the words may be among them.
    fn has_room_at(&self, words: usize) -> bool {
        self.found.len() < self.limit || self.last().is_some_and(|last| words >= last.words)
    }

    fn last(&self) -> Option<&Rank> {
        self.found.last_key_value().map(|(rank, _)| rank)
    }
}

fn ranked(view: &View, question: &Question<'_>, terms: &[Terms]) -> Result<Vec<Ranked>> {
    let mut best = Best { limit: question.limit.max(1), found: BTreeMap::new() };
    for key in view.divergent_keys()?.iter().filter(|key| (question.keys)(key)) {
        judge(view.read(key)?, question, terms, &mut best);
    }
    for snapshot in view.snapshots() {
        for number in View::partly_indexed(snapshot)? {
            let key = snapshot.numbered_key(*number)?;
            if (question.keys)(&key) {
                judge(view.read(&key)?, question, terms, &mut best);
            }
        }
    }
    for (words, candidates) in candidates(view, question, terms)?.into_iter().rev() {
        // The candidates that are left have at most so many of the words.
        let too_few = question.every && words < terms.len();
        if too_few || !best.has_room_at(words) {
            break;
        }
        for candidate in candidates {
            // A search of a large palace takes seconds of a processor, and a call that takes a thousandth of one must not
            // wait for the rest of its time slice: measured in `cargo bench --bench concurrent`.
            std::thread::yield_now();
            match candidate {
                Candidate::Row(snapshot, number) => {
                    let rank = rank_row(view, snapshot, number, question, terms)?;
                    if let Some(rank) = rank.filter(|rank| best.has_room_for(rank)) {
                        judge(view.read(&rank.key)?, question, terms, &mut best);
                    }
                }
                Candidate::Tail(key, document) => {
                    let shown = view.shown(key, document)?;
                    judge(view.document_of(key, &shown)?, question, terms, &mut best);
                }
            }
        }
    }
    let ranked = |(rank, document)| Ranked { document, rank };
    Ok(best.found.into_iter().map(ranked).collect())
}

/// Adds a document at its present version, if it is one of the best.
fn judge(document: Option<Document>, question: &Question<'_>, terms: &[Terms], best: &mut Best) {
    if let Some(document) = document
        && let Some(rank) = rank(&document, question, terms)
    {
        best.add(rank, document);
    }
}

/// Returns the rank that a document would have if this row were all of it; `None` for a document that is judged by
/// what the tail or other snapshots hold of it.
fn rank_row(
    view: &View,
    snapshot: usize,
    number: i64,
    question: &Question<'_>,
    terms: &[Terms],
) -> Result<Option<Rank>> {
    let Some(snapshot) = view.snapshots().get(snapshot) else { return Ok(None) };
    if View::partly_indexed(snapshot)?.binary_search(&number).is_ok() {
        return Ok(None);
    }
    let key = snapshot.numbered_key(number)?;
    let elsewhere = || view.tail.document(key.as_str()).is_some();
    if !(question.keys)(&key) || elsewhere() || view.divergent_keys()?.contains(&key) {
        return Ok(None);
    }
    let row = snapshot.numbered_view(number)?;
    let shown = parse_view(&row.view, &key)?;
    let document = Document::of(key, row.heads, shown, row.incomplete);
    Ok(document.and_then(|document| rank(&document, question, terms)))
}

/// Returns the candidates by how many of the words they may have.
fn candidates<'a>(
    view: &'a View,
    question: &Question<'_>,
    terms: &[Terms],
) -> Result<BTreeMap<usize, Vec<Candidate<'a>>>> {
    let mut found: BTreeMap<usize, Vec<Candidate<'a>>> = BTreeMap::new();
    let patterns: Vec<Patterns> = terms.iter().map(Patterns::of).collect();
    for (key, document) in view.tail.documents().filter(|(key, _)| (question.keys)(key)) {
        let shown = view.shown_with_words(key, document)?;
        let has = |pattern: &&Patterns| pattern.all_in(shown.distinct_words());
        let count = patterns.iter().filter(has).count();
        if count > 0 {
            found.entry(count).or_default().push(Candidate::Tail(key, document));
        }
    }
    for (n, snapshot) in view.snapshots().iter().enumerate() {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        for term in terms {
            for number in snapshot.numbers_matching(term)? {
                *counts.entry(number).or_default() += 1;
            }
        }
        for (number, count) in counts {
            found.entry(count).or_default().push(Candidate::Row(n, number));
        }
    }
    Ok(found)
}

/// Returns the rank of a document; `None` if the question does not ask for it.
fn rank(document: &Document, question: &Question<'_>, terms: &[Terms]) -> Option<Rank> {
    if !(question.documents)(document) {
        return None;
    }
    let words = words(&searched(document, question.fields));
    let scores: Vec<f64> = terms.iter().filter_map(|term| score(&words, term)).collect();
    let rank = Rank { words: scores.len(), score: scores.iter().sum(), key: document.key.clone() };
    let behind = |after: &Rank| rank > *after;
    let enough = if question.every { terms.len() } else { 1 };
    (rank.words >= enough && question.after.is_none_or(behind)).then_some(rank)
}

/// Returns the texts of these fields, or of all.
fn searched(document: &Document, fields: &[&str]) -> String {
    let wanted = |name: &str| fields.is_empty() || fields.contains(&name);
    text_of_fields(&document.value, &document.conflicts, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::sim::SimDisk;
    use crate::palace::Options;
    use crate::palace::compact::CompactOptions;
    use serde_json::json;
    use std::path::Path;
    use std::sync::Arc;

    fn open(disk: &SimDisk) -> Palace {
        let options = Options::default().auto_compact(false).fs(Arc::new(disk.process()));
        options.open("/palace").unwrap()
    }

    fn text(palace: &Palace, key: &str, text: &str) {
        palace.put(key, json!({"text": text}).as_object().unwrap()).unwrap();
    }

    fn delete(palace: &Palace, key: &str) {
        palace.delete(key).unwrap();
    }

    /// Compacts the commits since the last snapshot into another one, beside the present ones.
    fn fold(palace: &Palace, live: usize) {
        palace.compact(CompactOptions::default()).unwrap();
        let snapshots = palace.status().unwrap().snapshots;
        assert_eq!(snapshots.iter().filter(|snapshot| !snapshot.superseded).count(), live);
    }

    const QUESTION: Question<'_> = Question {
        query: "token",
        every: false,
        keys: &|_| true,
        documents: &|_| true,
        fields: &[],
        after: None,
        limit: 100,
    };

    /// Their keys, and what they show.
    fn found(palace: &Palace, question: &Question<'_>) -> Vec<(String, String)> {
        let found = palace.ranked(question).unwrap().into_iter();
        let shown = |document: &Document| document.value["text"].as_str().unwrap().to_owned();
        found.map(|it| (it.document.key.as_str().to_owned(), shown(&it.document))).collect()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_document_in_two_snapshots_is_found_once_and_by_what_it_is_now() {
        let palace = open(&SimDisk::new(1));
        for key in ["deleted", "lost", "same", "twice"] {
            text(&palace, key, "token token");
        }
        text(&palace, "got", "nothing");
        text(&palace, "once", "token");
        fold(&palace, 1);
        delete(&palace, "deleted");
        text(&palace, "lost", "nothing");
        text(&palace, "got", "token token token");
        text(&palace, "twice", "token, and more");
        let same = json!({"other": 1});
        palace.patch("same", same.as_object().unwrap()).unwrap();
        fold(&palace, 2);
        let now = pairs(&[
            ("got", "token token token"),
            ("same", "token token"),
            ("once", "token"),
            ("twice", "token, and more"),
        ]);
        for limit in 1..=5 {
            let expected = &now[..now.len().min(limit)];
            assert_eq!(found(&palace, &Question { limit, ..QUESTION }), expected, "{limit}");
        }
        let only = |document: &Document| document.value["text"] == "token token";
        let asked = Question { documents: &only, ..QUESTION };
        assert_eq!(found(&palace, &asked), now[1..2], "by what they show now");
        let lost = Question { query: "nothing", ..QUESTION };
        assert_eq!(found(&palace, &lost), pairs(&[("lost", "nothing")]));
        // The others that ask the indexes.
        let hits = palace.search("token").limit(10).hits().unwrap();
        let keys: Vec<_> = hits.iter().map(|hit| hit.document.key.as_str()).collect();
        assert_eq!(keys, ["got", "same", "once", "twice"]);
        let keys = palace.keys_page("", None, 10).unwrap();
        let scanned = palace.scan_page("", None, 10).unwrap().documents;
        assert_eq!(keys, scanned.into_iter().map(|document| document.key).collect::<Vec<_>>());
        assert_eq!(keys.len(), 5);
    }

    #[test]
    fn what_was_deleted_or_changed_takes_nobody_s_place() {
        let palace = open(&SimDisk::new(1));
        for n in 0..12 {
            text(&palace, &format!("deleted/{n}"), "token token refresh");
            text(&palace, &format!("changed/{n}"), "token token refresh");
        }
        fold(&palace, 1);
        for n in 0..12 {
            delete(&palace, &format!("deleted/{n}"));
            text(&palace, &format!("changed/{n}"), "something else");
        }
        text(&palace, "live", &format!("token {}", "filler ".repeat(200)));
        fold(&palace, 2);
        for (query, every) in [("token", false), ("token refresh", false), ("token", true)] {
            for limit in [1, 2, 12, 13, 24, 25] {
                let found = found(&palace, &Question { query, every, limit, ..QUESTION });
                assert_eq!(found.len(), 1, "{query}, {limit}");
                assert_eq!(found[0].0, "live");
            }
        }
    }

    /// As a program does that brings copies together.
    fn copy_snapshots(from: &Path, to: &Path) {
        std::fs::create_dir_all(to.join("snap")).unwrap();
        std::fs::copy(from.join("palace.json"), to.join("palace.json")).unwrap();
        for file in std::fs::read_dir(from.join("snap")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join("snap").join(file.file_name())).unwrap();
        }
    }

    #[test]
    fn words_that_were_added_in_two_copies_are_found_together() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let open = |at: &Path| Options::default().auto_compact(false).open(at).unwrap();
        let here = open(&a);
        text(&here, "both", "token");
        fold(&here, 1);
        copy_snapshots(&a, &b);
        for (at, field, word) in [(&a, "text", "green"), (&b, "more", "blue")] {
            let palace = open(at);
            let patch = json!({field: word});
            palace.patch("both", patch.as_object().unwrap()).unwrap();
            fold(&palace, 2);
        }
        copy_snapshots(&b, &a);
        for limit in [1, 10] {
            let asked = Question { query: "green blue", every: true, limit, ..QUESTION };
            assert_eq!(found(&here, &asked), pairs(&[("both", "green")]), "{limit}");
            let gone = Question { query: "token", limit, ..QUESTION };
            assert_eq!(found(&here, &gone), [], "{limit}");
        }
    }

    #[test]
    fn where_a_document_lives_does_not_change_what_is_found() {
        // One keeps all of it in the tail, the other in up to three snapshots.
        let (tail, folded) = (open(&SimDisk::new(1)), open(&SimDisk::new(2)));
        let mut dice = 7_u64;
        let mut roll = |below: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (dice >> 33) % below
        };
        for step in 1..=120 {
            let key = format!("k{}", roll(30));
            let words: Vec<_> =
                (0..roll(6)).map(|_| ["red", "green", "blue"][roll(3) as usize]).collect();
            for palace in [&tail, &folded] {
                match words.is_empty() {
                    true => delete(palace, &key),
                    false => text(palace, &key, &words.join(" ")),
                }
            }
            if step % 40 == 0 {
                fold(&folded, step / 40);
            }
        }
        for (query, every) in [("red", false), ("red green blue", false), ("red gr*", true)] {
            let asked = Question { query, every, ..QUESTION };
            let all: Vec<Rank> =
                tail.ranked(&asked).unwrap().into_iter().map(|it| it.rank).collect();
            assert!(all.len() > 5, "{query}: {}", all.len());
            for limit in 1..=all.len() + 1 {
                let found = folded.ranked(&Question { limit, ..asked }).unwrap();
                let ranks: Vec<Rank> = found.into_iter().map(|it| it.rank).collect();
                assert_eq!(ranks, all[..limit.min(all.len())], "{query}, {limit}");
            }
            let mut paged: Vec<Rank> = Vec::new();
            loop {
                let after = paged.last().cloned();
                let page = Question { after: after.as_ref(), limit: 2, ..asked };
                let page = folded.ranked(&page).unwrap();
                if page.is_empty() {
                    break;
                }
                paged.extend(page.into_iter().map(|it| it.rank));
            }
            assert_eq!(paged, all, "{query}, page by page");
        }
    }
}
