//! Changing documents.

use super::arguments::{Increment, Patch, Put};
use super::keys::{check_writable, is_kept_by_others};
use super::problem::{Code, Problem, is_shown_whole};
use super::read::deleted_at;
use super::results::WriteResult;
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::mcp::arguments::{argument, etag, optional_etag};
use crate::mcp::conflicts::{open_aside, path as shown_path, settled_aside};
use crate::mcp::once::{made_once, once};
use crate::mcp::page::{Budget, echoed};
use crate::mcp::tool::Call;
use crate::mcp::unseen::{MERGED_BYTES, UnseenVersion, whole_in_answer, written_in};
use crate::memory::MemoryError;
use crate::merge::{Conflict, MergeError, Settled, pointer_steps};
use crate::palace::{
    self, Condition, Error, Outcome, Palace, Session, SessionWrite, WriteOptions, chain,
};
use crate::store::group_commit::Durability;
use serde::Serialize;
use serde_json::{Map, Value, json};

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
    session: &'a Session,
    key: Key,
    options: WriteOptions,
}

impl<'a> Write<'a> {
    /// # Errors
    /// If the key belongs to another tool set, or a version is not an etag.
    pub fn new(
        call: &'a Call,
        key: &str,
        if_match: Option<&str>,
        base: Option<&str>,
    ) -> Result<Self> {
        check_writable(key)?;
        Write::unchecked(call, key, if_match, base)
    }

    /// Makes the write that brings a deleted document back, also one of another set: its value is one that its own tools
    /// have written.
    ///
    /// # Errors
    /// If the document belongs to another set and is not deleted, or a version is not an etag.
    pub fn to_undelete(
        call: &'a Call,
        key: &str,
        if_match: Option<&str>,
        base: Option<&str>,
    ) -> Result<Self> {
        let write = Write::unchecked(call, key, if_match, base)?;
        if is_kept_by_others(key) || call.palace.get(key)?.is_some() {
            check_writable(key)?;
        }
        Ok(write)
    }

    fn unchecked(
        call: &'a Call,
        key: &str,
        if_match: Option<&str>,
        base: Option<&str>,
    ) -> Result<Self> {
        let if_match = if_match.map(condition).transpose()?;
        let base = optional_etag("base", base)?;
        let by = call.client.clone();
        let options = WriteOptions { if_match, base, by, ..WriteOptions::default() };
        let key = Key::new(key).map_err(Error::from)?;
        Ok(Write { palace: &call.palace, session: &call.session, key, options })
    }

    /// Lets the call take effect once, if it has an idempotency key.
    ///
    /// # Errors
    /// If the key is empty or too long.
    pub fn once(mut self, tool: &str, key: Option<&str>, asked: &impl Serialize) -> Result<Self> {
        self.options.once = once(tool, &["documents", self.key.as_str()], key, asked)?;
        Ok(self)
    }

    /// Makes the call, unless it was made before. Then the answer is what it did.
    pub fn made_once(
        &self,
        make: impl FnOnce(&Self) -> Result<WriteResult>,
    ) -> Result<WriteResult> {
        let is_mismatch = |problem: &Problem| problem.error == Code::EtagMismatch;
        let repeated = |answer: &Value| self.repeated(answer);
        let once = self.options.once.as_ref();
        made_once(self.palace, once, is_mismatch, repeated, || make(self))
    }

    pub fn put(&self, asked: &Put) -> Result<WriteResult> {
        let value = &asked.value;
        let written = self.session.put_with(self.options.clone(), &self.key, value);
        let written = self.seen(written).map_err(|error| unless(error, |now| now == value))?;
        Ok(self.merged(written, &|stands| differing(stands, value)))
    }

    pub fn patch(&self, asked: &Patch) -> Result<WriteResult> {
        let patch = &asked.patch;
        let written = self.session.patch_with(self.options.clone(), &self.key, patch);
        let written = self.seen(written).map_err(|error| unless(error, |now| is_so(now, patch)))?;
        let named = |stands: &Map<String, Value>| {
            let named = stands.iter().filter(|(name, _)| patch.contains_key(*name));
            let patch = patch.iter().filter(|(_, value)| !value.is_null());
            let clone = |(name, value): (&String, &Value)| (name.clone(), value.clone());
            differing(&named.map(clone).collect(), &patch.map(clone).collect())
        };
        Ok(self.merged(written, &named))
    }

