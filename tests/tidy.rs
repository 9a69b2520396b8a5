//! The house rules that no compiler checks: imports point one way, side effects live in few places, functions
//! and files are short, prose is plain, and the documents name what exists.
//!
//! Each exception stands in a list here, with its reason. A list that has an entry which is not needed any
//! more fails too.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/examples.rs"]
mod examples;
#[path = "tidy/prose.rs"]
mod prose;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up: a layer may use those before it in this list, and itself.
const LAYERS: [&str; 12] = [
    "sync", "format", "fs", "segment", "snapshot", "store", "merge", "palace", "memory", "mcp",
    "cli", "bin",
];

/// Imports that the order would allow and the design does not. (`fs` uses one thing of `format`, which
/// knows nothing of files: the parser of hex digits.)
const NOT_EITHER: [(&str, &str); 4] =
    [("segment", "snapshot"), ("merge", "fs"), ("merge", "store"), ("merge", "snapshot")];

/// Crates that only some layers may name, and why one that is not their home may.
const HOMES: [(&str, &[&str]); 8] = [
    // `palace` hands Automerge's transaction to whoever edits, through the re-export of `merge`.
    ("automerge::", &["merge", "palace"]),
    // `memory` reads the databases of MemPalace.
    ("rusqlite", &["snapshot", "memory"]),
    // The MCP server moves the real standard output out of the way of whatever else prints; the demo kills
    // a server.
    ("rustix", &["fs", "mcp", "cli"]),
    ("notify::", &["palace"]),
    ("clap", &["cli", "bin"]),
    ("indicatif", &["cli"]),
    // Types of `memory` are also arguments of tools: they derive the schema that rmcp re-exports.
    ("rmcp", &["mcp", "cli", "memory"]),
    ("tokio", &["mcp", "cli", "bin"]),
];

/// Files that touch files without going through `fs`, and why.
const STD_FS: [(&str, &str); 2] = [
    ("src/snapshot/open.rs", "SQLite opens the file itself, and the header is checked before"),
    ("src/snapshot/connect.rs", "SQLite opens the file itself, and only if it is the same file"),
];

const FILE_LINES: usize = 420;
const FUNCTION_LINES: usize = 70;

struct Source {
    /// Relative to the repository.
    path: String,
    layer: String,
    /// As it is.
    text: String,
    /// Without its test module, comments and the insides of strings; the lines are the same.
    code: String,
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(under: &str, extension: &str) -> Vec<PathBuf> {
    let (mut found, mut todo) = (Vec::new(), vec![repository().join(under)]);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned()
}

/// The crate without its tests.
fn sources() -> Vec<Source> {
    let of = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = relative(&path);
        let part = path.split('/').nth(1).unwrap();
        let layer = part.strip_suffix(".rs").unwrap_or(part).to_owned();
        let code = plain(text.split("\n#[cfg(test)]\nmod tests {").next().unwrap());
        Source { path, layer, text, code }
    };
    let tests = |path: &Path| {
        let name = relative(path);
        name.contains("/tests/") || name.ends_with("/tests.rs") || name.ends_with("_tests.rs")
    };
    let found: Vec<_> = files("src", "rs").into_iter().filter(|p| !tests(p)).map(of).collect();
    assert!(found.len() > 40, "the sources were not found");
    found
}

/// Blanks comments and the insides of strings and characters, and keeps every line break.
fn plain(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    let blank = |out: &mut String, part: &str| {
        out.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    };
    while let Some(first) = rest.chars().next() {
        let after = out.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' || (!after && (rest.starts_with("b\"") || rest.starts_with("c\""))) {
            string_length(rest)
        } else if !after && (rest.starts_with("r\"") || rest.starts_with("r#")) {
            let marks = rest[1..].chars().take_while(|c| *c == '#').count();
            let end = format!("\"{}", "#".repeat(marks));
            let start = marks + 2;
            rest.get(start..).and_then(|r| r.find(&end)).map_or(1, |at| start + at + end.len())
        } else if first == '\'' {
            character_length(rest)
        } else {
            0
        };
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            blank(&mut out, &rest[..length]);
            rest = &rest[length..];
        }
    }
    out
}

