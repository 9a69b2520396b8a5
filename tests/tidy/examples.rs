//! What the documentation shows has an example that runs.
//!
//! Shown is what stands in a module that is public and not hidden, or is re-exported there. A method may
//! do without an example of its own if the one of its type uses it.

use super::{Source, report, sources};
use std::collections::{BTreeMap, BTreeSet};

/// The layer that defines something, and its name: no layer shows two things of one name.
type Item = (String, String);

/// The modules that the documentation shows, from `src/lib.rs` down.
fn shown_modules(sources: &[Source]) -> Vec<&Source> {
    let (mut shown, mut todo) = (Vec::new(), vec!["src/lib.rs".to_owned()]);
    while let Some(path) = todo.pop() {
        let source = sources.iter().find(|source| source.path == path);
        let source = source.unwrap_or_else(|| panic!("{path} was not found"));
        let folder = match path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix("/lib.rs")) {
            Some(folder) => folder.to_owned(),
            None => path.strip_suffix(".rs").unwrap().to_owned(),
        };
        let lines: Vec<&str> = source.text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let name = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'));
            if let Some(name) = name.filter(|_| !is_hidden(&above(&lines, n))) {
                let paths = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
                let is_there = |path: &&String| sources.iter().any(|source| source.path == **path);
                todo.extend(paths.iter().find(is_there).cloned());
            }
        }
        shown.push(source);
    }
    shown
}

/// What the documentation shows of these modules.
fn shown_items(modules: &[&Source]) -> BTreeSet<Item> {
    let mut shown = BTreeSet::new();
    for module in modules {
        let names = module.text.lines().filter_map(defined);
        shown.extend(names.map(|name| (module.layer.clone(), name.to_owned())));
        for used in module.code.split("\npub use ").skip(1) {
            let path = used.split(';').next().unwrap();
            let layer = path.strip_prefix("crate::").and_then(|path| path.split("::").next());
            let names = path.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            let of_layer =
                |name: &str| (layer.unwrap_or(&module.layer).to_owned(), name.to_owned());
            shown.extend(names.map(of_layer));
        }
    }
    shown
}

fn word(text: &str) -> &str {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or("")
}

/// What a line at the margin defines, if it needs an example: for constants and aliases a sentence is
/// enough. The names of ids stand alone, in calls of a macro.
fn defined(line: &str) -> Option<&str> {
    let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub fn "];
    let id =
        || line.strip_prefix("    ").filter(|name| name.ends_with("Id") && word(name) == *name);
    kinds.iter().find_map(|kind| line.strip_prefix(kind)).map(word).or_else(id)
}

/// The type that an inherent `impl` at the margin is for.
fn implemented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("impl")?;
    let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest.trim_start() };
    (!rest.contains(" for ")).then(|| word(rest))
}

/// The comment and the attributes of the item in line `n`.
fn above<'a>(lines: &[&'a str], n: usize) -> Vec<&'a str> {
    let ours = |line: &&&str| {
        let line = line.trim_start();
        line.starts_with("///") || line.starts_with("#[") || line.ends_with("]")
    };
    let mut found: Vec<_> = lines[..n].iter().rev().take_while(ours).copied().collect();
    found.reverse();
    found
}

fn is_hidden(above: &[&str]) -> bool {
    above.iter().any(|line| line.trim() == "#[doc(hidden)]")
}

/// The code in a comment that is compiled, run, and checks something.
fn example(above: &[&str]) -> Option<String> {
    let text: Vec<&str> =
        above.iter().filter_map(|line| line.trim_start().strip_prefix("///")).collect();
    let text = text.join("\n");
    let blocks = text.split("```").skip(1).step_by(2);
    let runs = blocks.filter(|block| block.starts_with('\n') && block.contains("assert"));
    Some(runs.collect::<String>()).filter(|code| !code.is_empty())
}

fn uses(example: &str, method: &str) -> bool {
    [".", "::"].iter().any(|before| {
        let call = format!("{before}{method}");
        let mut after = example.match_indices(&call).map(|(at, _)| &example[at + call.len()..]);
        after.any(|rest| rest.starts_with('(') || rest.starts_with("::<"))
    })
}

/// Where an example is missing, and how many items need one.
fn missing(sources: &[Source]) -> (Vec<String>, usize) {
    let shown = shown_items(&shown_modules(sources));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let mut of_types: BTreeMap<Item, String> = BTreeMap::new();
    let mut methods = Vec::new();
    for source in sources {
        let lines: Vec<&str> =
            source.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap().lines().collect();
        let item = |name: &str| {
            Some((source.layer.clone(), name.to_owned())).filter(|i| shown.contains(i))
        };
        let mut of = None;
        for (n, line) in lines.iter().enumerate() {
            let place = |name: &str| format!("{}:{} {name}", source.path, n + 1);
            if line.starts_with("impl") {
                of = implemented(line).and_then(item);
            }
            let method = line.strip_prefix("    pub fn ").map(word);
            let above = above(&lines, n);
            if is_hidden(&above) {
                continue;
            }
            if let (Some(name), Some(of)) = (method, &of) {
                seen += 1;
                methods.push((of.clone(), name.to_owned(), example(&above), place(name)));
            } else if let Some(item) = defined(line).and_then(item) {
                seen += 1;
                match example(&above) {
                    Some(code) => drop(of_types.insert(item, code)),
                    None => wrong.push(place(&item.1)),
                }
            }
        }
    }
    let of_type = |(of, name): (&Item, &str)| of_types.get(of).is_some_and(|code| uses(code, name));
    let bare =
        methods.into_iter().filter(|(of, name, own, _)| own.is_none() && !of_type((of, name)));
    wrong.extend(bare.map(|(.., place)| place));
    wrong.sort();
    (wrong, seen)
}

#[test]
fn what_the_documentation_shows_has_an_example_that_runs() {
    let (wrong, seen) = missing(&sources());
    report("no example that runs and asserts", wrong);
    assert!(seen > 100, "only {seen} items were found");
}

#[test]
fn a_missing_example_is_found() {
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        layer: path.split('/').nth(1).unwrap().replace(".rs", ""),
        text: text.to_owned(),
        code: text.to_owned(),
    };
    let sources = [
        source("src/lib.rs", "//! A crate.\npub mod a;\n#[doc(hidden)]\npub mod b;\n"),
        source(
            "src/a.rs",
            "//! A.\n\npub use crate::b::{\n    Used,\n};\n/// A.\n///\n/// ```\n/// assert!(A::new().one());\n\
             /// ```\n#[derive(Debug)]\npub struct A;\nimpl A {\n    /// N.\n    pub fn new() -> A {\n        A\n\
             \x20   }\n    /// O.\n    pub fn one(&self) -> bool {\n        true\n    }\n    /// T.\n    pub fn \
             two() {}\n    pub(crate) fn three() {}\n}\nimpl Drop for A {}\n/// F.\npub fn f() {}\n",
        ),
        source("src/b.rs", "//! B.\n/// U.\npub struct Used;\n/// U.\npub struct Unused;\n"),
    ];
    let (wrong, seen) = missing(&sources);
    assert_eq!(wrong, ["src/a.rs:23 two", "src/a.rs:28 f", "src/b.rs:3 Used"]);
    assert_eq!(seen, 6);
}
