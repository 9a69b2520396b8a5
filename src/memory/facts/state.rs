//! Stating and ending facts.

use super::ending::{Ending, end, ending};
use super::{FACTS, Fact, Facts, MemoryError, PART_CHARS_MAX, Result, fact_of, text};
use crate::format::key::Key;
use crate::memory::when::moment;
use crate::merge::MergeError;
use crate::palace::Draft;
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

/// A fact that was stated.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// let first = facts.state(&works, Some("2024-01-01"), None, None)?;
/// let again = facts.state(&works, None, None, None)?;
/// assert!(first.new && !again.new); // it was known to hold still
/// assert_eq!(again.fact, first.fact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// As it is now.
    pub fact: Fact,
    /// False if it was known.
    pub new: bool,
}

/// A fact that ended.
///
/// ```
/// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
/// # use crdt_palace::palace::Palace;
/// # let dir = tempfile::tempdir()?;
/// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
/// # let works = Triple::new("Ada", "works_at", "Acme")?;
/// facts.state(&works, Some("2024-01-01"), None, None)?;
/// let ended = facts.end(&works, Some("2026-03-01"))?;
/// assert_eq!((ended.changed, ended.fact.valid_to.as_deref()), (true, Some("2026-03-01")));
/// let again = facts.end(&works, Some("2026-05-01"))?; // it was over by then
/// assert_eq!((again.changed, again.fact.valid_to.as_deref()), (false, Some("2026-03-01")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As it is now; its `valid_to` is the earliest moment that anybody gave.
    pub fact: Fact,
    /// False if it had ended by then.
    pub changed: bool,
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

/// A period of a fact that is to be filed.
struct Period<'a> {
    key: Key,
    triple: &'a Triple,
    from: Option<String>,
    to: Option<String>,
    source: Option<&'a Source>,
}

impl Facts {
    /// States a fact: from a moment on, until a moment. If it is known to hold still, or for this very period,
    /// that is the fact.
    ///
    /// # Errors
    /// [`MemoryError::Argument`], or what the palace says; nothing was written then.
    pub fn state(
        &self,
        triple: &Triple,
        valid_from: Option<&str>,
        valid_to: Option<&str>,
        source: Option<&Source>,
    ) -> Result<Stated> {
        let from = valid_from.map(|text| moment("valid_from", text)).transpose()?;
        let to = valid_to.map(|text| moment("valid_to", text)).transpose()?;
        if from.as_ref().zip(to.as_ref()).is_some_and(|(from, to)| from >= to) {
            return Err(MemoryError::argument("valid_to", "it is not after valid_from: swap them"));
        }
        let period = self.period(triple, from, to, source)?;
        let key = period.key.clone();
        let mut batch = self.palace.batch();
        batch.write(key.clone(), |draft| file(draft, &period));
        let known = self.fact(&key)?.is_some();
        batch.commit(&self.options())?;
        Ok(Stated { fact: self.known(&key, triple)?, new: !known })
    }