fn string_length(text: &str) -> usize {
    let start = text.find('"').unwrap() + 1;
    let mut escaped = false;
    for (at, c) in text[start..].char_indices() {
        match c {
            '"' if !escaped => return start + at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// 0 for a lifetime.
fn character_length(text: &str) -> usize {
    let mut inside = text[1..].char_indices();
    match inside.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |at| at + 4),
        Some((_, _)) => match inside.next() {
            Some((at, '\'')) => at + 2,
            _ => 0,
        },
        None => 0,
    }
}

/// Line numbers count from 1.
fn lines_with<'a>(code: &'a str, wanted: &'a str) -> impl Iterator<Item = usize> + 'a {
    let lines = code.lines().enumerate();
    lines.filter(move |(_, line)| has_word(line, wanted)).map(|(n, _)| n + 1)
}

/// Whether `line` holds `wanted` with no letter or digit before it.
fn has_word(line: &str, wanted: &str) -> bool {
    let starts = line.match_indices(wanted);
    let mut before = starts.map(|(at, _)| line[..at].chars().next_back());
    before.any(|c| !c.is_some_and(|c| c.is_alphanumeric() || c == '_'))
}

fn report(what: &str, wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

/// Every offender must be in the list, and every entry of the list an offender.
fn report_except(what: &str, wrong: &[(String, String)], except: &[(&str, &str)]) {
    let excused = |place: &str| except.iter().any(|(name, _)| place.starts_with(name));
    let bad = wrong.iter().filter(|(place, _)| !excused(place));
    let mut all: Vec<String> = bad.map(|(place, why)| format!("{place}: {why}")).collect();
    for (name, reason) in except {
        if !wrong.iter().any(|(place, _)| place.starts_with(name)) {
            all.push(format!("{name} needs no exception any more ({reason})"));
        }
    }
    report(what, all);
}

#[test]
fn imports_point_down_the_list_of_layers() {
    let rank = |layer: &str| LAYERS.iter().position(|l| *l == layer);
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| s.layer != "lib") {
        let own = rank(&source.layer);
        assert!(own.is_some(), "{} is in no layer", source.path);
        for layer in LAYERS {
            let up = rank(layer) > own || NOT_EITHER.contains(&(source.layer.as_str(), layer));
            for from in ["crate", "crdt_palace"] {
                let import = format!("{from}::{layer}");
                let named = |line: &str| {
                    line.match_indices(&import).any(|(at, _)| {
                        let next = line[at + import.len()..].chars().next();
                        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
                    })
                };
                let hits = source.code.lines().enumerate().filter(|(_, line)| up && named(line));
                wrong.extend(hits.map(|(n, _)| format!("{}:{} uses {layer}", source.path, n + 1)));
            }
        }
        // `use crate::{a, b}` would slip past the check above.
        let grouped = lines_with(&source.code, "crate::{");
        wrong.extend(grouped.map(|n| format!("{}:{n} names layers in braces", source.path)));
    }
    report("imports that point up", wrong);
}

#[test]
fn crates_are_used_where_they_are_at_home() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, homes) in HOMES {
            if !homes.contains(&source.layer.as_str()) {
                let hits = lines_with(&source.code, name);
                wrong.extend(hits.map(|n| format!("{}:{n} names {name}", source.path)));
            }
        }
    }
    report("crates away from home", wrong);
}

#[test]
fn files_are_touched_in_fs_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        // The surfaces read arguments, settings and the standard streams.
        if ["fs", "cli", "mcp", "bin"].contains(&source.layer.as_str()) {
            continue;
        }
        for name in ["std::fs", "std::os::", "std::net", "std::env"] {
            let hits = lines_with(&source.code, name);
            let place = |n| (format!("{}:{n}", source.path), format!("uses {name}"));
            wrong.extend(hits.map(place));
        }
    }
    report_except("system calls outside fs", &wrong, &STD_FS);
}

#[test]
fn only_the_surfaces_print() {
    let mut wrong = Vec::new();
    for source in sources() {
        let prints = ["cli", "bin"].contains(&source.layer.as_str());
        for name in ["println!", "print!", "eprintln!", "eprint!"].into_iter().filter(|_| !prints) {
            let hits = lines_with(&source.code, name);
            wrong.extend(hits.map(|n| format!("{}:{n} {name}", source.path)));
        }
    }
    report("prints", wrong);
}

#[test]
fn every_module_says_what_it_owns() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    report("no //! at the top", silent.map(|source| source.path).collect());
}

#[test]
fn nothing_is_left_for_later_and_nothing_panics_on_purpose() {
    let banned = [
        "todo!",
        "unimplemented!",
        "unreachable!",
        "dbg!",
        "panic!",
        "unsafe ",
        ".unwrap()",
        ".expect(",
        "FIXME",
        "XXX",
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        for (n, line) in source.code.lines().enumerate() {
            let found = banned.iter().filter(|word| line.contains(**word));
            wrong.extend(found.map(|word| format!("{}:{}: {word}", source.path, n + 1)));
        }
        let notes = source.text.lines().enumerate().filter(|(_, line)| {
            ["TODO", "FIXME", "XXX", "HACK"].iter().any(|word| line.contains(word))
        });
        wrong.extend(notes.map(|(n, line)| format!("{}:{}: {line}", source.path, n + 1)));
    }
    report("left for later, or a panic", wrong);
}

#[test]
fn a_result_that_is_thrown_away_has_a_reason_above_it() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for n in lines_with(&source.code, "let _ =") {
            let above = n.checked_sub(2).and_then(|n| lines.get(n)).unwrap_or(&"");
            if !above.trim_start().starts_with("//") {
                wrong.push(format!("{}:{n}", source.path));
            }
        }
    }
    report("`let _ =` without a comment on the line above", wrong);
}

