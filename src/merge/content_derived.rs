//! The first change of a document that is derived from its content: filing the same content twice makes one document,
//! not a conflict.
//!
//! Every process makes the same first change, byte for byte: its actor is derived from the key and the content, and it
//! has no time and no writer. A second change without operations records who filed the content, and when.

use super::change_message::ChangeKind;
use super::doc::Doc;
use super::error::MergeError;
use super::first_change::encode;
use super::new_change::{NewChange, Stamp};
use super::value_limits::check_value;
use crate::format::key::Key;
use serde_json::{Map, Value as Json};

/// First text of the hash that makes the actor. It must change with Automerge's encoding of operations.
///
/// Otherwise two versions of this program would make two different changes with one actor and sequence number.
const DOMAIN: &str = "crdt-palace first change, encoder automerge 0.12";

impl Doc {
    /// Returns the first change that is derived from `key` and `value` alone.
    ///
    /// # Errors
    /// [`MergeError::TooLarge`], [`MergeError::TooDeep`] or [`MergeError::TooMany`] if the value is over its limits.
    pub fn content_derived_change(
        key: &Key,
        value: &Map<String, Json>,
    ) -> Result<NewChange, MergeError> {
        check_value(value)?;
        // No time and no message: both would differ from process to process.
        encode(actor(key, value), 0, None, value)
    }

    /// Records the writer and the time of a filing in a change without operations. Brings a deleted document back.
    ///
    /// # Errors
    /// [`MergeError::CounterTooFar`] at the end of the operation counters.
    pub fn record_filing(&mut self, stamp: &Stamp<'_>) -> Result<NewChange, MergeError> {
        self.empty_change(stamp, ChangeKind::Filed)
    }
}

/// Derives the actor from the key and the content.
///
/// If two contents are ever filed under one key, they are changes of two actors and merge. As two first changes of one
/// actor, one of them would be refused for ever.
fn actor(key: &Key, value: &Map<String, Json>) -> [u8; 16] {
    // The format describes this hash: two programs that derive different actors make two documents of one content.
    let mut hasher = blake3::Hasher::new();
    for text in [DOMAIN, key.as_str()] {
        hash_text(&mut hasher, text);
    }
    hash_map(&mut hasher, value);
    let mut actor = [0; 16];
    hasher.finalize_xof().fill(&mut actor);
    actor
}

/// Hashes a text with its length before it, so that no two lists of texts give the same bytes.
fn hash_text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// Hashes a map in the order of its keys: the JSON library may keep another one.
fn hash_map(hasher: &mut blake3::Hasher, map: &Map<String, Json>) {
    let mut fields: Vec<_> = map.iter().collect();
    fields.sort_unstable_by_key(|(key, _)| *key);
    hasher.update(b"{");
    hasher.update(&(fields.len() as u64).to_le_bytes());
    for (key, value) in fields {
        hash_text(hasher, key);
        hash_value(hasher, value);
    }
}

fn hash_value(hasher: &mut blake3::Hasher, value: &Json) {
    match value {
        Json::Object(map) => hash_map(hasher, map),
        Json::Array(items) => {
            hasher.update(b"[");
            hasher.update(&(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| hash_value(hasher, item));
        }
        // As JSON, so that 1, 1.0 and "1" give different bytes.
        scalar => hash_text(hasher, &scalar.to_string()),
    }
}
