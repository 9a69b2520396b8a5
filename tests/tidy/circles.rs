//! No two files of a layer import each other in a circle.
//!
//! A path that starts with `crate`, `super`, `self` or the name of an imported module is followed to the file that
//! defines what it names. So a name that a `mod.rs` only re-exports leads past the `mod.rs`, and the re-export itself
//! is no import.

use super::{Source, report, sources};
use std::collections::{BTreeMap, BTreeSet};

/// A path in a `use`, or in the middle of code: its segments, and the name it has in the file.
#[derive(Clone, Debug, PartialEq)]
struct Import {
    path: Vec<String>,
    name: String,
    exported: bool,
}

struct Module<'a> {
    source: &'a Source,
    /// The segments of its path, from the layer down.
    path: Vec<String>,
    imports: Vec<Import>,
    /// The code without its `use` statements.
    rest: String,
}

/// From one file to another, with one of the names that are imported.
type Edges = BTreeMap<(usize, usize), String>;

fn module_path(file: &str) -> Vec<String> {
    let inner = file.strip_prefix("src/").unwrap_or(file);
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    inner.split('/').map(str::to_owned).collect()
}

/// Splits at the commas that stand in no braces.
fn parts(list: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&list[start..]);
    found.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Adds each leaf of one tree of a `use`.
fn leaves(tree: &str, before: &[String], exported: bool, found: &mut Vec<Import>) {
    let (head, group) = match tree.split_once('{') {
        Some((head, rest)) => (head, rest.rsplit_once('}').map(|(group, _)| group)),
        None => (tree, None),
    };
    let (head, alias) = head.split_once(" as ").map_or((head, None), |(h, a)| (h, Some(a.trim())));
    let mut path = before.to_vec();
    path.extend(head.split("::").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned));
    if let Some(group) = group {
        for part in parts(group) {
            leaves(part, &path, exported, found);
        }
        return;
    }
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    let name = alias.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
    found.push(Import { path, name, exported });
}

/// The imports of `use` statements, and the code without these.
fn imports(code: &str) -> (Vec<Import>, String) {
    let (mut found, mut rest) = (Vec::new(), String::new());
    let mut statement: Option<(String, bool)> = None;
    for line in code.lines() {
        let open = statement.take().or_else(|| {
            let line = line.trim_start();
            let visible = line.strip_prefix("pub").map(|after| match after.split_once(')') {
                Some((scope, after)) if scope.starts_with('(') => after.trim_start(),
                _ => after.trim_start(),
            });
            let starts = visible.unwrap_or(line).starts_with("use ");
            starts.then(|| (String::new(), visible.is_some()))
        });
        let Some((mut text, exported)) = open else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        text.push_str(line.trim());
        text.push(' ');
        match text.split_once(';') {
            Some((whole, _)) => {
                let tree = whole.split_once("use ").map_or(whole, |(_, tree)| tree);
                leaves(tree, &[], exported, &mut found);
            }
            None => statement = Some((text, exported)),
        }
    }
    (found, rest)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every path of two or more segments in code that has no `use`.
fn paths(code: &str) -> BTreeSet<Vec<String>> {
    let pieces = code.split(|c: char| !(is_word(c) || c == ':'));
    let split = pieces.filter(|piece| piece.contains("::")).map(|piece| {
        piece.split("::").map(|s| s.trim_matches(':').to_owned()).take_while(|s| !s.is_empty())
    });
    split.map(Iterator::collect).filter(|path: &Vec<String>| path.len() > 1).collect()
}

fn defines(code: &str, name: &str) -> bool {
    let kinds =
        ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules!"];
    kinds.iter().any(|kind| {
        let wanted = format!("{kind} {name}");
        code.match_indices(&wanted).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + wanted.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    })
}

struct Graph<'a> {
    modules: Vec<Module<'a>>,
}

