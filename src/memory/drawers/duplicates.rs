//! Finds drawers that hold the same text, or nearly the same.
//!
//! Invariant: the same text is always found if it has a letter or a digit. Similar texts are looked for among the
//! drawers that share its longest words, which are usually the rarest.

use super::drawer::{Drawer, drawer_of};
use super::file;
use super::handle::Drawers;
use super::place::parts;
use super::search::SEARCHED;
use crate::format::hash::ChangeHash;
use crate::memory::error::{MemoryError, Result};
use crate::palace::Conflict;
use crate::palace::search::question_words::WORDS_MAX;
use crate::palace::search::ranking::Question;
use crate::snapshot::words;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Range;

/// The number of drawers with the longest words that are compared.
const CANDIDATES: usize = 50;
/// The number of words in a run. Texts are compared run by run.
const SHINGLE: usize = 3;
/// The most duplicates that are returned.
const MATCHES_MAX: usize = 10;

/// A drawer with a similar text.
///
/// ```
/// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
/// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
/// # let id = drawers.file(&[item])?.remove(0).id;
/// let like = drawers.duplicates("we sign TOKENS with RSA", 0.9)?;
/// assert_eq!((like[0].drawer.id.as_str(), like[0].similarity), (id.as_str(), 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Duplicate {
    /// The drawer.
    pub drawer: Drawer,
    /// The similarity of its text, as [`similarity`] defines it. If the text has open conflicts, that of its most similar
    /// reading.
    pub similarity: f64,
}

impl Drawers {
    /// Returns the drawers whose similarity to this text is at least `threshold`, which is over 0 and at most 1. The
    /// most similar come first, and at most ten are returned.
    ///
    /// ```
    /// # use crdt_palace::memory::drawers::{Drawers, Item, Place};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let drawers = Drawers::new(Palace::open(dir.path().join("palace"))?);
    /// # let item = Item::new(Place::new("atlas", "decisions")?, "We sign tokens with RSA.")?;
    /// # let id = drawers.file(&[item])?.remove(0).id;
    /// let changed = "We sign all tokens with RSA.";
    /// assert!(drawers.duplicates(changed, 0.9)?.is_empty());
    /// assert_eq!(drawers.duplicates(changed, 0.1)?[0].drawer.id, id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Argument`], and errors of the palace.
    pub fn duplicates(&self, content: &str, threshold: f64) -> Result<Vec<Duplicate>> {
        file::checked("content", content)?;
        if !(threshold > 0.0 && threshold <= 1.0) {
            let why =
                "it must be over 0 and at most 1; 1 finds only the same words in the same order";
            return Err(MemoryError::argument("threshold", why));
        }
        let query = longest_words(content);
        // A text without letters and digits has no words to search for.
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.palace.ranked(&Question {
            query: &query,
            every: false,
            keys: &|key| parts(key).is_some(),
            documents: &|_| true,
            fields: &SEARCHED[..1],
            after: None,
            limit: CANDIDATES,
        })?;
        let drawers = found.into_iter().map(|ranked| drawer_of(ranked.document));
        let compared = drawers.map(|drawer| {
            let readings = readings(&drawer);
            let similarity =
                readings.iter().map(|text| similarity(content, text)).fold(0.0, f64::max);
            Duplicate { drawer, similarity }
        });
        let mut similar: Vec<_> = compared.filter(|d| d.similarity >= threshold).collect();
        similar.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        similar.truncate(MATCHES_MAX);
        let mut spellings = self.known_spellings()?;
        let shown = |one: Duplicate| Ok(Duplicate { drawer: spellings.show(one.drawer)?, ..one });
        similar.into_iter().map(shown).collect()
    }
}

/// Returns the text of a drawer, and the text with the open readings of each change in the place of what is shown there.
fn readings(drawer: &Drawer) -> Vec<String> {
    let mut texts = vec![drawer.content.clone()];
    let of_text: Vec<&Conflict> =
        drawer.conflicts.iter().filter(|conflict| conflict.path == "/content").collect();
    let others = of_text.iter().flat_map(|conflict| &conflict.others);
    let changes: BTreeSet<ChangeHash> = others.map(|other| other.written.change).collect();
    texts.extend(changes.into_iter().map(|change| reading_of(&drawer.content, &of_text, change)));
    texts
}

/// Returns a text with the readings of one change.
fn reading_of(content: &str, conflicts: &[&Conflict], change: ChangeHash) -> String {
    let mut replaced: Vec<(Range<usize>, &str)> = Vec::new();
    for conflict in conflicts {
        let other = conflict.others.iter().find(|other| other.written.change == change);
        let text = other.and_then(|other| other.value.as_str());
        let range = conflict.range.clone().unwrap_or(0..content.len());
        replaced.extend(text.map(|text| (range, text)));
    }
    // From the end, so that the ranges before it stay.
    replaced.sort_by_key(|(range, _)| Reverse(range.start));
    let mut whole = content.to_owned();
    for (range, text) in replaced {
        // A damaged view may name a range that the text does not have.
        if whole.get(range.clone()).is_some() {
            whole.replace_range(range, text);
        }
    }
    whole
}

fn longest_words(content: &str) -> String {
    let distinct: BTreeSet<String> = words(content).into_iter().collect();
    let mut distinct: Vec<String> = distinct.into_iter().collect();
    distinct.sort_by_key(|word| Reverse(word.chars().count()));
    distinct.truncate(WORDS_MAX / 2);
    distinct.join(" ")
}

/// Measures the similarity of two texts, from 0 to 1: the share of runs of three words that both have, of all runs that
/// one of them has.
///
/// 1 means the same words in the same order; case and punctuation do not count. If one word in a hundred was changed,
/// the result is about 0.94. The meaning of the words does not count.
///
/// ```
/// use crdt_palace::memory::drawers::similarity;
///
/// assert_eq!(similarity("We sign tokens.", "we SIGN tokens"), 1.0);
/// assert_eq!(similarity("one two three four", "one two three five"), 1.0 / 3.0);
/// assert_eq!(similarity("one two three", "uno dos tres"), 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn similarity(a: &str, b: &str) -> f64 {
    let (a, b) = (words(a), words(b));
    // A text shorter than a run is compared as one run.
    let size = SHINGLE.min(a.len()).min(b.len()).max(1);
    let runs = |words| -> BTreeSet<Vec<String>> {
        <[String]>::windows(words, size).map(<[String]>::to_vec).collect()
    };
    let (a, b) = (runs(&a), runs(&b));
    match a.union(&b).count() {
        0 => 0.0,
        all => a.intersection(&b).count() as f64 / all as f64,
    }
}
