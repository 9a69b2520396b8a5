//! Changing documents.

use super::arguments::{Increment, Patch, Put, Restore};
use super::keys::check_writable;
use super::problem::Problem;
use super::read::deleted_at;
use super::results::WriteResult;
use crate::format::key::Key;
use crate::mcp::arguments::{argument, etag, optional_etag};
use crate::mcp::conflicts::{OpenConflict, open_aside, path as shown_path, settled_aside};
use crate::mcp::page::echoed;
use crate::mcp::tool::Call;
use crate::memory::MemoryError;
use crate::merge::MergeError;
use crate::palace::{Condition, Error, Outcome, Palace, WriteOptions, chain};
use crate::store::group_commit::Durability;
use serde_json::{Map, Value};

type Result<T> = std::result::Result<T, Problem>;

/// The value of `if_match` for "the document must not exist".
const ABSENT: &str = "absent";

/// Advice after a condition that failed. A call that is sent again because its answer was lost finds its own version,
/// and must not be applied to that.
const IS_SO: &str = "it is already what this call would make of it, perhaps by this very call, if its answer was lost: \
    do not apply your change again";
const MAY_HAVE_COUNTED: &str = "if this call was sent before and had no answer, the version in between may be its own: \
    look (document_history) before you count again, on the current version";

/// One write: the client that makes it, and its condition.
pub(super) struct Write<'a> {
    palace: &'a Palace,
    key: &'a str,
    options: WriteOptions,
}

impl<'a> Write<'a> {
    /// # Errors
    /// If the key belongs to another tool set, or a version is not an etag.
    pub fn new(
        call: &'a Call,
        key: &'a str,
        if_match: Option<&str>,
        base: Option<&str>,
    ) -> Result<Self> {
        check_writable(key)?;
        let if_match = if_match.map(condition).transpose()?;
        let base = optional_etag("base", base)?;
        let by = call.client.clone();
        let options = WriteOptions { if_match, base, by, ..WriteOptions::default() };
        Ok(Write { palace: &call.palace, key, options })
    }

    pub fn put(&self, asked: &Put) -> Result<WriteResult> {
        self.put_value(&asked.value)
    }

    fn put_value(&self, value: &Map<String, Value>) -> Result<WriteResult> {
        let outcome = self.palace.with(self.options.clone()).put(self.key, value);
        Ok(self.written(outcome.map_err(|error| unless(error, |now| now == value))?))
    }

    pub fn patch(&self, asked: &Patch) -> Result<WriteResult> {
        let outcome = self.palace.with(self.options.clone()).patch(self.key, &asked.patch);
        Ok(self.written(outcome.map_err(|error| unless(error, |now| is_so(now, &asked.patch)))?))
    }

    pub fn increment(&self, asked: &Increment) -> Result<WriteResult> {
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
        Ok(WriteResult { count, ..self.written(outcome) })
    }

    pub fn delete(&self) -> Result<WriteResult> {
        // A document that was deleted before needs no deleting: a client that lost the first answer asks again.
        if self.palace.get(self.key)?.is_none()
            && self.options.if_match.is_none()
            && !self.palace.has_history(&Key::new(self.key).map_err(Error::from)?)?
        {
            return Err(Problem::no_document(self.key));
        }
        Ok(self.written(self.palace.with(self.options.clone()).delete(self.key)?))
    }

    pub fn restore(&self, asked: &Restore) -> Result<WriteResult> {
        let version = etag("version", &asked.version)?;
        let then = self.palace.get_at(self.key, &version)?;
        let then = then.ok_or_else(|| deleted_at(self.key, &version))?;
        self.put_value(&then.value)
    }

    /// The answer after the commit. A failure here is not an error of the call, or the client would write again.
    fn written(&self, outcome: Outcome) -> WriteResult {
        let (conflicts, more_conflicts) = settled_aside(outcome.settled);
        let mut written = WriteResult {
            key: self.key.to_owned(),
            etag: outcome.etag.to_string(),
            changed: outcome.changed,
            durable: self.options.durability == Durability::Durable,
            conflicts,
            more_conflicts,
            open_conflicts: Vec::new(),
            more_open_conflicts: None,
            open_conflicts_unknown: None,
            count: None,
        };
        // A write with a base may have been made beside another one, and its client should hear of that at once. The
        // read starts after the write is acknowledged: of several writers, the last to read sees what all wrote.
        if self.options.base.is_some() {
            match self.open_conflicts() {
                Ok((open, more)) => {
                    (written.open_conflicts, written.more_open_conflicts) = (open, more);
                }
                Err(error) => {
                    let why = format!(
                        "the write is done, but the document could not be read after it: {}",
                        chain(&error)
                    );
                    written.open_conflicts_unknown = Some(why);
                }
            }
        }
        written
    }

    fn open_conflicts(&self) -> std::result::Result<(Vec<OpenConflict>, Option<i64>), Error> {
        let Some(document) = self.palace.get(self.key)? else { return Ok((Vec::new(), None)) };
        Ok(open_aside(document.conflicts, &Value::Object(document.value)))
    }
}

/// The problem for an error. It says so if the document is already as the call would make it.
fn unless(error: Error, done: impl Fn(&Map<String, Value>) -> bool) -> Problem {
    Problem::of(error, |now| done(&now.value).then_some(IS_SO))
}

/// Returns true if a merge patch would change nothing.
fn is_so(value: &Map<String, Value>, patch: &Map<String, Value>) -> bool {
    patch.iter().all(|(key, wanted)| match (value.get(key), wanted) {
        (there, Value::Null) => there.is_none(),
        (Some(Value::Object(there)), Value::Object(patch)) => is_so(there, patch),
        (there, wanted) => there == Some(wanted),
    })
}

fn condition(text: &str) -> std::result::Result<Condition, MemoryError> {
    match text {
        ABSENT => Ok(Condition::Absent),
        text => etag("if_match (\"absent\" or an etag)", text).map(Condition::Match),
    }
}

/// Splits a JSON pointer into its steps.
fn steps(path: &str) -> std::result::Result<Vec<String>, MemoryError> {
    let Some(path) = path.strip_prefix('/') else {
        let why = format!("{:?} is not a JSON pointer: start with /, as in /visits", echoed(path));
        return Err(argument("path", why));
    };
    Ok(path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

fn not_a_counter(error: Error, path: &str) -> Problem {
    match error {
        Error::Document { key, source: MergeError::WrongType { found, .. } } => {
            Problem::invalid(format!(
                "{key} has {found} at {}, or on the way there, not a counter, and nothing was written. Only increments \
                 make counters: remove it (document_patch with null) and increment by its value, or write the new \
                 number with document_put and if_match",
                shown_path(path)
            ))
        }
        error => Problem::of(error, |_| Some(MAY_HAVE_COUNTED)),
    }
}
