//! Encodes the first change of a document without making the document.
//!
//! A segment keeps the change, not the document, and most documents are written once by a process and not read again
//! by it. Making a document only to drop it took ten times as long as listing the operations. Invariant: the
//! change is byte for byte the one that a transaction on an empty document makes.

use super::change_message::ChangeKind;
use super::chunk::OPERATIONS_MAX;
use super::error::MergeError;
use super::json_values::scalar;
use super::new_change::{NewChange, Stamp};
use super::value_limits::check_value;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ObjType};
use serde_json::{Map, Value as Json};
use std::collections::VecDeque;
use std::num::NonZeroU64;

/// Returns the change that [`Doc::put`](super::Doc::put) would make in a document without changes.
///
/// # Errors
/// As [`Doc::put`](super::Doc::put).
pub fn first_change(stamp: &Stamp<'_>, value: &Map<String, Json>) -> Result<NewChange, MergeError> {
    check_value(value)?;
    encode(stamp.actor, stamp.time_ms, stamp.message(ChangeKind::Edit), value)
}

/// Returns the change with this actor, time and message that makes this content.
pub(super) fn encode(
    actor: [u8; 16],
    time_ms: i64,
    message: Option<String>,
    value: &Map<String, Json>,
) -> Result<NewChange, MergeError> {
    let actor_id = ActorId::from(actor);
    let operations = operations(&actor_id, value);
    let (count, limit) = (operations.len() as u64, OPERATIONS_MAX);
    if count > limit {
        return Err(MergeError::TooMany { what: "operations", count, limit });
    }
    // Counting starts at 1 and the sequence at 1, because the change depends on nothing.
    let change = Change::from(ExpandedChange {
        operations,
        actor_id,
        hash: None,
        seq: 1,
        start_op: NonZeroU64::MIN,
        time: time_ms,
        message,
        deps: Vec::new(),
        extra_bytes: Vec::new(),
        author: None,
    });
    NewChange::new(&change).map(|(made, _)| made)
}

/// Lists the operations in the order of Automerge's own batches: level by level, the fields of a map by their names.
fn operations(actor: &ActorId, value: &Map<String, Json>) -> Vec<Op> {
    let mut encoder = Encoder { actor, operations: Vec::new(), containers: VecDeque::new() };
    // A queue, not recursion: Automerge writes all containers of one level before the next.
    encoder.fields(&ObjectId::Root, value);
    while let Some((object, value)) = encoder.containers.pop_front() {
        match value {
            Json::Object(fields) => encoder.fields(&object, fields),
            Json::Array(items) => encoder.items(&object, items),
            _ => {}
        }
    }
    encoder.operations
}

/// The operations so far, and what is still to be written.
struct Encoder<'a> {
    actor: &'a ActorId,
    operations: Vec<Op>,
    /// Maps and lists that an operation has made and that are not filled yet.
    containers: VecDeque<(ObjectId, &'a Json)>,
}

impl<'a> Encoder<'a> {
    fn fields(&mut self, object: &ObjectId, fields: &'a Map<String, Json>) {
        let mut fields: Vec<_> = fields.iter().collect();
        fields.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in fields {
            self.add(object, Key::Map(name.as_str().into()), false, value);
        }
    }

    fn items(&mut self, object: &ObjectId, items: &'a [Json]) {
        let mut before = ElementId::Head;
        // Each element is inserted behind the one before it.
        for value in items {
            before = ElementId::Id(self.add(object, Key::Seq(before), true, value));
        }
    }

    /// Adds the operation that writes one value. Returns the id of the operation.
    fn add(&mut self, object: &ObjectId, key: Key, insert: bool, value: &'a Json) -> OpId {
        // Operations are counted from 1, so an id follows from the place in the list.
        let id = OpId::new(self.operations.len() as u64 + 1, self.actor);
        let made = match value {
            Json::Object(_) => Some(ObjType::Map),
            Json::Array(_) => Some(ObjType::List),
            _ => None,
        };
        if made.is_some() {
            self.containers.push_back((ObjectId::Id(id.clone()), value));
        }
        let action = made.map_or_else(|| OpType::Put(scalar(value)), OpType::Make);
        let pred = SortedVec::new();
        self.operations.push(Op { action, obj: object.clone(), key, pred, insert });
        id
    }
}
