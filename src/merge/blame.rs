//! Finds the change that each line of a document's text is from.
//!
//! A line that stands in the version before a change is not from it. A line that a change brought in is. Where several
//! versions were merged, a line is from the first of them that has it. A line that no single one of them has was put
//! together from several by the merge; it counts for the newest.
//!
//! Invariant: each version is compared once, from the newest to the oldest, so the time is that of reading each version.

use super::change_info::ChangeInfo;
use super::doc::Doc;
use super::error::MergeError;
use super::view::View;
use crate::format::hash::{ChangeHash, Heads};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{BTreeMap, HashMap};

/// A line of a text, and the change that brought it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineOrigin {
    /// The line, without its line break.
    pub line: String,
    /// The change.
    pub change: ChangeHash,
}

/// Lines whose origin is still searched: of each, its number in a version and in the final text.
type Searched = Vec<(usize, usize)>;

/// The position of a version's newest change, and the number of its heads: a version is met after all that build on it.
type Position = (usize, usize, Heads);

struct Blame<'a> {
    doc: &'a Doc,
    text_of: &'a dyn Fn(&View) -> String,
    changes: HashMap<ChangeHash, (usize, ChangeInfo)>,
    todo: BTreeMap<Position, Searched>,
    found: Vec<Option<ChangeHash>>,
}

impl Doc {
    /// Returns the lines of the text that `text_of` makes of the version `heads`, each with the change that it is from.
    ///
    /// # Errors
    /// [`MergeError`] if a version cannot be shown.
    pub fn blame(
        &self,
        heads: &Heads,
        text_of: &dyn Fn(&View) -> String,
    ) -> Result<Vec<LineOrigin>, MergeError> {
        let text = text_of(&self.view_at(heads)?);
        let lines = lines(&text);
        let history = self.history().into_iter().enumerate();
        let changes = history.map(|(at, info)| (info.hash, (at, info))).collect();
        let (todo, found) = (BTreeMap::new(), vec![None; lines.len()]);
        let mut blame = Blame { doc: self, text_of, changes, todo, found };
        blame.search(heads.clone(), (0..lines.len()).map(|n| (n, n)).collect());
        while let Some(((_, _, version), searched)) = blame.todo.pop_last() {
            blame.split(&version, searched)?;
        }
        let origin = |(line, change): (&&str, Option<ChangeHash>)| {
            Some(LineOrigin { line: (*line).to_owned(), change: change? })
        };
        Ok(lines.iter().zip(blame.found).filter_map(origin).collect())
    }
}

impl Blame<'_> {
    fn at(&self, change: &ChangeHash) -> usize {
        self.changes.get(change).map_or(0, |(at, _)| *at)
    }

    fn search(&mut self, version: Heads, lines: Searched) {
        if lines.is_empty() {
            return;
        }
        let newest = version.hashes().iter().map(|head| self.at(head)).max().unwrap_or(0);
        let position = (newest, version.hashes().len(), version);
        self.todo.entry(position).or_default().extend(lines);
    }

    /// Passes the lines of a version on to those before it, and notes the origin of the rest.
    fn split(&mut self, version: &Heads, mut searched: Searched) -> Result<(), MergeError> {
        let newest = version.hashes().iter().max_by_key(|head| self.at(head)).copied();
        let Some(newest) = newest else { return Ok(()) };
        let (befores, is_empty) = match version.hashes() {
            [one] => {
                let info = self.changes.get(one).map(|(_, info)| info);
                let is_empty = info.is_some_and(|info| info.operations == 0);
                (vec![self.doc.before(version)], is_empty)
            }
            several => (several.iter().map(|head| Heads::new(vec![*head])).collect(), false),
        };
        for before in befores.into_iter().filter(|before| !before.is_empty()) {
            // A change without operations, such as a delete, leaves the text as it is.
            let passed = match is_empty {
                true => std::mem::take(&mut searched),
                false => self.pass(version, &before, &mut searched)?,
            };
            self.search(before, passed);
        }
        for (_, line) in searched {
            if let Some(found) = self.found.get_mut(line) {
                *found = Some(newest);
            }
        }
        Ok(())
    }

    /// Takes out the lines that stand in the version before, with their numbers there.
    fn pass(
        &self,
        version: &Heads,
        before: &Heads,
        searched: &mut Searched,
    ) -> Result<Searched, MergeError> {
        let old = (self.text_of)(&self.doc.view_at(before)?);
        let new = (self.text_of)(&self.doc.view_at(version)?);
        let mut same = HashMap::new();
        for op in capture_diff_slices(Algorithm::Histogram, &lines(&old), &lines(&new)) {
            if let DiffOp::Equal { old_index, new_index, len } = op {
                same.extend((0..len).map(|n| (new_index + n, old_index + n)));
            }
        }
        let mut passed = Vec::new();
        searched.retain(|(number, line)| match same.get(number) {
            Some(before) => {
                passed.push((*before, *line));
                false
            }
            None => true,
        });
        Ok(passed)
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::Stamp;
    use serde_json::{Map, json};

    fn put(doc: &mut Doc, n: u8, base: Option<&Heads>, text: &str) -> ChangeHash {
        let value = Map::from_iter([("t".to_owned(), json!(text))]);
        let stamp = Stamp { actor: [n; 16], time_ms: i64::from(n), by: "", undoes: "" };
        doc.put(&stamp, base, &value).unwrap().unwrap().hash
    }

    fn origins(doc: &Doc) -> Vec<(String, ChangeHash)> {
        let text_of =
            |view: &View| view.value.get("t").map_or("", |it| it.as_str().unwrap()).to_owned();
        let lines = doc.blame(&doc.heads(), &text_of).unwrap();
        lines.into_iter().map(|line| (line.line, line.change)).collect()
    }

    #[test]
    fn lines_are_blamed_through_merges() {
        let mut doc = Doc::new();
        let first = put(&mut doc, 1, None, "a\nb\nc\nd");
        let base = doc.heads();
        let second = put(&mut doc, 2, Some(&base), "a2\nb\nc\nd");
        let third = put(&mut doc, 3, Some(&base), "a\nb\nc\nd3\ne3");
        let named = |lines: &[(&str, ChangeHash)]| -> Vec<(String, ChangeHash)> {
            lines.iter().map(|(line, change)| ((*line).to_owned(), *change)).collect()
        };
        let merged = [("a2", second), ("b", first), ("c", first), ("d3", third), ("e3", third)];
        assert_eq!(origins(&doc), named(&merged));
        // A write over the merge leaves the other lines with their writers.
        let fourth = put(&mut doc, 4, None, "a2\nb\nnew\nd3\ne3");
        let after = [("a2", second), ("b", first), ("new", fourth), ("d3", third), ("e3", third)];
        assert_eq!(origins(&doc), named(&after));
    }
}
