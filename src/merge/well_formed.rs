//! Whether the operations of a change are such as Automerge makes: each fits the object that it is for.
//!
//! Automerge asks that in debug builds only. In others it takes the element of a list in a map, and from then on shows
//! nothing of that map that sorts behind it; and it takes a value in the place of a text's character, and then refuses
//! what others wrote at the same time, or not, depending on which it is given first. So such changes are refused here.

use super::error::MergeError;
use super::panic_guard::catch_panic;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Automerge, Change, ObjId, ObjType, ReadDoc};
use std::collections::HashMap;

/// The objects of a document, and of changes that are to be added to it.
pub(super) struct Objects<'a> {
    am: &'a Automerge,
    made: HashMap<OpId, ObjType>,
}

impl<'a> Objects<'a> {
    pub(super) fn of(am: &'a Automerge) -> Self {
        Objects { am, made: HashMap::new() }
    }

    /// Checks a change, and lets those after it use the objects that it makes.
    pub(super) fn check(&mut self, change: &Change) -> Result<(), MergeError> {
        let (actor, start) = (change.actor_id(), change.start_op().get());
        let operations = catch_panic(|| change.decode())?.operations;
        for (counter, operation) in (start..).zip(&operations) {
            let kind = self.kind(&operation.obj);
            let checked = kind.ok_or("it is for an object that nobody has made");
            checked
                .and_then(|kind| fits(operation, kind))
                .and_then(|()| comes_after(operation, counter, start, actor))
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
        // The last is a hint, and a wrong one does no harm.
        self.am.object_type(ObjId::Id(id.counter(), id.actor().clone(), 0)).ok()
    }
}

type Fits = Result<(), &'static str>;

fn fits(operation: &Op, object: ObjType) -> Fits {
    if operation.action == OpType::Make(ObjType::Table) {
        return Err("it makes a table, which nothing can be written to");
    }
    match (object, &operation.key, operation.insert) {
        (ObjType::Map, Key::Map(_), false) => Ok(()),
        (ObjType::Map, ..) => Err("it is for a map and names no field"),
        (ObjType::List | ObjType::Text, Key::Seq(_), true) => fits_in(operation),
        (ObjType::List, Key::Seq(ElementId::Id(_)), false) => takes_a_place(operation),
        (ObjType::Text, Key::Seq(ElementId::Id(_)), false) => match operation.action {
            OpType::Delete => takes_a_place(operation),
            _ => Err("it is for a character of a text: those are inserted and deleted, not set"),
        },
        (ObjType::List | ObjType::Text, ..) => {
            Err("it is for a list or a text and names no element")
        }
        (ObjType::Table, ..) => Err("it is for a table, which nothing can be written to"),
    }
}

/// An insertion: of a value, in the place of none.
fn fits_in(operation: &Op) -> Fits {
    match (&operation.action, operation.pred.is_empty()) {
        (OpType::Put(_) | OpType::Make(_), true) => Ok(()),
        (_, true) => Err("it inserts no value"),
        (_, false) => Err("it inserts in the place of another value"),
    }
}

fn takes_a_place(operation: &Op) -> Fits {
    match operation.pred.is_empty() {
        false => Ok(()),
        true => Err("it is for an element and takes the place of no value"),
    }
}

/// Whether everything that the operation names was made before it: by one that counts lower, and if that is of the
/// same change, by its actor.
fn comes_after(operation: &Op, counter: u64, start: u64, actor: &ActorId) -> Fits {
    let object = match &operation.obj {
        ObjectId::Id(id) => Some(id),
        ObjectId::Root => None,
    };
    let element = match &operation.key {
        Key::Seq(element) => element.as_opid(),
        Key::Map(_) => None,
    };
    let before =
        |id: &OpId| id.counter() < start || (id.counter() < counter && id.actor() == actor);
    match object.into_iter().chain(element).chain(operation.pred.iter()).all(before) {
        true => Ok(()),
        false => Err("it names an operation that does not come before it"),
    }
}