impl<'a> Graph<'a> {
    fn new(sources: &'a [Source]) -> Self {
        let module = |source: &'a Source| {
            let (imports, rest) = imports(&source.code);
            Module { source, path: module_path(&source.path), imports, rest }
        };
        Graph { modules: sources.iter().map(module).collect() }
    }

    fn find(&self, path: &[String]) -> Option<usize> {
        self.modules.iter().position(|module| module.path == path)
    }

    fn has_children(&self, at: usize) -> bool {
        let path = &self.modules[at].path;
        self.modules.iter().any(|m| m.path.len() > path.len() && m.path.starts_with(path))
    }

    /// Makes a path start at the crate. `None` for other crates.
    fn absolute(&self, from: usize, path: &[String]) -> Option<Vec<String>> {
        let module = &self.modules[from];
        let mut base = module.path.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                let child: Vec<_> = base.iter().cloned().chain([first.to_owned()]).collect();
                if self.find(&child).is_none() {
                    let import = module.imports.iter().find(|import| import.name == first)?;
                    let to = import.path.first().filter(|head| *head != first)?;
                    let known = ["crate", "super", "self"].contains(&to.as_str());
                    base = known.then(|| self.absolute(from, &import.path))??;
                    rest = &rest[1..];
                }
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The file that defines what a path names. `None` for a folder, for other crates, and for what cannot be found.
    fn target(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        let path = self.absolute(from, path)?;
        let long = (1..=path.len()).rev().find_map(|n| Some((n, self.find(&path[..n])?)));
        let (n, at) = long?;
        let Some(item) = path.get(n) else {
            return (!self.has_children(at)).then_some(at);
        };
        let module = &self.modules[at];
        if depth == 0 || item == "*" || defines(&module.rest, item) {
            return Some(at);
        }
        let exported = module.imports.iter().find(|import| import.exported && import.name == *item);
        match exported {
            Some(import) => self.target(at, &import.path, depth - 1),
            // What a macro defines stands nowhere by name.
            None => Some(at),
        }
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (from, module) in self.modules.iter().enumerate() {
            let root = self.has_children(from);
            let used = module.imports.iter().filter(|import| !(root && import.exported));
            let used = used.map(|import| import.path.clone());
            for path in used.chain(paths(&module.rest)) {
                let to = self.target(from, &path, 8).filter(|to| *to != from);
                let same = |to: &usize| self.modules[*to].source.layer == module.source.layer;
                if let Some(to) = to.filter(same) {
                    edges.entry((from, to)).or_insert_with(|| path.join("::"));
                }
            }
        }
        edges
    }

    /// The sets of files that reach one another, each with the imports inside.
    fn circles(&self) -> Vec<String> {
        let edges = self.edges();
        let count = self.modules.len();
        let reach: Vec<BTreeSet<usize>> = (0..count)
            .map(|start| {
                let (mut seen, mut todo) = (BTreeSet::new(), vec![start]);
                while let Some(from) = todo.pop() {
                    let next = edges.range((from, 0)..(from + 1, 0)).map(|((_, to), _)| *to);
                    todo.extend(next.filter(|to| seen.insert(*to)));
                }
                seen
            })
            .collect();
        let mut circles = BTreeSet::new();
        for start in (0..count).filter(|start| reach[*start].contains(start)) {
            let back = reach[start].iter().copied().filter(|to| reach[*to].contains(&start));
            circles.insert(back.collect::<Vec<_>>());
        }
        let told = |files: Vec<usize>| {
            let inside = |from: &usize, to: &usize| files.contains(from) && files.contains(to);
            let imports = edges.iter().filter(|((from, to), _)| inside(from, to));
            let lines: Vec<String> = imports
                .map(|((from, to), path)| {
                    let [from, to] = [from, to].map(|at| &self.modules[*at].source.path);
                    format!("    {from} -> {to} ({path})")
                })
                .collect();
            format!("{} files in a circle\n{}", files.len(), lines.join("\n"))
        };
        circles.into_iter().map(told).collect()
    }
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let sources = sources();
    report("imports in a circle", Graph::new(&sources).circles());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, code): &(&str, &str)| Source {
            path: (*path).to_owned(),
            layer: path.split('/').nth(1).unwrap().replace(".rs", ""),
            text: (*code).to_owned(),
            code: (*code).to_owned(),
        };
        let sources: Vec<Source> = files.iter().map(source).collect();
        Graph::new(&sources).circles()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let a = ("src/x/a.rs", "use super::{\n    b::{B, C},\n};\npub struct A;\n");
        let b = ("src/x/b.rs", "pub struct B;\npub fn b() -> crate::x::a::A {}\n");
        assert_eq!(
            circles_of(&[a, b, ("src/x/mod.rs", "mod a;\nmod b;\n")]),
            ["2 files in a circle\n    src/x/a.rs -> src/x/b.rs (super::b::B)\n    \
              src/x/b.rs -> src/x/a.rs (crate::x::a::A)"]
        );
        let one_way = ("src/x/b.rs", "pub struct B;\n");
        assert!(circles_of(&[a, one_way]).is_empty());
    }

    #[test]
    fn a_circle_through_a_reexport_or_an_imported_module_is_found() {
        let root = ("src/x/mod.rs", "mod a;\nmod b;\npub use b::{B as Bee};\n");
        let a = ("src/x/a.rs", "use super::Bee;\npub fn a() {}\n");
        let b = ("src/x/b.rs", "use super::a;\npub struct B;\nfn b() { a::a() }\n");
        assert_eq!(circles_of(&[root, a, b]).len(), 1);
        // The re-export alone makes none.
        assert!(
            circles_of(&[root, ("src/x/a.rs", "use super::Bee;\n"), ("src/x/b.rs", "")]).is_empty()
        );
    }

    #[test]
    fn what_a_mod_rs_defines_counts_for_a_circle() {
        let root = ("src/x/mod.rs", "mod a;\nuse a::A;\npub struct Root(A);\n");
        let a = ("src/x/a.rs", "use super::Root;\npub struct A;\n");
        assert_eq!(circles_of(&[root, a]).len(), 1);
    }
}
