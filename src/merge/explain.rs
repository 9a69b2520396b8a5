//! Describes one raw change in words, for dumps.

use super::change_info::ChangeInfo;
use super::change_message::Message;
use super::chunk::Chunk;
use super::error::MergeError;
use super::hashes::hashes;
use super::panic_guard::{catch_panic, decode_change};
use crate::format::hash::ChangeHash;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, ObjType};

/// Decodes one raw change without its document.
///
/// Elements and nested objects are named by the operation that made them: its counter, `@`, and the first eight digits
/// of its actor.
///
/// # Errors
/// [`MergeError::NotAChange`], [`MergeError::Checksum`] or [`MergeError::TooMany`] if the bytes are not a valid change
/// within its bounds; [`MergeError::Refused`] or [`MergeError::Panicked`] if Automerge cannot decode it.
pub fn explain(change: &[u8]) -> Result<ChangeInfo, MergeError> {
    // Before Automerge decodes it: the checksum, and how many operations it expands to.
    Chunk::parse(change)?;
    let change = decode_change(change)?;
    let message = Message::parse(change.message());
    // Trap: Automerge panics if an operation refers to an actor that the change does not list.
    let ops = catch_panic(|| change.decode().operations.iter().map(words).collect())?;
    Ok(ChangeInfo {
        hash: ChangeHash(change.hash().0),
        actor: change.actor_id().to_hex_string(),
        sequence: change.seq(),
        start_op: change.start_op().get(),
        time_ms: change.timestamp(),
        by: message.by.to_string(),
        kind: message.kind,
        undoes: message.undoes.to_string(),
        deps: hashes(change.deps()),
        operations: change.len() as u64,
        ops,
    })
}

/// Describes one operation.
fn words(op: &Op) -> String {
    let location = location(op);
    match &op.action {
        OpType::Put(value) if op.insert => format!("insert {value} {location}"),
        OpType::Put(value) => format!("set {location} = {value}"),
        OpType::Make(kind) if op.insert => format!("insert {} {location}", name(*kind)),
        OpType::Make(kind) => format!("set {location} = {}", name(*kind)),
        OpType::Delete => format!("delete {location}"),
        OpType::Increment(by) => format!("increment {location} by {by}"),
        OpType::MarkBegin(mark) => format!("mark {} = {} from {location}", mark.name, mark.value),
        OpType::MarkEnd(_) => format!("end of mark {location}"),
    }
}

/// Names the field or element that an operation changes, and the object that it is in.
fn location(op: &Op) -> String {
    let key = match &op.key {
        Key::Map(key) => key.to_string(),
        Key::Seq(ElementId::Head) => "at the start".to_owned(),
        Key::Seq(ElementId::Id(id)) if op.insert => format!("after {}", short(id)),
        Key::Seq(ElementId::Id(id)) => short(id),
    };
    match &op.obj {
        ObjectId::Root => key,
        ObjectId::Id(id) => format!("{key} in {}", short(id)),
    }
}

fn short(OpId(counter, actor): &OpId) -> String {
    format!("{counter}@{}", short_actor(actor))
}

fn short_actor(actor: &ActorId) -> String {
    actor.to_hex_string().chars().take(8).collect()
}

fn name(kind: ObjType) -> &'static str {
    match kind {
        ObjType::Map | ObjType::Table => "{}",
        ObjType::List => "[]",
        ObjType::Text => "text",
    }
}
