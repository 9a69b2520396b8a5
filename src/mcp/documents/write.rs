//! Changing documents.

use super::arguments::{Increment, Patch, Put, Restore};
use super::keys::check_writable;
use super::problem::Problem;
use super::read::{aside, deleted_at, etag};
use super::results::Written;
use crate::format::key::Key;
use crate::mcp::bounds::{ASIDE_BYTES, Disputed, Ended, fill, shortened};
use crate::merge::MergeError;
use crate::palace::{Condition, Error, Outcome, Palace, WriteOptions, chain};
use crate::store::group_commit::Durability;
use serde_json::{Map, Value};

type Result<T> = std::result::Result<T, Problem>;

/// What stands in `if_match` for "there must be none".
const ABSENT: &str = "absent";

/// Of a condition that fails. A call that is sent again because its answer was lost finds its own version, and must not
/// be applied to that.
const IS_SO: &str = "it is already what this call would make of it, perhaps by this very call, if its answer was lost: \
    do not apply your change again";
const MAY_HAVE_COUNTED: &str = "if this call was sent before and had no answer, the version in between may be its own: \
    look (document_history) before you count again, on the current version";

/// One write: who makes it, and on which condition.
pub(super) struct Write<'a> {
    palace: &'a Palace,
    key: &'a str,
    options: WriteOptions,
}

impl<'a> Write<'a> {
    /// # Errors
    /// If the key is not for this tool set, or what was passed is no etag.
    pub fn new(
        palace: &'a Palace,
        by: Option<String>,
        key: &'a str,
        if_match: Option<&str>,
        base: Option<&str>,
    ) -> Result<Self> {
        check_writable(key)?;
        let if_match = if_match.map(condition).transpose()?;
        let base = base.map(etag).transpose()?;
        let options = WriteOptions { if_match, base, by, ..WriteOptions::default() };
        Ok(Write { palace, key, options })
    }

    pub fn put(&self, asked: &Put) -> Result<Written> {
        self.put_value(&asked.value)
    }

    fn put_value(&self, value: &Map<String, Value>) -> Result<Written> {
        let outcome = self.palace.with(self.options.clone()).put(self.key, value);
        Ok(self.written(outcome.map_err(|error| unless(error, |now| now == value))?))
    }

    pub fn patch(&self, asked: &Patch) -> Result<Written> {
        let outcome = self.palace.with(self.options.clone()).patch(self.key, &asked.patch);
        Ok(self.written(outcome.map_err(|error| unless(error, |now| is_so(now, &asked.patch)))?))
    }

    pub fn increment(&self, asked: &Increment) -> Result<Written> {
        let steps = steps(&asked.path)?;
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let mut count = None;
        let outcome = self.palace.with(self.options.clone()).write(self.key, |draft| {
            draft.increment(&steps, asked.by.unwrap_or(1))?;
            let value = Value::Object(draft.view()?.value);
            count = value.pointer(&asked.path).and_then(Value::as_i64);
            Ok(())
        });
        let outcome = outcome.map_err(|error| not_a_counter(error, &asked.path))?;
        Ok(Written { count, ..self.written(outcome) })
    }

    pub fn delete(&self) -> Result<Written> {
        // One that was deleted before needs no deleting: whoever lost the first answer asks again.
        if self.palace.get(self.key)?.is_none()
            && self.options.if_match.is_none()
            && !self.palace.has_history(&Key::new(self.key).map_err(Error::from)?)?
        {
            return Err(Problem::no_document(self.key));
        }
        Ok(self.written(self.palace.with(self.options.clone()).delete(self.key)?))
    }

    pub fn restore(&self, asked: &Restore) -> Result<Written> {
        let version = etag(&asked.version)?;
        let then = self.palace.get_at(self.key, &version)?;
        let then = then.ok_or_else(|| deleted_at(self.key, &version))?;
        self.put_value(&then.value)
    }

    /// What to answer after the commit: whatever happens here is no error, or the caller would write again.
    fn written(&self, outcome: Outcome) -> Written {
        let count = outcome.settled.len();
        let (conflicts, more) =
            fill(outcome.settled.into_iter().map(Ended::of), count, ASIDE_BYTES);
        let left = (count - conflicts.len()) as i64;
        let mut written = Written {
            key: self.key.to_owned(),
            etag: outcome.etag.to_string(),
            changed: outcome.changed,
            durable: self.options.durability == Durability::Durable,
            conflicts,
            more_conflicts: more.then_some(left),
            open_conflicts: Vec::new(),
            open_conflicts_unknown: None,
            count: None,
        };
        // Who names a base may have written beside somebody, and should hear of it at once. The look starts after
        // the write is acknowledged: of several that write at once, the last to look sees what all wrote.
        if self.options.base.is_some() {
            match self.open_conflicts() {
                Ok(open) => written.open_conflicts = open,
                Err(error) => {
                    let why = format!(
                        "the write is done, but this could not be looked for: {}",
                        chain(&error)
                    );
                    written.open_conflicts_unknown = Some(why);
                }
            }
        }
        written
    }

    fn open_conflicts(&self) -> std::result::Result<Vec<Disputed>, Error> {
        let Some(document) = self.palace.get(self.key)? else { return Ok(Vec::new()) };
        Ok(aside(document.conflicts, &Value::Object(document.value)).0)
    }
}

/// What to tell of an error, with a look whether the call's work is done.
fn unless(error: Error, done: impl Fn(&Map<String, Value>) -> bool) -> Problem {
    Problem::of(error, |now| done(&now.value).then_some(IS_SO))
}

/// Whether a merge patch would change nothing.
fn is_so(value: &Map<String, Value>, patch: &Map<String, Value>) -> bool {
    patch.iter().all(|(key, wanted)| match (value.get(key), wanted) {
        (there, Value::Null) => there.is_none(),
        (Some(Value::Object(there)), Value::Object(patch)) => is_so(there, patch),
        (there, wanted) => there == Some(wanted),
    })
}

fn condition(text: &str) -> Result<Condition> {
    match text {
        ABSENT => Ok(Condition::Absent),
        text => text.parse().map(Condition::Match).map_err(|_| {
            let text = shortened(text, 80);
            Problem::invalid(format!(
                "if_match is {text:?}: pass an etag as you got it, or {ABSENT:?} to write only what does not exist"
            ))
        }),
    }
}

/// The steps of a JSON pointer.
fn steps(path: &str) -> Result<Vec<String>> {
    let Some(path) = path.strip_prefix('/') else {
        let text = shortened(path, 80);
        return Err(Problem::invalid(format!(
            "path {text:?} is no JSON pointer: it starts with /, as in /visits"
        )));
    };
    Ok(path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

fn not_a_counter(error: Error, path: &str) -> Problem {
    match error {
        Error::Document { key, source: MergeError::WrongType { found, .. } } => {
            Problem::invalid(format!(
                "{key} has {found} on the way to or at {path}, not a counter, and nothing was written. Only increments \
             make counters: remove it (document_patch with null) and increment by its value, or \
             write the new number with document_put and if_match"
            ))
        }
        error => Problem::of(error, |_| Some(MAY_HAVE_COUNTED)),
    }
}
