//! Who made a raw change and when, without decoding its operations.

use super::chunk::Chunk;
use super::error::MergeError;
use super::intake::decode;
use super::message::{Message, Written};
use crate::format::hash::ChangeHash;

/// Who made a change, when, and its hash.
///
/// # Errors
/// As [`super::explain()`].
pub fn stamp_of(change: &[u8]) -> Result<Written, MergeError> {
    Chunk::parse(change)?;
    let change = decode(change)?;
    let message = Message::parse(change.message());
    Ok(Written {
        by: message.by.into_owned(),
        time_ms: change.timestamp(),
        change: ChangeHash(change.hash().0),
    })
}
