//! How the project is written: three figures, of which two have a limit.
//!
//! `cargo test --test tidy prose -- --nocapture` prints them.

use super::{Source, files, functions, relative, report, repository, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Words that a doc comment does not begin with: it says first what a thing is or does.
const OPENINGS: [&str; 8] = ["What", "Whether", "Who", "Whom", "Whose", "How", "Of", "It"];

/// Of a hundred doc comments, so many may begin with one of these words.
const OPENINGS_PERCENT: f64 = 3.0;

/// Words in the longest sentence of a document.
const SENTENCE_WORDS: usize = 35;

/// What the project is, in the same words wherever it is described.
const SELF_DESCRIPTION: &str = "a memory that many AI sessions share: every session starts its own server on the \
                                same directory, and no acknowledged write is lost";

/// Files that describe the project.
const DESCRIBED_IN: [&str; 5] =
    ["README.md", "Cargo.toml", "docs/ARCHITECTURE.md", "src/lib.rs", "src/cli/palace.rs"];

/// The number of doc comments, and line and text of each that begins with one of the words above.
fn doc_comments(text: &str) -> (usize, Vec<(usize, &str)>) {
    let (mut count, mut odd, mut inside) = (0, Vec::new(), "");
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let mark = ["///", "//!"].into_iter().find(|mark| line.starts_with(mark)).unwrap_or("");
        if !mark.is_empty() && mark != inside {
            count += 1;
            let said = line[mark.len()..].trim_start();
            let first = said.split(|c: char| !c.is_alphabetic()).next().unwrap_or("");
            if OPENINGS.contains(&first) {
                odd.push((n + 1, said));
            }
        }
        inside = mark;
    }
    (count, odd)
}

/// The paragraphs of a page, each with the line it starts in: no fenced code, tables, quotations or headings.
fn paragraphs(page: &str) -> Vec<(usize, String)> {
    let (mut found, mut fenced, mut open) = (Vec::<(usize, String)>::new(), false, false);
    for (n, line) in page.lines().enumerate() {
        let text = line.trim_start();
        if text.starts_with("```") {
            fenced = !fenced;
        }
        let is_prose = !fenced && !["```", "|", ">", "#"].iter().any(|mark| text.starts_with(mark));
        if !is_prose || text.is_empty() {
            open = false;
            continue;
        }
        let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = digits.len() < text.len() && digits.starts_with(". ");
        let item = if numbered { Some(&digits[2..]) } else { None };
        let item = item.or_else(|| text.strip_prefix("* ")).or_else(|| text.strip_prefix("- "));
        match found.last_mut() {
            Some((_, last)) if open && item.is_none() => {
                last.push(' ');
                last.push_str(text);
            }
            _ => found.push((n + 1, item.unwrap_or(text).to_owned())),
        }
        open = true;
    }
    found
}

/// A paragraph without Markdown: each piece of code is one word, and of a link its text is left.
fn without_marks(paragraph: &str) -> String {
    let mut text = String::new();
    for (n, part) in paragraph.split('`').enumerate() {
        text.push_str(if n % 2 == 0 { part } else { "CODE" });
    }
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("](") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out.replace(['[', ']', '*'], "")
}

/// Splits where a full stop, a question mark or an exclamation mark stands at the end of a word.
fn sentences(paragraph: &str) -> Vec<String> {
    let (mut found, mut words) = (Vec::new(), Vec::new());
    let text = without_marks(paragraph);
    for word in text.split_whitespace() {
        if word.chars().any(char::is_alphanumeric) {
            words.push(word);
        }
        let bare = word.trim_end_matches([')', '"', '\'']);
        let short = ["e.g.", "i.e.", "vs.", "etc."].contains(&bare);
        if bare.ends_with(['.', '?', '!']) && !short {
            found.push(std::mem::take(&mut words).join(" "));
        }
    }
    found.push(words.join(" "));
    found.retain(|sentence| !sentence.is_empty());
    found
}

/// The sentences of a page that are too long: the line where their paragraph starts, and the text.
fn long_sentences(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, paragraph) in paragraphs(page) {
        let words = |sentence: &String| sentence.split(' ').count();
        let long = sentences(&paragraph).into_iter().filter(|s| words(s) > SENTENCE_WORDS);
        found.extend(long.map(|sentence| (line, sentence)));
    }
    found
}

/// Functions of so many lines have something to explain. Shorter ones say by their names what they do.
const LONG_FUNCTION: usize = 15;

/// Inside functions of at least so many lines: lines with a comment, and lines with code.
fn comments_in_functions(source: &Source, lines: usize) -> (usize, usize) {
    let bodies = functions(&source.code).into_iter().filter(|(_, length)| *length >= lines);
    let inside: BTreeSet<usize> = bodies.flat_map(|(start, n)| start..start + n).collect();
    let (mut comments, mut code) = (0, 0);
    for (n, (text, plain)) in source.text.lines().zip(source.code.lines()).enumerate() {
        if inside.contains(&(n + 1)) {
            // What was blanked after the last code of a line is a comment, or the end of a string.
            let rest = text.get(plain.trim_end().len()..).unwrap_or("").trim_start();
            comments += usize::from(rest.starts_with("//") && !rest.starts_with("///"));
            code += usize::from(!plain.trim().is_empty());
        }
    }
    (comments, code)
}

fn without_tests(source: &Source) -> &str {
    source.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap()
}

fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn folder(path: &str) -> String {
    path.rsplit_once('/').map_or(path, |(folder, _)| folder).to_owned()
}

#[test]
fn doc_comments_begin_with_what_a_thing_is_or_does() {
    let mut folders: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (mut all, mut wrong) = (0, Vec::new());
    for source in sources() {
        let (count, odd) = doc_comments(without_tests(&source));
        let sum = folders.entry(folder(&source.path)).or_default();
        *sum = (sum.0 + count, sum.1 + odd.len());
        all += count;
        wrong.extend(odd.into_iter().map(|(n, line)| format!("{}:{n}: {line}", source.path)));
    }
    let share = percent(wrong.len(), all);
    println!("doc comments that begin with {}: {} of {all}", OPENINGS.join(", "), wrong.len());
    println!("  {share:.1} % in all, less than {OPENINGS_PERCENT} % are allowed");
    for (folder, (count, odd)) in folders {
        println!("  {:5.1} % {odd:4} of {count:4} {folder}", percent(odd, count));
    }
    assert!(all > 1000, "only {all} doc comments were found");
    if share >= OPENINGS_PERCENT {
        report(&format!("{share:.1} % of the doc comments begin with such a word"), wrong);
    }
}

#[test]
fn no_sentence_of_the_documents_is_too_long() {
    let mut pages = files("docs", "md");
    pages.push(repository().join("README.md"));
    let (mut all, mut wrong) = (0, Vec::new());
    println!("sentences over {SENTENCE_WORDS} words, none are allowed:");
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let count = paragraphs(&text).iter().map(|(_, p)| sentences(p).len()).sum::<usize>();
        let long = long_sentences(&text);
        println!("  {:4} of {count:4} {}", long.len(), relative(&page));
        all += count;
        let told = |(n, sentence): (usize, String)| {
            let words = sentence.split(' ').count();
            format!("{}:{n}: {words} words: {sentence}", relative(&page))
        };
        wrong.extend(long.into_iter().map(told));
    }
    assert!(all > 500, "only {all} sentences were found");
    report("sentences that are too long", wrong);
}

#[test]
fn comments_inside_functions_are_found() {
    let mut layers: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut long = (0, 0);
    for source in sources() {
        let (comments, code) = comments_in_functions(&source, LONG_FUNCTION);
        long = (long.0 + comments, long.1 + code);
        let (comments, code) = comments_in_functions(&source, 0);
        let sum = layers.entry(source.layer.clone()).or_default();
        *sum = (sum.0 + comments, sum.1 + code);
    }
    let comments = layers.values().map(|sum| sum.0).sum::<usize>();
    let code = layers.values().map(|sum| sum.1).sum::<usize>();
    println!("comments inside functions in 100 lines of code: {:.1}", percent(comments, code));
    println!("  in functions of {LONG_FUNCTION} lines and more: {:.1}", percent(long.0, long.1));
    for (layer, (comments, code)) in layers {
        println!("  {:4.1} ({comments} in {code}) src/{layer}", percent(comments, code));
    }
    assert!(code > 5000 && comments > 50, "{comments} comments in {code} lines of functions");
}

/// Looks for the self-description in a text, without regard to line breaks, comment marks and the case of its first letter.
fn describes_itself(text: &str) -> bool {
    let words = text.split_whitespace().filter(|word| !["//!", "///"].contains(word));
    words.collect::<Vec<_>>().join(" ").contains(&SELF_DESCRIPTION[1..])
}

#[test]
fn the_self_description_is_the_same_everywhere() {
    let text = |path: &&&str| fs::read_to_string(repository().join(path)).unwrap();
    let other = DESCRIBED_IN.iter().filter(|path| !describes_itself(&text(path)));
    report("files with another self-description", other.map(ToString::to_string).collect());
}

#[test]
fn bad_prose_is_noticed() {
    let comment = SELF_DESCRIPTION.replace("share: every", "share:\n/// every");
    assert!(describes_itself(&comment) && !describes_itself(&SELF_DESCRIPTION.replace("AI", "")));
    let docs = "//! What.\n//! It goes on.\n\n/// Opens it.\n///\n/// Who waits.\nfn a() {}\n/// It's odd.\n/// A.";
    assert_eq!(doc_comments(docs), (3, vec![(1, "What."), (8, "It's odd.")]));
    let long = format!("{}end.", "word ".repeat(SENTENCE_WORDS));
    let right = format!("{}end.", "word ".repeat(SENTENCE_WORDS - 1));
    let page = format!(
        "# {long}\n\nShort one. {long} {right}\n\n| {long} |\n> {long}\n\n```text\n{long}\n```\n\n\
         * {right}\n  `{long}` [short](a b c)\n1. {long}\n"
    );
    let lines: Vec<usize> = long_sentences(&page).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [3, 14]);
    assert_eq!(
        sentences("See `a. b` (v1.5). It is, e.g. this, *one*? No"),
        ["See CODE (v1.5).", "It is, e.g. this, one?", "No"]
    );
    let text = "fn a() {\n    // Why.\n    let b = \"// no\"; // Why.\n    /// Not this.\n    b\n}\n// Outside.\n";
    let source = Source {
        path: "src/a.rs".to_owned(),
        layer: "a".to_owned(),
        text: text.to_owned(),
        code: super::plain(text),
    };
    assert_eq!(comments_in_functions(&source, 0), (2, 4));
}
