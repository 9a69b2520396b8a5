//! The part of a text that shows best why it was found.

use crate::snapshot::words;
use std::collections::VecDeque;

/// The length of a snippet, in characters.
const SNIPPET_CHARS: usize = 400;

/// A part of a text between two spaces that has words of the question.
#[derive(Debug)]
struct Match {
    /// Where it begins and ends, in characters.
    start: usize,
    end: usize,
    /// The words that it has: a bit for each by its number.
    words: u64,
}

/// Returns the part of a text that has the most of the words, or all of the text if it has at most 800 characters.
///
/// A word counts once, and the less the more often the text has it: such a word tells little about one part. Of equal parts
/// the first is taken.
pub(super) fn snippet(content: &str, asked: &[String]) -> String {
    let length = content.chars().count();
    if length <= 2 * SNIPPET_CHARS {
        return content.to_owned();
    }
    let (from, to) = best_span(&matches(content, asked));
    let spare = SNIPPET_CHARS.saturating_sub(to - from);
    let start = from.saturating_sub(spare / 2).min(length - SNIPPET_CHARS);
    let middle: String = content.chars().skip(start).take(SNIPPET_CHARS).collect();
    let (left, right) = (start > 0, start + SNIPPET_CHARS < length);
    format!("{}{middle}{}", if left { "…" } else { "" }, if right { "…" } else { "" })
}

/// Tells whether a word matches a word of the question. A longer word counts too, because `plan*` asks for those; for a
/// snippet that is exact enough.
pub(super) fn fits(word: &str, asked: &str) -> bool {
    word.starts_with(asked)
}

/// Returns the parts of a text that have words of the question.
fn matches(content: &str, asked: &[String]) -> Vec<Match> {
    let (mut found, mut start) = (Vec::new(), 0);
    for part in content.split(char::is_whitespace) {
        let end = start + part.chars().count();
        let has = words(part);
        let fitting = |asked: &String| has.iter().any(|word| fits(word, asked));
        // A question has at most 32 words that count.
        let bits = asked.iter().take(64).enumerate();
        let words = bits.filter(|(_, asked)| fitting(asked)).fold(0, |bits, (n, _)| bits | 1 << n);
        if words != 0 {
            found.push(Match { start, end, words });
        }
        start = end + 1;
    }
    found
}

/// Returns the span of the matches that weigh most and fit into a snippet, in characters: the beginning of the text if there
/// is none.
fn best_span(matches: &[Match]) -> (usize, usize) {
    let has = |words: u64, n: usize| words >> n & 1 == 1;
    let count = |n| matches.iter().filter(|one| has(one.words, n)).count();
    let weights: Vec<f64> = (0..64).map(|n| 1.0 / (1 + count(n)) as f64).collect();
    let weight = |words| {
        let bits = weights.iter().enumerate().filter(|(n, _)| has(words, *n));
        bits.map(|(_, weight)| weight).sum::<f64>()
    };
    let (mut best, mut best_weight) = ((0, 0), 0.0);
    let mut window: VecDeque<&Match> = VecDeque::new();
    for last in matches {
        window.push_back(last);
        while window.len() > 1
            && window.front().is_some_and(|first| last.end - first.start > SNIPPET_CHARS)
        {
            window.pop_front();
        }
        let all = window.iter().fold(0, |words, one| words | one.words);
        let total = weight(all);
        if total > best_weight {
            (best, best_weight) = ((tight_start(&window, all), last.end), total);
        }
    }
    best
}

/// Returns the start of the shortest end of a window that has all of its words.
fn tight_start(window: &VecDeque<&Match>, all: u64) -> usize {
    let mut words = 0;
    let mut from_end = window.iter().rev();
    let first = from_end.find(|one| {
        words |= one.words;
        words == all
    });
    first.map_or(0, |first| first.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content: &str, question: &str) -> String {
        snippet(content, &words(question))
    }

    #[test]
    fn snippet_has_the_passage_with_the_most_words() {
        let filler = "Nothing of note was said about the garden. ".repeat(20);
        let passage = "We rotate the signing keys every ninety days.";
        let text = format!("Keys are kept in a box. {filler}{passage} {filler}Keys again.");
        let found = shown(&text, "rotate signing keys");
        assert!(found.contains(passage), "{found}");
        assert!(found.starts_with('…') && found.ends_with('…'), "{found}");
        assert_eq!(found.chars().count(), SNIPPET_CHARS + 2);
    }

    #[test]
    fn rare_words_of_the_text_weigh_more_than_frequent_ones() {
        let filler = "The server of the garden stands in a room of the garden. ".repeat(20);
        let text = format!("{filler}Its port is 8080. {filler}");
        assert!(shown(&text, "server garden port").contains("port is 8080"));
    }

    #[test]
    fn snippets_begin_and_end_with_the_text() {
        let filler = "é ".repeat(500);
        let found = shown(&format!("first {filler}"), "first");
        assert!(found.starts_with("first é") && found.ends_with('…'), "{found}");
        let found = shown(&format!("{filler}last"), "last");
        assert!(found.starts_with('…') && found.ends_with("é last"), "{found}");
        assert_eq!(shown("short text", "text"), "short text");
        let found = shown(&filler, "absent");
        assert!(found.starts_with('é') && found.ends_with('…'), "{found}");
        let long = format!("{filler}{} {filler}", "word".repeat(200));
        assert!(shown(&long, "wordword").contains("…wordword"), "a part longer than a snippet");
    }
}
