//! The tokenizer: splits texts into words, and matches terms with them.
//!
//! Owns: the definition of a word. Snapshots index the words of a document, and code that holds documents
//! in memory asks [`Terms::accept`]. Both split texts here, so where a document is stored cannot change
//! whether it matches. Invariant: a word is not empty and holds no space, quote or ASCII capital. FTS5's
//! `ascii` tokenizer splits at every ASCII character that is no letter or digit. So it splits words
//! joined by spaces exactly at those spaces. Must not know: files, SQLite, documents.

/// The longest word, in characters. The rest of a longer one is ignored.
pub const WORD_CHARS_MAX: usize = 64;

/// Returns the words of `text`, in order and with repetitions.
///
/// A word is a run of Unicode letters and digits in lower case. An ideograph, a kana or a hangul
/// syllable is a word by itself, because those scripts put no spaces between words. Combining
/// accents and invisible joiners are left out without ending the word.
///
/// ```
/// use crdt_palace::snapshot::words;
/// assert_eq!(words("Don't PANIC: 東京 2040"), ["don", "t", "panic", "東", "京", "2040"]);
/// ```
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    each_word(text, |word| found.push(word.to_owned()));
    found
}

/// Calls `take` with each word of `text` in order.
pub(super) fn each_word(text: &str, mut take: impl FnMut(&str)) {
    let mut word = Word::default();
    for character in text.chars() {
        // Most text is ASCII, and no ASCII character is ignored or stands alone.
        if character.is_ascii() {
            match character.is_ascii_alphanumeric() {
                true => word.push_lower(character.to_ascii_lowercase()),
                false => word.end(&mut take),
            }
            continue;
        }
        if is_ignored(character) {
            continue;
        }
        let stands_alone = stands_alone(character);
        // An ideograph ends the word before it, as a space does.
        if stands_alone || !character.is_alphanumeric() {
            word.end(&mut take);
        }
        if character.is_alphanumeric() {
            character.to_lowercase().for_each(|lower| word.push(lower));
        }
        if stands_alone {
            word.end(&mut take);
        }
    }
    word.end(&mut take);
}

#[derive(Default)]
struct Word {
    text: String,
    chars: usize,
}

impl Word {
    fn push(&mut self, lower: char) {
        // The lower case of İ is an `i` and a combining dot.
        if !is_ignored(lower) {
            // A sigma has another form at the end of a word than inside.
            self.push_lower(if lower == 'ς' { 'σ' } else { lower });
        }
    }

    fn push_lower(&mut self, lower: char) {
        if self.chars < WORD_CHARS_MAX {
            self.chars += 1;
            self.text.push(lower);
        }
    }

    fn end(&mut self, take: &mut impl FnMut(&str)) {
        if !self.text.is_empty() {
            take(&self.text);
            self.text.clear();
            self.chars = 0;
        }
    }
}

/// Returns true for combining accents, variation selectors, soft hyphens and joiners.
fn is_ignored(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn stands_alone(character: char) -> bool {
    matches!(character,
        '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{3ffff}')
        && character.is_alphanumeric()
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    word: String,
    prefix: bool,
}

impl Term {
    fn accepts(&self, word: &str) -> bool {
        if self.prefix { word.starts_with(&self.word) } else { word == self.word }
    }
}

/// Search terms. A document is a candidate if it has every one of these words, or, for a prefix, a word
/// that begins with it.
///
/// ```
/// use crdt_palace::snapshot::{Terms, words};
/// let terms = Terms::default().whole("Night").prefix("pan");
/// assert!(terms.accept(&words("a panic in the night")));
/// assert!(!terms.accept(&words("a panic in the nightly")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms(Vec<Term>);

impl Terms {
    /// Adds all words of `text` as whole words.
    #[must_use]
    pub fn whole(mut self, text: &str) -> Self {
        self.extend(text);
        self
    }

    /// Adds all words of `text`, the last one as a prefix.
    #[must_use]
    pub fn prefix(mut self, text: &str) -> Self {
        let before = self.0.len();
        self.extend(text);
        if self.0.len() > before
            && let Some(last) = self.0.last_mut()
        {
            last.prefix = true;
        }
        self
    }

    fn extend(&mut self, text: &str) {
        each_word(text, |word| self.0.push(Term { word: word.to_owned(), prefix: false }));
    }

    /// Returns each term by itself, without repetitions.
    pub fn each(&self) -> impl Iterator<Item = Terms> {
        let first =
            |n: usize, term: &Term| self.0.iter().position(|other| other == term) == Some(n);
        let distinct = self.0.iter().enumerate().filter(move |(n, term)| first(*n, term));
        distinct.map(|(_, term)| Terms(vec![term.clone()]))
    }

    /// Returns the words, and the beginnings of words, without what says which is which.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|term| term.word.clone())
    }

    /// Returns the number of characters of all terms.
    pub(crate) fn chars(&self) -> usize {
        self.0.iter().map(|term| term.word.chars().count()).sum()
    }

    /// Returns true if there is no term. Such terms accept no document.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if a document with these [`words`] is a candidate.
    #[must_use]
    pub fn accept(&self, words: &[String]) -> bool {
        let found = |term: &Term| words.iter().any(|word| term.accepts(word));
        !self.is_empty() && self.0.iter().all(found)
    }

    /// Counts each term in a document with these [`words`], in the order of the terms.
    #[must_use]
    pub fn counts(&self, words: &[String]) -> Vec<usize> {
        let count = |term: &Term| words.iter().filter(|word| term.accepts(word)).count();
        self.0.iter().map(count).collect()
    }

    /// Returns what to look for in a text of words that are joined by spaces and stand between two: `" word "`, or
    /// `" wor"` for a beginning.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|term| format!(" {}{}", term.word, if term.prefix { "" } else { " " }))
    }

    /// Returns the FTS5 expression. Each word is quoted, and by the invariant above holds no quote.
    pub(super) fn to_match(&self) -> String {
        let mut expression = String::new();
        for term in &self.0 {
            if !expression.is_empty() {
                expression.push_str(" AND ");
            }
            expression.push('"');
            expression.push_str(&term.word);
            expression.push_str(if term.prefix { "\"*" } else { "\"" });
        }
        expression
    }
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
