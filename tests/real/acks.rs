//! Acknowledged writes: one line each in a file that the parent writes, and the palace that they promise.
//!
//! Content follows from the id alone, so no byte of it needs to be sent. A line is in the file only after its
//! call has returned.
#![allow(dead_code, reason = "the child checks, and the tests read some of it")]

use crate::support::{documents, object};
use crdt_palace::palace::{Document, Palace};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const WORDS: [&str; 16] = [
    "amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbour", "indigo",
    "juniper", "kelp", "lagoon", "marble", "nectar", "opal", "prairie",
];

/// The text that belongs to an id: up to `most` words, the same ones for everybody.
pub fn text(id: &str, most: usize) -> String {
    let hash = blake3::hash(id.as_bytes());
    let mut bytes = [0; 512];
    blake3::Hasher::new_derive_key("text of a test")
        .update(hash.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    let count = 1 + usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % most;
    let word = |n: usize| WORDS[usize::from(bytes[2 + n % 510]) % WORDS.len()];
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

/// What stands under `own/<id>`, and under the two keys of a pair.
pub fn content(id: &str) -> Map<String, Value> {
    object(json!({"id": id, "text": text(id, 200)}))
}

/// The lines of acknowledgements that are whole: the last one may be under way.
pub fn read(path: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

/// What acknowledgements ask of a palace.
#[derive(Debug, Default)]
pub struct Expected {
    own: BTreeSet<String>,
    gone: BTreeSet<String>,
    pairs: BTreeSet<String>,
    fields: BTreeSet<(String, String)>,
    items: BTreeSet<(String, String)>,
    increments: u64,
    /// The last version that each writer put over its earlier ones.
    last: BTreeMap<String, u64>,
    /// The versions that conditional writers won.
    won: BTreeMap<String, BTreeSet<u64>>,
    holes: bool,
}

impl Expected {
    pub fn of(lines: &[String]) -> Self {
        let mut expected = Expected::default();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            expected.add(&words).unwrap_or_else(|| panic!("what is {line:?}?"));
        }
        expected
    }

    /// Changes that nobody acknowledged may wait for others, because a power cut took those.
    pub fn with_holes(self, holes: bool) -> Self {
        Expected { holes, ..self }
    }

    fn add(&mut self, words: &[&str]) -> Option<()> {
        match *words {
            ["own", id] => drop(self.own.insert(id.to_owned())),
            ["gone", id] => drop(self.gone.insert(id.to_owned())),
            ["pair", id] => drop(self.pairs.insert(id.to_owned())),
            ["field", key, id] => drop(self.fields.insert((key.to_owned(), id.to_owned()))),
            ["item", key, id] => drop(self.items.insert((key.to_owned(), id.to_owned()))),
            ["count"] => self.increments += 1,
            ["last", name, n] => {
                let version = n.parse().ok()?;
                let last = self.last.entry(name.to_owned()).or_default();
                *last = (*last).max(version);
            }
            ["won", key, n] => {
                let first = self.won.entry(key.to_owned()).or_default().insert(n.parse().ok()?);
                assert!(first, "two conditional writers won version {n} of {key}");
            }
            _ => return None,
        }
        Some(())
    }

    /// Compares with everything that `palace` holds. `uncertain` writes may be there that nobody
    /// acknowledged; `None` if nobody knows how many, because they are being made.
    pub fn check(&self, palace: &Palace, uncertain: Option<u64>, context: &str) {
        let found = documents(palace);
        let lacks = |what: &str| -> ! { panic!("{context}: acknowledged and not there: {what}") };
        let value = |key: &str| found.get(key).map(|document| &document.value);
        for id in &self.own {
            let key = format!("own/{id}");
            let value = value(&key).unwrap_or_else(|| lacks(&key));
            assert_eq!(*value, content(id), "{context}: {key}");
        }
        for id in &self.gone {
            let key = format!("gone/{id}");
            assert!(!found.contains_key(&key), "{context}: {key} was deleted");
        }
        for id in &self.pairs {
            for end in ["left", "right"] {
                let key = format!("pair/{id}/{end}");
                let value = value(&key).unwrap_or_else(|| lacks(&key));
                assert_eq!(*value, content(id), "{context}: {key}");
            }
        }
        for (key, id) in &self.fields {
            let field = value(&format!("shared/{key}")).and_then(|value| value.get(id));
            let field = field.unwrap_or_else(|| lacks(&format!("{id} of shared/{key}")));
            assert_eq!(*field, text(id, 20), "{context}: {id} of shared/{key}");
        }
        for (key, id) in &self.items {
            let items = value(&format!("list/{key}")).and_then(|value| value["items"].as_array());
            let count = items.map_or(0, |items| items.iter().filter(|item| *item == id).count());
            assert_eq!(count, 1, "{context}: {id} in list/{key}");
        }
        for (name, version) in &self.last {
            let n = value(&format!("last/{name}")).and_then(|value| value["n"].as_u64());
            let n = n.unwrap_or_else(|| lacks(&format!("last/{name}")));
            assert!(n >= *version, "{context}: version {version} of last/{name}, not {n}");
            let text = text(&format!("{name}-{n}"), 200);
            assert_eq!(
                value(&format!("last/{name}")).unwrap()["text"],
                text,
                "{context}: last/{name}"
            );
        }
        self.check_numbers(&found, uncertain, context);
        // What is being written may be seen before what it builds on: nobody was promised either.
        check_whole(&found, self.holes || uncertain.is_none(), context);
    }

    fn check_numbers(
        &self,
        found: &BTreeMap<String, Document>,
        uncertain: Option<u64>,
        context: &str,
    ) {
        let number =
            |key: &str| found.get(key).map_or(0, |found| found.value["n"].as_u64().unwrap());
        let most = |known: u64| uncertain.map_or(u64::MAX, |uncertain| known + uncertain);
        let counter = number("counter");
        let known = self.increments;
        assert!(
            (known..=most(known)).contains(&counter),
            "{context}: {known} increments acknowledged, {uncertain:?} uncertain, {counter} there"
        );
        for (key, versions) in &self.won {
            let (last, there) = (*versions.last().unwrap(), number(&format!("won/{key}")));
            assert!(there >= last, "{context}: version {last} of won/{key} was won, not {there}");
            let known = versions.len() as u64;
            assert!(there <= most(known), "{context}: {there} of {known} versions of won/{key}");
        }
    }
}

/// What holds of every palace that these writers wrote, whatever was acknowledged.
fn check_whole(found: &BTreeMap<String, Document>, holes: bool, context: &str) {
    for (key, document) in found {
        assert!(
            !document.incomplete || holes,
            "{context}: {key} waits for a change that is missing"
        );
        assert!(document.conflicts.is_empty(), "{context}: {key}: {:?}", document.conflicts);
        if let Some(left) = key.strip_suffix("/left") {
            assert!(found.contains_key(&format!("{left}/right")), "{context}: half of {left}");
        }
    }
}
