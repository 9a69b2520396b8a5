//! The name of a call that is made once, however often it is sent.
//!
//! A client that lost an answer sends its call again. A call with a name of its own leaves a record: a small document under
//! [`ONCE`] with the hash of its arguments and its answer. The record is part of the same commit as the effect, on the
//! condition that there is no such record yet. So in all processes together one call of a name takes effect, and the
//! others find its record.
//!
//! Invariants: effect and record are in one commit, so neither is there without the other; the lock of conditional writes
//! orders the calls of several processes. Two copies of a palace have two locks: each may make the call, and both effects
//! count when the copies are merged.

use crate::format::key::Key;
#[cfg(feature = "mcp")]
use crate::format::key::{KeyError, ONCE};
use serde_json::{Map, Value, json};

/// The field of a record with the hash of the call's arguments.
pub(super) const ARGUMENTS: &str = "arguments";
/// The field of a record with the answer.
pub(super) const ANSWER: &str = "answer";

/// The name of a call that is made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Once {
    /// The key of its record.
    pub(super) key: Key,
    /// The hash of its arguments.
    pub(super) arguments: String,
}

impl Once {
    /// Names a call: by its target, by the name that the client chose, and by its arguments.
    ///
    /// # Errors
    /// None: the key of a record is short.
    #[cfg(feature = "mcp")]
    pub fn new(target: &[&str], name: &str, arguments: &Value) -> Result<Self, KeyError> {
        let mut hasher = blake3::Hasher::new();
        // Each part with its length, so that no two names have the same input.
        for part in target.iter().chain([&name]) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let key = Key::new(&format!("{ONCE}{}", hasher.finalize().to_hex()))?;
        let arguments = blake3::hash(arguments.to_string().as_bytes()).to_hex().to_string();
        Ok(Once { key, arguments })
    }

    /// Returns the record of the call.
    pub(super) fn record(&self, answer: Value) -> Map<String, Value> {
        Map::from_iter([(ARGUMENTS.to_owned(), json!(self.arguments)), (ANSWER.to_owned(), answer)])
    }
}
