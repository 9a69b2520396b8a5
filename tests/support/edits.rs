//! Edits of several clients over one document, and whether all of them are there in the end.
//!
//! An edit is a mark: a word that begins with `~` and stands nowhere else. A mark may go only if a client that has seen
//! it writes the value without it, or if the answer to a write names it as settled.

use super::Dice;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::ops::Range;

/// The marks in all strings of a value.
pub fn marks(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => {
            let words = text.split_whitespace().filter(|word| word.starts_with('~'));
            words.map(str::to_owned).collect()
        }
        Value::Array(items) => items.iter().flat_map(marks).collect(),
        Value::Object(fields) => fields.values().flat_map(marks).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => BTreeSet::new(),
    }
}

/// Adds a mark to a line, in place of the one that is there, or at the end.
pub fn mark_line(lines: &mut Vec<String>, number: usize, mark: &str) {
    match lines.get_mut(number) {
        Some(line) => *line = format!("{} {mark}", line.split(" ~").next().unwrap()),
        None => lines.push(mark.to_owned()),
    }
}

/// Edits, removes or replaces one of three objects that all clients share. What it writes is the mark.
pub fn edit_shared(objects: &mut Value, mark: &str, dice: &mut Dice) {
    let objects = objects.as_object_mut().unwrap();
    let name = format!("s{}", dice.below(3));
    let field = format!("f{}", dice.below(2));
    match (dice.below(8), objects.get_mut(&name)) {
        (0, _) => drop(objects.remove(&name)),
        (1, _) => drop(objects.insert(name, json!(mark))),
        (2, _) => drop(objects.insert(name, json!([{"id": mark}, {"id": "-"}]))),
        (3, Some(Value::Object(object))) => drop(object.remove("in")),
        (4, Some(Value::Object(object))) => {
            drop(object.insert("in".to_owned(), json!({"f0": mark})))
        }
        (5, Some(Value::Object(object))) if object.get("in").is_some_and(Value::is_object) => {
            object["in"][field] = json!(mark);
        }
        (_, Some(Value::Object(object))) => drop(object.insert(field, json!(mark))),
        (3, Some(Value::Array(items))) if !items.is_empty() => {
            drop(items.remove(dice.below(items.len())));
        }
        (4, Some(Value::Array(items))) => {
            items.insert(dice.below(items.len() + 1), json!({"id": mark}));
        }
        (5, Some(Value::Array(items))) if !items.is_empty() => {
            let at = dice.below(items.len());
            items[at] = json!(mark);
        }
        (_, Some(Value::Array(items))) => match items.iter_mut().find(|item| item.is_object()) {
            Some(item) => item["note"] = json!(mark),
            None => items.push(json!({"id": mark})),
        },
        _ => drop(objects.insert(name, json!({"f0": mark, "in": {}}))),
    }
}

/// The seeds of the races to run: `CRDT_PALACE_RACES` of them, from `CRDT_PALACE_SEED` on.
pub fn races(default: u64) -> Range<u64> {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let first = number("CRDT_PALACE_SEED", 1);
    first..first + number("CRDT_PALACE_RACES", default)
}

/// The edits of all clients together.
#[derive(Default)]
pub struct Ledger {
    written: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// Those that a client took out of a value that it knew, and was not told to be there still.
    taken_out: BTreeSet<String>,
    /// Number of acknowledged writes.
    pub writes: usize,
    /// Number of those that came out as anything else than was sent.
    pub merged: usize,
}

impl Ledger {
    /// Notes an acknowledged edit, by a client that knew one value and sent another.
    pub fn wrote(&mut self, mark: String, known: &Value, sent: &Value, answer: &Value) {
        self.writes += 1;
        self.merged += usize::from(answer.get("merged") == Some(&json!(true)));
        let sent = marks(sent);
        // An edit that removes something may leave no mark.
        self.written.extend(sent.contains(&mark).then_some(mark));
        // A client that is told of what stands has not taken out what it finds there.
        let stands = marks(&answer["text"]);
        let gone = marks(known).into_iter().filter(|mark| !sent.contains(mark));
        self.taken_out.extend(gone.filter(|mark| !stands.contains(mark)));
        self.removed.extend(marks(known).difference(&sent).cloned());
        self.settled(answer);
    }

    /// Notes what the answer to a write names as settled.
    pub fn settled(&mut self, answer: &Value) {
        self.removed.extend(marks(&answer["conflicts"]));
    }

    /// Notes an edit of a client that wrote nothing else.
    pub fn added(&mut self, mark: String) {
        self.writes += 1;
        self.written.insert(mark);
    }

    /// Notes that a client replaced everything, as it is at present, by what has these marks.
    pub fn replaced_by(&mut self, left: &BTreeSet<String>) {
        self.removed.extend(self.written.difference(left).cloned());
    }

    /// The edits that a client took out and that are among these again.
    pub fn returned(&self, found: &BTreeSet<String>) -> Vec<&String> {
        self.taken_out.iter().filter(|mark| found.contains(*mark)).collect()
    }

    /// The acknowledged edits that are neither among these nor were removed.
    pub fn lost(&self, found: &BTreeSet<String>) -> Vec<&String> {
        let gone = |mark: &&String| !found.contains(*mark) && !self.removed.contains(*mark);
        self.written.iter().filter(gone).collect()
    }
}

/// Edits of a document in which each client has fields of its own, and adds items to the list of all. Whole values that
/// clients write back must leave the last value of each field, and each item once.
pub struct OwnEdits {
    own: Map<String, Value>,
    items: Vec<String>,
}

impl OwnEdits {
    /// Begins with three fields for each client.
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        let own = names.map(|name| (name, json!({"f0": 0, "f1": 0, "f2": 0}))).collect();
        OwnEdits { own, items: Vec::new() }
    }

    /// The document as it is before the first edit.
    pub fn start(&self) -> Value {
        json!({"own": self.own, "list": []})
    }

    /// Writes a mark into one of the client's fields, and adds it to the list.
    pub fn edit(value: &mut Map<String, Value>, name: &str, mark: &str, dice: &mut Dice) {
        value["own"][name][format!("f{}", dice.below(3))] = json!(mark);
        let list = value["list"].as_array_mut().unwrap();
        list.insert(dice.below(list.len() + 1), json!(mark));
    }

    /// Notes that an edit was acknowledged. `value` is the one that was sent.
    pub fn acknowledged(&mut self, value: &Map<String, Value>, name: &str, mark: &str) {
        self.own[name] = value["own"][name].clone();
        self.items.push(mark.to_owned());
    }

    /// Asserts that no edit is missing. Returns the number of items that are there more than once.
    pub fn assert_in(&self, end: &Map<String, Value>, context: &str) -> usize {
        assert_eq!(end["own"], json!(self.own), "{context}");
        let items: Vec<&str> =
            end["list"].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect();
        let distinct: BTreeSet<&str> = items.iter().copied().collect();
        let missing = self.items.iter().filter(|item| !distinct.contains(item.as_str()));
        assert_eq!(missing.count(), 0, "{context}: {items:?} of {:?}", self.items);
        items.len() - distinct.len()
    }
}