    pub fn increment(&self, asked: &Increment) -> Result<WriteResult> {
        let steps = steps(&asked.path)?;
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let (mut count, mut left) = (None, None);
        let is_base = self.options.base.is_some();
        let is_named = is_base || self.options.if_match.is_some();
        let options = self.options.clone();
        let outcome = self.palace.with(options).write_answering(self.key.clone(), |draft| {
            let choice = match is_named {
                true => self.session.named(draft, &self.key, is_base),
                false => self.session.present(draft, &self.key),
            };
            draft.increment(&steps, asked.by.unwrap_or(1))?;
            let value = Value::Object(draft.view()?.value);
            count = value.pointer(&asked.path).and_then(Value::as_i64);
            left = Some((choice, value));
            Ok(json!({"etag": draft.own_version().etag(), "changed": draft.is_changed(), "count": count}))
        });
        let outcome = self.seen(outcome).map_err(|error| not_a_counter(error, &asked.path))?;
        if let Some((choice, _)) = &left {
            self.session.wrote(&self.key, choice, &outcome, false);
        }
        if let Some(count) = count {
            self.session.saw_number(&self.key, &asked.path, count, &outcome);
        }
        let unread = left.filter(|(choice, _)| choice.is_to_be_shown()).map(|(_, value)| value);
        let value = unread.and_then(|value| self.shown_whole(value, &outcome.current));
        Ok(WriteResult { count, value, ..self.written(outcome) })
    }

    pub fn delete(&self) -> Result<WriteResult> {
        // A document that was deleted before needs no deleting: a client that lost the first answer asks again.
        if self.palace.get(self.key.as_str())?.is_none()
            && self.options.if_match.is_none()
            && !self.palace.has_history(&self.key)?
        {
            return Err(Problem::no_document(self.key.as_str()));
        }
        let done = self.seen(self.session.delete_with(self.options.clone(), &self.key))?;
        let deleted = Some(done.changed_since.is_none());
        let changed_since = done.changed_since.map(Into::into);
        Ok(WriteResult { deleted, changed_since, ..self.written(done.outcome) })
    }

    pub fn restore(&self, version: &str) -> Result<WriteResult> {
        let version = etag("version", version)?;
        let then = self.palace.get_at(self.key.as_str(), &version)?;
        let value = then.ok_or_else(|| deleted_at(self.key.as_str(), &version))?.value;
        let written = self.session.restore_with(self.options.clone(), &self.key, &value);
        let written = self.seen(written).map_err(|error| unless(error, |now| *now == value))?;
        Ok(self.merged(written, &|stands| differing(stands, &value)))
    }

    /// Brings a deleted document back as it was before the delete.
    pub fn undelete(&self) -> Result<WriteResult> {
        let is_there = self.palace.get(self.key.as_str())?.is_some();
        if !is_there && !self.palace.has_history(&self.key)? {
            return Err(Problem::no_document(self.key.as_str()));
        }
        let written = self.seen(self.session.undelete_with(self.options.clone(), &self.key))?;
        Ok(self.merged(written, &|_| Vec::new()))
    }

    /// Notes that an error shows the present value.
    fn seen<T>(&self, result: palace::Result<T>) -> palace::Result<T> {
        if let Err(Error::EtagMismatch { current: Some(document), .. }) = &result {
            match is_shown_whole(&document.value) {
                true => self.session.saw_whole(&document.key, &document.heads),
                false => self.session.saw_some(&document.key, &document.heads),
            }
        }
        result
    }

    /// The answer to a write that may not be exactly as it was sent.
    fn merged(
        &self,
        written: SessionWrite,
        differing: &dyn Fn(&Map<String, Value>) -> Vec<String>,
    ) -> WriteResult {
        let SessionWrite { outcome, merged, unread, replaced_unseen, undeleted, .. } = written;
        let mut answer = self.written(outcome);
        answer.value = unread.and_then(|it| self.shown_whole(Value::Object(it.value), &it.heads));
        answer.merged = merged.is_some();
        answer.replaced_unseen = replaced_unseen.map(Into::into);
        answer.undeleted = undeleted.map(Into::into);
        let Some(stands) = merged else { return answer };
        let paths = differing(&stands.value);
        answer.value = self.shown_whole(Value::Object(stands.value), &stands.heads);
        if answer.value.is_none() {
            let paths = paths.into_iter();
            (answer.differing_paths, answer.more_paths) = Budget::of(MERGED_BYTES).keep(paths);
        }
        answer
    }

