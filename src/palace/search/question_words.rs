//! The words of a question that count.
//!
//! Invariant: they follow from the question alone, so that its pages stay the same while others write.

use super::query::parse;
use crate::snapshot::{Terms, words};
use std::cmp::Reverse;

/// The most words of a question that count.
pub const WORDS_MAX: usize = 32;

/// Words that tell little about the documents that a question asks for. They count only in a question without others.
const COMMON: [&str; 125] = [
    "a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at",
    "be", "because", "been", "before", "being", "between", "both", "but", "by", "can", "could",
    "did", "do", "does", "doing", "during", "each", "for", "from", "had", "has", "have", "having",
    "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "just", "ll", "may", "me", "might", "more", "most", "must", "my", "no", "nor", "not", "of",
    "off", "on", "once", "only", "or", "other", "our", "ours", "out", "over", "own", "re", "s",
    "same", "shall", "she", "should", "so", "some", "such", "t", "than", "that", "the", "their",
    "theirs", "them", "then", "there", "these", "they", "this", "those", "through", "to", "too",
    "under", "until", "up", "us", "ve", "very", "was", "we", "were", "what", "when", "where",
    "whether", "which", "while", "who", "whom", "whose", "why", "will", "with", "would", "yes",
    "you", "your", "yours",
];

/// Returns the words of a question that count, each by itself: those that are not common, unless it has no others. Of more
/// than [`WORDS_MAX`], the longest. If documents with every word are wanted, all count.
pub(super) fn terms(question: &str, every: bool) -> Vec<Terms> {
    let all = || parse(question).each().collect();
    if every {
        return all();
    }
    let is_common = |word: &String| COMMON.binary_search(&word.as_str()).is_ok();
    let tells = |part: &&str| !words(part).iter().all(is_common);
    let telling: Vec<&str> = question.split_whitespace().filter(tells).collect();
    let found: Vec<Terms> = parse(&telling.join(" ")).each().collect();
    longest(if found.is_empty() { all() } else { found })
}

fn longest(terms: Vec<Terms>) -> Vec<Terms> {
    let mut kept: Vec<(usize, Terms)> = terms.into_iter().enumerate().collect();
    kept.sort_by_key(|(_, terms)| Reverse(terms.chars()));
    kept.truncate(WORDS_MAX);
    kept.sort_by_key(|(place, _)| *place);
    kept.into_iter().map(|(_, terms)| terms).collect()
}

/// Returns the words of a question that count, as texts.
#[must_use]
pub fn telling_words(question: &str) -> Vec<String> {
    terms(question, false).iter().flat_map(Terms::texts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_count_only_without_others() {
        assert!(COMMON.is_sorted());
        assert_eq!(telling_words("what would she sign for your Tokens?"), ["sign", "tokens"]);
        assert_eq!(telling_words("to be or not"), ["to", "be", "or", "not"]);
        assert_eq!(telling_words("plan* the plan"), ["plan", "plan"]);
        assert_eq!(telling_words("don't it's"), ["don", "t"], "parts go together");
        assert!(telling_words("?!").is_empty());
        assert_eq!(terms("what is it", true).len(), 3);
    }

    #[test]
    fn of_a_long_question_the_longest_words_count_in_their_order() {
        let long: Vec<String> = (0..WORDS_MAX).map(|n| format!("telling{n:02}")).collect();
        let question = format!("short {} brief", long.join(" "));
        assert_eq!(telling_words(&question), long);
        assert_eq!(terms(&question, true).len(), WORDS_MAX + 2);
    }
}
