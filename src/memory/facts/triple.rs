//! The content and the sources of facts, as texts and as keys.

use crate::format::key::Key;
use crate::memory::error::{MemoryError, Result};
use crate::memory::source_name::names_source;
use serde_json::{Map, Value, json};
use std::fmt;

/// The prefix of the keys of facts.
pub(in crate::memory) const FACTS: &str = "fact/";
/// The longest subject, predicate or object, in characters.
pub const PART_CHARS_MAX: usize = 500;

/// The content of a fact: a subject, a predicate and an object.
///
/// ```
/// use crdt_palace::memory::facts::Triple;
///
/// let works = Triple::new(" Ada ", "works_at", "Acme")?;
/// assert_eq!(works.to_string(), "Ada → works_at → Acme");
/// assert!(Triple::new("Ada", "", "Acme").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Triple {
    /// The thing that the fact is about.
    pub subject: String,
    /// The relation or property.
    pub predicate: String,
    /// The other thing, or the value.
    pub object: String,
}

/// The source of a fact. Each part is optional.
///
/// ```
/// # use crdt_palace::memory::facts::{FactQuery, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let source = Source { file: Some("cv.md".into()), ..Source::default() };
/// facts.assert(&works, None, None, Some(&source))?;
/// let again = facts.assert(&works, None, None, Some(&source))?; // the source is known
/// assert_eq!(again.fact.sources, [source]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The closet of MemPalace.
    pub closet: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// The id of the drawer.
    pub drawer: Option<String>,
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} → {}", self.subject, self.predicate, self.object)
    }
}

impl Triple {
    /// Trims and checks the three parts.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if one is empty, has a line break or another control character, or is longer than
    /// [`PART_CHARS_MAX`].
    pub fn new(subject: &str, predicate: &str, object: &str) -> Result<Self> {
        Ok(Triple {
            subject: part("subject", subject)?,
            predicate: part("predicate", predicate)?,
            object: part("object", object)?,
        })
    }

    fn each(&self) -> [&str; 3] {
        [&self.subject, &self.predicate, &self.object]
    }

    /// Returns the prefix of the keys of all its periods.
    pub(super) fn prefix(&self) -> String {
        format!("{FACTS}{}/", hash(self.each().map(folded).iter().map(String::as_str)))
    }

    /// Returns the key of the `n`th document for a period. The same period may have been asserted before, and ended at
    /// another moment.
    pub(super) fn period_key(&self, moments: [Option<&str>; 2], n: usize) -> Result<Key> {
        // Every part is hashed, also an absent one, so that "since" and "until" cannot change places.
        let (moments, number) = (moments.map(Option::unwrap_or_default), n.to_string());
        let parts = self.each().into_iter().chain(moments).chain([number.as_str()]);
        Ok(Key::new(&format!("{}{}", self.prefix(), hash(parts)))?)
    }
}

/// Checks a part of a fact, and returns it trimmed.
pub(super) fn part(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    let why = if text.is_empty() {
        "it is empty: pass a text"
    } else if text.chars().count() > PART_CHARS_MAX {
        "it is longer than 500 characters: shorten it, and file the rest in a drawer"
    } else if text.chars().any(char::is_control) {
        "it has a line break or another control character: write it on one line"
    } else {
        return Ok(text.to_owned());
    };
    Err(MemoryError::argument(field, why))
}

/// Returns a text in the form in which parts are compared: in lower case, with `_` for each space.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase().replace(' ', "_")
}

/// Hashes a list of parts. Each part is hashed with its length, so that no two lists get the same input.
fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}

impl Source {
    pub(super) fn of(value: &Value) -> Option<Self> {
        let value = value.as_object()?;
        let [closet, file, drawer] = ["closet", "file", "drawer"].map(|field| text(value, field));
        Some(Source { closet, file, drawer })
    }

    /// Tells whether this is a stored source, or what clients are shown of it.
    pub(super) fn names(&self, stored: &Source) -> bool {
        let pairs = [
            (&self.closet, &stored.closet),
            (&self.file, &stored.file),
            (&self.drawer, &stored.drawer),
        ];
        pairs.into_iter().all(|pair| match pair {
            (Some(named), Some(stored)) => names_source(named, stored),
            (named, stored) => named == stored,
        })
    }

    pub(super) fn value(&self) -> Map<String, Value> {
        let parts = [("closet", &self.closet), ("file", &self.file), ("drawer", &self.drawer)];
        let said = parts.iter().filter_map(|(field, part)| Some((*field, part.as_ref()?)));
        said.map(|(field, part)| (field.to_owned(), json!(part))).collect()
    }
}

/// Makes the error of a fact that was never asserted.
pub(super) fn no_fact(triple: &Triple) -> MemoryError {
    MemoryError::NoFact { fact: triple.to_string() }
}

/// Returns a field of a document, if it is text.
pub(super) fn text(value: &Map<String, Value>, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}
