//! Checks that the operations of a change are such as Automerge makes: each fits the object that it changes.
//!
//! Trap: Automerge asserts this in debug builds only. A release build accepts the element of a list in a map, and from
//! then on shows nothing of that map that sorts behind it. It also accepts a value in the place of a text's
//! character, and then refuses concurrent changes or not, depending on which comes first. So such changes are
//! refused here.

use super::error::MergeError;
use super::panic_guard::catch_panic;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Automerge, Change, ObjId, ObjType, ReadDoc};
use std::collections::HashMap;

/// The objects of a document, and those of a batch of changes that is to be added to it.
pub(super) struct Objects<'a> {
    am: &'a Automerge,
    /// Objects that the batch makes, by the operation that makes them.
    made: HashMap<OpId, ObjType>,
}

impl<'a> Objects<'a> {
    /// Starts with the objects of a document.
    pub(super) fn of(am: &'a Automerge) -> Self {
        Objects { am, made: HashMap::new() }
    }

    /// Checks a change, and adds the objects that it makes for the changes after it.
    pub(super) fn check(&mut self, change: &Change) -> Result<(), MergeError> {
        let (actor, start) = (change.actor_id(), change.start_op().get());
        // Decoding panics over an operation that refers to an actor that the change does not list.
        let operations = catch_panic(|| change.decode())?.operations;
        for (counter, operation) in (start..).zip(&operations) {
            let kind = self.kind(&operation.obj);
            let checked = kind.ok_or("its object does not exist");
            checked
                .and_then(|kind| check_fit(operation, kind))
                .and_then(|()| check_order(operation, counter, start, actor))
                .map_err(|why| MergeError::MalformedOperation { counter, why })?;
            if let OpType::Make(kind) = operation.action {
                self.made.insert(OpId::new(counter, actor), kind);
            }
        }
        Ok(())
    }

    fn kind(&self, object: &ObjectId) -> Option<ObjType> {
        let ObjectId::Id(id) = object else { return Some(ObjType::Map) };
        if let Some(kind) = self.made.get(id) {
            return Some(*kind);
        }
        // The last argument is a hint where Automerge looks first. A wrong one does no harm.
        self.am.object_type(ObjId::Id(id.counter(), id.actor().clone(), 0)).ok()
    }
}

/// The error is what is wrong with the operation.
type Fit = Result<(), &'static str>;

/// Checks that the key, the action and the predecessors of an operation fit the type of its object.
fn check_fit(operation: &Op, object: ObjType) -> Fit {
    if operation.action == OpType::Make(ObjType::Table) {
        return Err("it makes a table, which nothing can be written to");
    }
    match (object, &operation.key, operation.insert) {
        // A put into a field with nothing to overwrite is the usual first write, so predecessors are not checked here.
        (ObjType::Map, Key::Map(_), false) => Ok(()),
        (ObjType::Map, ..) => Err("it changes a map and names no field"),
        (ObjType::List | ObjType::Text, Key::Seq(_), true) => check_insertion(operation),
        (ObjType::List, Key::Seq(ElementId::Id(_)), false) => check_overwrite(operation),
        (ObjType::Text, Key::Seq(ElementId::Id(_)), false) => match operation.action {
            OpType::Delete => check_overwrite(operation),
            _ => Err("it sets a character of a text: insert and delete characters instead"),
        },
        (ObjType::List | ObjType::Text, ..) => {
            Err("it changes a list or a text and names no element")
        }
        (ObjType::Table, ..) => Err("it changes a table, which nothing can be written to"),
    }
}

/// Checks that an insertion inserts a value and overwrites none.
fn check_insertion(operation: &Op) -> Fit {
    match (&operation.action, operation.pred.is_empty()) {
        (OpType::Put(_) | OpType::Make(_), true) => Ok(()),
        (_, true) => Err("it inserts no value"),
        (_, false) => Err("it is an insertion and overwrites a value"),
    }
}

/// Checks that an operation on an element overwrites a value.
fn check_overwrite(operation: &Op) -> Fit {
    match operation.pred.is_empty() {
        false => Ok(()),
        true => Err("it changes an element and overwrites no value of it"),
    }
}

/// Checks that everything the operation names was made before it: it has a lower counter, and if the counter is
/// one of the same change, the same actor.
fn check_order(operation: &Op, counter: u64, start: u64, actor: &ActorId) -> Fit {
    let object = match &operation.obj {
        ObjectId::Id(id) => Some(id),
        ObjectId::Root => None,
    };
    let element = match &operation.key {
        Key::Seq(element) => element.as_opid(),
        Key::Map(_) => None,
    };
    // Counters below the start of the change may belong to any actor. From there on, only this change has made some
    // that it can know of.
    let before =
        |id: &OpId| id.counter() < start || (id.counter() < counter && id.actor() == actor);
    match object.into_iter().chain(element).chain(operation.pred.iter()).all(before) {
        true => Ok(()),
        false => Err("it names an operation that does not come before it"),
    }
}
