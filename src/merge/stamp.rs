//! Who made a raw change and when, without decoding its operations.

use super::chunk::Chunk;
use super::error::MergeError;
use super::message::{Message, Written};

/// Who made a change, when, and its hash. Verifies as [`super::hash_of`] does.
///
/// # Errors
/// If `change` is not one whole type-1 chunk, its checksum is wrong, or it expands beyond its bounds.
pub fn stamp_of(change: &[u8]) -> Result<Written, MergeError> {
    let Chunk { hash, time_ms, message, .. } = Chunk::parse(change)?;
    let message = Message::parse((!message.is_empty()).then_some(message));
    Ok(Written { by: message.by.into_owned(), time_ms, change: hash })
}