/// The lines of each function with a body, in order: where it starts, and how many.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let is_fn = |line: &str| has_word(line, "fn ") && line.contains('(');
    let starts = (0..lines.len()).filter(|n| is_fn(lines[*n]));
    starts.filter_map(|start| Some((start + 1, body_lines(&lines[start..])?))).collect()
}

/// `None` for a declaration without a body.
fn body_lines(lines: &[&str]) -> Option<usize> {
    let (mut depth, mut nested) = (0i32, 0i32);
    for (n, line) in lines.iter().enumerate() {
        let from = if n == 0 { line.find("fn ")? } else { 0 };
        for c in line[from..].chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => return Some(n + 1),
                '}' => depth -= 1,
                '(' | '[' if depth == 0 => nested += 1,
                ')' | ']' if depth == 0 => nested -= 1,
                ';' if depth == 0 && nested == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

#[test]
fn functions_are_short() {
    let (mut wrong, mut lengths) = (Vec::new(), Vec::new());
    for source in sources() {
        for (start, length) in functions(&source.code) {
            lengths.push(length);
            if length > FUNCTION_LINES {
                wrong.push(format!("{}:{start} has {length} lines", source.path));
            }
        }
    }
    report("functions over the limit", wrong);
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(lengths.len() > 400, "only {} functions were found", lengths.len());
    assert!(median <= 10, "half of the functions have more than {median} lines");
}

#[test]
fn a_file_is_one_idea() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.code.lines().count();
        if lines > FILE_LINES {
            wrong.push(format!("{}: {lines} lines without its tests", source.path));
        }
    }
    report("long files", wrong);
}

/// What stands between single backticks, outside of fenced blocks.
fn quoted(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in page.split("```").step_by(2) {
        for line in part.lines() {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

fn is_name(word: &str) -> bool {
    let parts: Vec<&str> = word.split('_').collect();
    let part =
        |p: &&str| !p.is_empty() && p.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    parts.len() >= 3 && parts.iter().all(part)
}

/// A name in backticks of three or more words joined by `_` is a test, a function or a field; a path under
/// src/, tests/, docs/, examples/ or benches/ is a file. Each must exist.
#[test]
fn documents_name_what_exists() {
    let mut pages = files("docs", "md");
    pages.push(repository().join("README.md"));
    let mut names: BTreeSet<String> = BTreeSet::new();
    for folder in ["src", "tests", "examples", "benches"] {
        for path in files(folder, "rs") {
            let text = fs::read_to_string(path).unwrap();
            let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            names.extend(words.filter(|word| is_name(word)).map(str::to_owned));
        }
    }
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages.iter().filter(|page| page.exists()) {
        let text = fs::read_to_string(page).unwrap();
        for word in quoted(&text) {
            let folders = ["src/", "tests/", "docs/", "examples/", "benches/"];
            let path = folders.iter().any(|folder| word.starts_with(folder)) && !word.contains(' ');
            let missing = (path && !word.contains('*') && !repository().join(&word).exists())
                || (is_name(&word) && !names.contains(&word));
            seen += usize::from(path || is_name(&word));
            if missing {
                wrong.push(format!("{}: {word}", relative(page)));
            }
        }
    }
    report("documents name what does not exist", wrong);
    assert!(seen > 30, "only {seen} names were found in the documents");
}

/// The folders of these files that a page does not name in backticks.
fn unnamed<'a>(paths: impl Iterator<Item = &'a str>, page: &str) -> BTreeSet<String> {
    let folders = paths.filter_map(|path| path.rsplit_once('/')).map(|(folder, _)| folder);
    let unnamed = folders.filter(|folder| !page.contains(&format!("`{folder}`")));
    unnamed.filter(|folder| *folder != "src").map(str::to_owned).collect()
}

#[test]
fn the_map_names_every_room() {
    let page = fs::read_to_string(repository().join("docs/ARCHITECTURE.md")).unwrap();
    let sources = sources();
    let missing = unnamed(sources.iter().map(|source| source.path.as_str()), &page);
    report("rooms that the map in docs/ARCHITECTURE.md lacks", missing.into_iter().collect());
}

#[test]
fn these_checks_can_fail() {
    let code = plain("fn a() { \"}\" } // {\nfn b(x: &'a str) -> char {\n    '}'\n}\n");
    assert_eq!(functions(&code), [(1, 1), (2, 3)]);
    assert_eq!(functions("fn c(\n    x: [u8; 2],\n);\nfn d()\n{\n}\n"), [(4, 3)]);
    assert!(!plain("let x = r#\"todo!\"#; // todo!").contains("todo!"));
    assert!(has_word("use std::fs;", "std::fs") && !has_word("xstd::fs", "std::fs"));
    assert!(is_name("a_name_here") && !is_name("two_words") && !is_name("Some_Other_Name"));
    assert_eq!(quoted("a `b` c\n```\n`d`\n```\n`e`"), ["b", "e"]);
    let paths = ["src/lib.rs", "src/a/mod.rs", "src/a/b/c.rs"];
    assert_eq!(unnamed(paths.into_iter(), "| `src/a` |"), BTreeSet::from(["src/a/b".to_owned()]));
}