    /// The period of a fact that is known and fits, or a new one.
    fn period<'a>(
        &self,
        triple: &'a Triple,
        from: Option<String>,
        to: Option<String>,
        source: Option<&'a Source>,
    ) -> Result<Period<'a>> {
        let prefix = triple.prefix();
        let known = self.scan(&prefix)?;
        let fits = |fact: &Fact| match &to {
            None => fact.valid_to.is_none(),
            Some(_) => fact.valid_to == to && fact.valid_from == from,
        };
        let key = match known.iter().find(|(_, fact)| fits(fact)) {
            Some((key, _)) => key.clone(),
            None => {
                let taken: Vec<&Key> = known.iter().map(|(key, _)| key).collect();
                triple.free_key([from.as_deref(), to.as_deref()], &taken)?
            }
        };
        Ok(Period { key, triple, from, to, source })
    }

    /// Ends a fact at a moment: every period of it that holds then. If none is given it is today, or now if it
    /// began later today. Whoever ends it, and in whatever order: it ends at the earliest of the moments given.
    ///
    /// # Errors
    /// [`MemoryError::NoFact`], [`MemoryError::NotThen`], [`MemoryError::Argument`], or what the palace says;
    /// nothing was written then.
    pub fn end(&self, triple: &Triple, ended: Option<&str>) -> Result<Ended> {
        let known = self.scan(&triple.prefix())?;
        let at = self.moment_or_today("ended", ended, &known)?;
        let ending = ending(triple, known, &at)?;
        if let Ending::Of(keys) = &ending {
            let mut batch = self.palace.batch();
            end(&mut batch, keys, &at);
            batch.commit(&self.options())?;
        }
        self.ended(triple, ending)
    }

    /// Ends a fact and states another of the same subject and predicate from that moment on, in one commit.
    ///
    /// ```
    /// # use crdt_palace::memory::facts::{Asked, Direction, Facts, Source, Triple};
    /// # use crdt_palace::palace::Palace;
    /// # let dir = tempfile::tempdir()?;
    /// # let facts = Facts::new(Palace::open(dir.path().join("palace"))?);
    /// # let works = Triple::new("Ada", "works_at", "Acme")?;
    /// facts.state(&works, Some("2024-01-01"), None, None)?;
    /// let (ended, stated) = facts.supersede(&works, "Initech", Some("2026-03-01"))?;
    /// assert_eq!(ended.fact.valid_to.as_deref(), Some("2026-03-01"));
    /// assert_eq!(stated.fact.valid_from, ended.fact.valid_to);
    /// assert_eq!(stated.fact.triple.object, "Initech");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Facts::end`] and [`Facts::state`].
    pub fn supersede(
        &self,
        old: &Triple,
        new_object: &str,
        at: Option<&str>,
    ) -> Result<(Ended, Stated)> {
        let periods = self.scan(&old.prefix())?;
        let at = self.moment_or_today("at", at, &periods)?;
        let new = Triple { object: part("new_object", new_object)?, ..old.clone() };
        if new.prefix() == old.prefix() {
            return Err(MemoryError::argument("new_object", "it is the old one: nothing changes"));
        }
        let period = self.period(&new, Some(at.clone()), None, None)?;
        let known = self.fact(&period.key)?.is_some();
        let ending = ending(old, periods, &at)?;
        let mut batch = self.palace.batch();
        batch.write(period.key.clone(), |draft| file(draft, &period));
        if let Ending::Of(keys) = &ending {
            end(&mut batch, keys, &at);
        }
        batch.commit(&self.options())?;
        let ended = self.ended(old, ending)?;
        Ok((ended, Stated { fact: self.known(&period.key, &new)?, new: !known }))
    }

    /// The moment that is given, or else today; but now if a period began later today, which midnight would miss.
    fn moment_or_today(
        &self,
        field: &'static str,
        text: Option<&str>,
        periods: &[(Key, Fact)],
    ) -> Result<String> {
        if let Some(text) = text {
            return moment(field, text);
        }
        let now = self.now();
        let today = now.split('T').next().unwrap_or(&now);
        // Also if it has ended again: the same call once more finds it over.
        let began_today = |(_, fact): &(Key, Fact)| {
            fact.valid_from.as_deref().is_some_and(|from| today < from && from <= now.as_str())
        };
        Ok(if periods.iter().any(began_today) { now } else { today.to_owned() })
    }

    /// What became of a fact that was to end: of several periods the one that began last.
    fn ended(&self, triple: &Triple, ending: Ending) -> Result<Ended> {
        match ending {
            Ending::Over(fact) => Ok(Ended { fact, changed: false }),
            Ending::Of(keys) => {
                let last = keys.last().ok_or_else(|| no_fact(triple))?;
                Ok(Ended { fact: self.known(last, triple)?, changed: true })
            }
        }
    }

    fn fact(&self, key: &Key) -> Result<Option<Fact>> {
        Ok(self.palace.get(key.as_str())?.as_ref().and_then(fact_of))
    }

    fn known(&self, key: &Key, triple: &Triple) -> Result<Fact> {
        self.fact(key)?.ok_or_else(|| no_fact(triple))
    }
}

pub(super) fn no_fact(triple: &Triple) -> MemoryError {
    MemoryError::NoFact { fact: triple.to_string() }
}

fn file(draft: &mut Draft<'_>, period: &Period<'_>) -> Result<(), MergeError> {
    let Period { key, triple, from, to, source } = period;
    let shown = ensure(draft, key, triple, [from.as_deref(), to.as_deref()])?;
    let Some(source) = source.map(|source| Value::Object(source.value())) else { return Ok(()) };
    let sources = shown.get("sources").and_then(Value::as_array);
    match sources.is_some_and(|sources| sources.contains(&source)) {
        true => Ok(()),
        false => draft.append(&["sources"], &[source]),
    }
}

/// Sees to it that a period of a fact is there, and gives what it shows.
pub(super) fn ensure(
    draft: &mut Draft<'_>,
    key: &Key,
    triple: &Triple,
    moments: [Option<&str>; 2],
) -> Result<Map<String, Value>, MergeError> {
    let mut value = Map::from_iter([
        ("subject".to_owned(), json!(triple.subject)),
        ("predicate".to_owned(), json!(triple.predicate)),
        ("object".to_owned(), json!(triple.object)),
        ("ends".to_owned(), json!([])),
        ("sources".to_owned(), json!([])),
    ]);
    let moments = ["valid_from", "valid_to"].into_iter().zip(moments);
    value.extend(moments.filter_map(|(f, m)| Some((f.to_owned(), json!(m?)))));
    draft.file(key, &value)?;
    Ok(draft.view()?.value)
}
