//! What facts state and where they come from, as texts and as keys.

use super::{FACTS, MemoryError, PART_CHARS_MAX, Result, text};
use crate::format::key::Key;
use serde_json::{Map, Value, json};
use std::fmt;

/// What a fact states.
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
    /// Who or what.
    pub subject: String,
    /// Does, has or is what.
    pub predicate: String,
    /// To whom or what.
    pub object: String,
}

/// Where a fact comes from. Each part may be left out.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let source = Source { file: Some("cv.md".into()), ..Source::default() };
/// facts.state(&works, None, None, Some(&source))?;
/// let stated = facts.state(&works, None, None, Some(&source))?; // no news
/// assert_eq!(stated.fact.sources, [source]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// A closet of MemPalace.
    pub closet: Option<String>,
    /// A file.
    pub file: Option<String>,
    /// A drawer's id.
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

    /// What the keys of every period of it start with.
    pub(super) fn prefix(&self) -> String {
        format!("{FACTS}{}/", hash(self.each().map(folded).iter().map(String::as_str)))
    }

    /// The first key for a period of it that is none of these: the same period can have been stated before,
    /// and ended otherwise.
    pub(super) fn free_key(&self, moments: [Option<&str>; 2], taken: &[&Key]) -> Result<Key> {
        let mut n = 0;
        loop {
            let key = self.period_key(moments, n)?;
            if !taken.contains(&&key) {
                return Ok(key);
            }
            n += 1;
        }
    }

    /// The key of the `n`th document for a period of it.
    fn period_key(&self, moments: [Option<&str>; 2], n: usize) -> Result<Key> {
        let (moments, number) = (moments.map(Option::unwrap_or_default), n.to_string());
        let parts = self.each().into_iter().chain(moments).chain([number.as_str()]);
        Ok(Key::new(&format!("{}{}", self.prefix(), hash(parts)))?)
    }
}

/// A text of a fact as it is kept.
pub(super) fn part(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    let why = if text.is_empty() {
        "it is empty: name it"
    } else if text.chars().count() > PART_CHARS_MAX {
        "it is longer than 500 characters: shorten it, and file the rest in a drawer"
    } else if text.chars().any(char::is_control) {
        "it has a line break or another control character: write it on one line"
    } else {
        return Ok(text.to_owned());
    };
    Err(MemoryError::argument(field, why))
}

/// How a text is compared: without case, and with `_` for a space.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase().replace(' ', "_")
}

/// Each part with its length, so that no two lists run together.
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

    pub(super) fn value(&self) -> Map<String, Value> {
        let parts = [("closet", &self.closet), ("file", &self.file), ("drawer", &self.drawer)];
        let said = parts.iter().filter_map(|(field, part)| Some((*field, part.as_ref()?)));
        said.map(|(field, part)| (field.to_owned(), json!(part))).collect()
    }
}

pub(super) fn no_fact(triple: &Triple) -> MemoryError {
    MemoryError::NoFact { fact: triple.to_string() }
}