    fn shown_whole(&self, value: Value, heads: &Heads) -> Option<Value> {
        whole_in_answer(self.session, &self.key, heads, value)
    }

    /// The answer to a call that was made before: what it did, and what stands now.
    fn repeated(&self, answer: &Value) -> Result<WriteResult> {
        let now = self.palace.get(self.key.as_str())?;
        if let Some(now) = &now {
            self.session.saw_some(&now.key, &now.heads);
        }
        let is = |field: &str| answer.get(field).and_then(Value::as_bool).unwrap_or_default();
        let etag = answer.get("etag").and_then(Value::as_str).unwrap_or_default().to_owned();
        let current = now.as_ref().map(|now| now.etag.to_string());
        let mut repeated = WriteResult {
            key: self.key.to_string(),
            current_etag: current.unwrap_or_else(|| etag.clone()),
            etag,
            changed: is("changed"),
            deleted: answer.get("deleted").and_then(Value::as_bool),
            durable: true,
            repeated: true,
            merged: is("merged"),
            count: answer.get("count").and_then(Value::as_i64),
            replaced_unseen: answer.get("replaced_unseen").and_then(UnseenVersion::recorded),
            undeleted: written_in(answer.get("undeleted")).map(Into::into),
            ..WriteResult::default()
        };
        if let Some(now) = now.filter(|_| repeated.merged) {
            repeated.value = self.shown_whole(Value::Object(now.value), &now.heads);
        }
        Ok(repeated)
    }

    /// The answer after the commit. A failure here is not an error of the call, or the client would write again.
    fn written(&self, outcome: Outcome) -> WriteResult {
        let mut written = WriteResult {
            key: self.key.to_string(),
            etag: outcome.etag.to_string(),
            current_etag: outcome.current_etag.to_string(),
            changed: outcome.changed,
            durable: self.options.durability == Durability::Durable,
            ..WriteResult::default()
        };
        let mut settled = outcome.settled;
        // A write with a base may have been made beside another one, and its client should hear of that at once. The
        // read starts after the write is acknowledged: of several writers, the last to read sees what all wrote.
        if self.options.base.is_some() || outcome.etag != outcome.current_etag {
            match self.palace.get(self.key.as_str()) {
                Ok(now) => {
                    let now = now.map(|now| (now.conflicts, now.value)).unwrap_or_default();
                    settled = not_open(settled, &now);
                    (written.open_conflicts, written.more_open_conflicts) =
                        open_aside(now.0, &Value::Object(now.1));
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
        (written.conflicts, written.more_conflicts) = settled_aside(settled);
        written
    }
}

/// Returns what a write settled without the readings that are in an open conflict again: another client may have written
/// one of them anew.
fn not_open(
    settled: Vec<Settled>,
    (conflicts, value): &(Vec<Conflict>, Map<String, Value>),
) -> Vec<Settled> {
    let closed = |mut settled: Settled| {
        let here: Vec<_> = conflicts.iter().filter(|open| open.path == settled.path).collect();
        settled.values.retain(|one| !here.iter().any(|open| open.has_reading(&one.value, value)));
        (!settled.values.is_empty()).then_some(settled)
    };
    settled.into_iter().filter_map(closed).collect()
}

/// Returns the JSON pointers to the fields in which two values differ.
fn differing(a: &Map<String, Value>, b: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut found = Vec::new();
    for name in names.into_iter().filter(|name| a.get(*name) != b.get(*name)) {
        let step = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        match (a.get(name), b.get(name)) {
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                found.extend(differing(a, b).into_iter().map(|rest| format!("{step}{rest}")));
            }
            _ => found.push(step),
        }
    }
    found
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
    if !path.starts_with('/') {
        let why = format!("{:?} is not a JSON pointer: start with /, as in /visits", echoed(path));
        return Err(argument("path", why));
    }
    Ok(pointer_steps(path))
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
