//! Why a call failed: a code for programs, and what to do next for models.

use crate::mcp::conflicts::VersionedValue;
use crate::mcp::page::{echoed, json_len};
use crate::memory::MemoryError;
use crate::palace::{Document, Error, chain};
use crate::store::StoreError;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Most bytes of the current value in an ETAG_MISMATCH.
const CURRENT_BYTES: usize = 50_000;

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(inline)]
pub(super) enum Code {
    EtagMismatch,
    NotFound,
    NoSuchVersion,
    Reserved,
    Invalid,
    Busy,
    OutcomeUnknown,
    Failed,
}

/// Why a call failed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// The kind of problem; only errors have it
    pub error: Code,
    /// The problem, and what to do next; only errors have it
    pub message: String,
    /// With ETAG_MISMATCH: the current document, null if there is none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Value>,
}

impl Problem {
    pub fn new(error: Code, message: String) -> Self {
        Problem { error, message, current: None }
    }

    pub fn invalid(message: String) -> Self {
        Problem::new(Code::Invalid, message)
    }

    pub fn no_document(key: &str) -> Self {
        let hint = "document_list and document_search show what there is, document_history what was deleted";
        Problem::new(Code::NotFound, format!("there is no document {:?}: {hint}", echoed(key)))
    }

    /// Returns the message, followed by the current value.
    pub fn text(&self) -> String {
        match &self.current {
            Some(current) => format!("{}\ncurrent: {current}", self.message),
            None => self.message.clone(),
        }
    }
}

impl From<MemoryError> for Problem {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Palace(error) => error.into(),
            error => Problem::invalid(chain(&error)),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::of(error, |_| None)
    }
}

impl Problem {
    /// Makes a problem of an error. If the version did not match, `advice` may know better what to do next.
    pub fn of(error: Error, advice: impl Fn(&Document) -> Option<&'static str>) -> Self {
        let text = chain(&error);
        let (code, hint) = match error {
            Error::EtagMismatch { key, current } => {
                return mismatch(key.as_str(), current.as_deref(), advice);
            }
            Error::NoSuchVersion { .. } => (Code::NoSuchVersion, "document_history has its etags"),
            Error::Store(StoreError::Busy { .. }) => return Problem::new(Code::Busy, text),
            Error::Store(StoreError::OutcomeUnknown { .. }) => {
                return Problem::new(Code::OutcomeUnknown, text);
            }
            Error::Document { .. } => (Code::Invalid, "nothing was written"),
            Error::Key(_) | Error::Cursor { .. } | Error::EmptyQuery => {
                return Problem::invalid(text);
            }
            _ => return Problem::new(Code::Failed, text),
        };
        Problem::new(code, format!("{text}; {hint}"))
    }
}

/// Returns true if the problem of a version that does not match shows all of this value.
pub(super) fn is_shown_whole(value: &Map<String, Value>) -> bool {
    json_len(value) <= CURRENT_BYTES
}

fn next_step(has_value: bool, etag: &str) -> String {
    match has_value {
        true => format!("apply your change to the current value and call again with if_match {etag:?}"),
        false => "its value is too long to stand here: read it again (document_get), apply your change to the new value, \
                  and call again with the etag that it has there"
            .to_owned(),
    }
}

/// The problem of a version that does not match. It has the current value, so that a retry needs no read.
fn mismatch(
    key: &str,
    current: Option<&Document>,
    advice: impl Fn(&Document) -> Option<&'static str>,
) -> Problem {
    let Some(document) = current else {
        let message = format!(
            "ETAG_MISMATCH: there is no document {key:?} now (it was deleted, or never written), and nothing was \
             written; to create it pass if_match \"absent\""
        );
        return Problem { current: Some(Value::Null), ..Problem::new(Code::EtagMismatch, message) };
    };
    let etag = &document.etag;
    let text = etag.to_string();
    let is_whole = is_shown_whole(&document.value);
    let advice = advice(document).map_or_else(|| next_step(is_whole, &text), str::to_owned);
    // A client that calls again with a version whose value it has not seen would replace that.
    let version = if is_whole { format!("version {text}") } else { "another version".to_owned() };
    let message =
        format!("ETAG_MISMATCH: {key:?} is at {version} now, and nothing was written: {advice}");
    let value = Value::Object(document.value.clone());
    let mut current =
        json!(VersionedValue::bounded(value, CURRENT_BYTES, document.modified.as_ref()));
    if let (Value::Object(fields), true) = (&mut current, is_whole) {
        // The writer is the last one; the version is that of the whole document.
        fields.insert("etag".to_owned(), json!(etag));
    }
    Problem { current: Some(current), ..Problem::new(Code::EtagMismatch, message) }
}
