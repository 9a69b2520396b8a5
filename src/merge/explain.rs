//! One raw change in words, for dumps.

use super::caught::{caught, decode};
use super::change_info::ChangeInfo;
use super::chunk::Chunk;
use super::error::MergeError;
use super::hashes::hashes;
use super::message::Message;
use crate::format::hash::ChangeHash;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, ObjType};

/// Decodes one raw change without its document. Elements and nested objects are named by the
/// operation that made them, `counter@` and the first eight digits of its actor.
///
/// # Errors
/// If the bytes are no sound change within the bounds of [`super::Doc::apply`].
pub fn explain(change: &[u8]) -> Result<ChangeInfo, MergeError> {
    Chunk::parse(change)?;
    let change = decode(change)?;
    let message = Message::parse(change.message());
    // An operation may refer to an actor that the change does not list.
    let ops = caught(|| change.decode().operations.iter().map(words).collect())?;
    Ok(ChangeInfo {
        hash: ChangeHash(change.hash().0),
        actor: change.actor_id().to_hex_string(),
        sequence: change.seq(),
        start_op: change.start_op().get(),
        time_ms: change.timestamp(),
        by: message.by.to_string(),
        kind: message.kind,
        deps: hashes(change.deps()),
        operations: change.len() as u64,
        ops,
    })
}

fn words(op: &Op) -> String {
    let place = place(op);
    match &op.action {
        OpType::Put(value) if op.insert => format!("insert {value} {place}"),
        OpType::Put(value) => format!("set {place} = {value}"),
        OpType::Make(kind) if op.insert => format!("insert {} {place}", name(*kind)),
        OpType::Make(kind) => format!("set {place} = {}", name(*kind)),
        OpType::Delete => format!("delete {place}"),
        OpType::Increment(by) => format!("increment {place} by {by}"),
        OpType::MarkBegin(mark) => format!("mark {} = {} from {place}", mark.name, mark.value),
        OpType::MarkEnd(_) => format!("end of mark {place}"),
    }
}

fn place(op: &Op) -> String {
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
