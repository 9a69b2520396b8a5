//! The tree that a document shows, in which the same map or list created twice is merged.
//!
//! The tree remembers in which object each entry lives, so that [`super::plan`] can edit it there.

use super::hashes::native;
use super::open_places::AnnotatedText;
use super::text_units::UnitSize;
use automerge::{ChangeHash, ObjId};
use serde_json::Value as Json;
use serde_json::value::Index;

/// Maximum depth of the tree. What is nested deeper reads as `null`.
///
/// Writes stop at [`NESTING_MAX`](super::NESTING_MAX), so only changes of other programs get there.
pub(super) const READ_DEPTH_MAX: usize = 100;

/// The most readings that are listed of one lost object.
const READINGS_MAX: usize = 100;

/// A value in the tree.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Json(Json),
    Counter(i64),
    Text { id: ObjId, text: String },
    Map(MapNode),
    List(ListNode),
}

/// One map, or several that are shown as one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct MapNode {
    /// The maps in Automerge, in the order of their operation ids. The last one is the winner.
    pub parts: Vec<ObjId>,
    /// Fields in the order of their names.
    pub fields: Vec<(String, Slot)>,
}

/// One list, or several that are shown one after the other.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ListNode {
    /// The lists in Automerge, in the order of their operation ids. The last one is the winner.
    pub parts: Vec<ObjId>,
    pub items: Vec<Item>,
}

/// An element of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Item {
    /// Number of the part that it lives in.
    pub part: usize,
    /// Position in that part.
    pub index: usize,
    pub slot: Slot,
}

/// A field or an element: the value that it shows, and those that lost against it.
#[derive(Debug, PartialEq)]
pub(super) struct Slot {
    pub shown: Node,
    /// Operation that wrote the shown value.
    pub id: ObjId,
    /// Number of the part in which the shown value lives.
    pub part: usize,
    /// Numbers of the other parts that have the field too.
    pub also_in: Vec<usize>,
    pub losers: Vec<Loser>,
    /// Texts that were written concurrently and are shown as one, or one with open places. They are no losers.
    pub texts: Option<Box<Texts>>,
    /// Values of it that were removed, and stay because of an edit in them. Automerge shows none of them.
    pub kept: Vec<ObjId>,
    /// True if all its values were removed. In a list, Automerge shows no such element at its index.
    pub is_removed: bool,
}

/// Texts of one field, merged, or one text with open places.
#[derive(Debug, PartialEq)]
pub(super) struct Texts {
    /// Size of their units.
    pub size: UnitSize,
    /// The text that is shown, and where other readings are open.
    pub shown: AnnotatedText,
}

/// A value that was written concurrently with the shown one, differs from it and is not merged with it.
#[derive(Debug, PartialEq)]
pub(super) struct Loser {
    pub node: Node,
    /// The text with its open places, if it is one that has any.
    pub texts: Option<Box<Texts>>,
    /// Operation that wrote it.
    pub id: ObjId,
    /// Number of the part in which it lives.
    pub part: usize,
    /// The change that edited it, if it was removed and stays.
    pub edited: Option<ChangeHash>,
}

impl MapNode {
    /// Returns the field of this name.
    pub fn field(&self, name: &str) -> Option<&Slot> {
        let at = self.fields.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.fields.get(at).map(|(_, slot)| slot)
    }
}

impl Slot {
    /// Returns a slot with one value.
    pub fn new(shown: Node, id: ObjId, part: usize) -> Self {
        let (also_in, losers, kept) = (Vec::new(), Vec::new(), Vec::new());
        Slot { shown, id, part, also_in, losers, texts: None, kept, is_removed: false }
    }

    /// Returns true if a write of this value would not replace what is shown.
    pub fn is_edited_in_place(&self, wanted: &Json) -> bool {
        match (&self.shown, wanted) {
            (Node::Map(_), Json::Object(_)) | (Node::List(_), Json::Array(_)) => true,
            (Node::Text { .. }, Json::String(_)) => true,
            (shown, wanted) => shown.to_json() == *wanted,
        }
    }

    /// Returns true if this slot or anything in the shown value is in conflict.
    pub fn in_conflict(&self) -> bool {
        !self.losers.is_empty()
            || self.texts.as_ref().is_some_and(|texts| texts.is_in_conflict())
            || match &self.shown {
                Node::Map(map) => map.fields.iter().any(|(_, slot)| slot.in_conflict()),
                Node::List(list) => list.items.iter().any(|item| item.slot.in_conflict()),
                Node::Json(_) | Node::Counter(_) | Node::Text { .. } => false,
            }
    }
}

/// A reading that a field does not show.
pub(super) struct OtherReading<'t> {
    pub value: Json,
    /// Operation that wrote it.
    pub id: &'t ObjId,
    /// The change that wrote the reading, if that is not the change of the operation.
    pub edited: Option<ChangeHash>,
}

impl Slot {
    /// Returns all readings that lost. Of a lost object with conflicts in it, one for each reading that is not shown there.
    pub fn lost_readings(&self) -> impl Iterator<Item = OtherReading<'_>> {
        self.losers.iter().flat_map(|Loser { node, texts, id, edited, .. }| {
            let own = OtherReading { value: node.to_json(), id, edited: *edited };
            let texts = texts.iter().flat_map(|texts| texts.hidden_readings(id));
            std::iter::once(own).chain(texts).chain(node.hidden_readings())
        })
    }

    /// Returns the readings that neither this slot nor anything in it shows.
    fn hidden_readings(&self) -> Vec<OtherReading<'_>> {
        let texts = self.texts.iter().flat_map(|texts| texts.hidden_readings(&self.id));
        self.lost_readings().chain(texts).chain(self.shown.hidden_readings()).collect()
    }
}

impl Node {
    /// Returns the value once for each reading in it that is not shown, with that reading in its place.
    fn hidden_readings(&self) -> Vec<OtherReading<'_>> {
        match self {
            Node::Json(_) | Node::Counter(_) | Node::Text { .. } => Vec::new(),
            Node::Map(map) => {
                self.with(map.fields.iter().map(|(name, slot)| (name.as_str(), slot)))
            }
            Node::List(list) => self.with(list.items.iter().map(|item| &item.slot).enumerate()),
        }
    }

    fn with<'t, I: Index>(
        &self,
        slots: impl Iterator<Item = (I, &'t Slot)>,
    ) -> Vec<OtherReading<'t>> {
        let mut found = Vec::new();
        for (at, slot) in slots {
            for mut reading in slot.hidden_readings() {
                // Each reading has a copy of the whole value.
                if found.len() >= READINGS_MAX {
                    return found;
                }
                let mut whole = self.to_json();
                if let Some(part) = whole.get_mut(&at) {
                    *part = reading.value;
                }
                reading.value = whole;
                found.push(reading);
            }
        }
        found
    }
}

impl Texts {
    /// Returns true if they disagree anywhere.
    pub fn is_in_conflict(&self) -> bool {
        !self.shown.open.is_empty()
    }

    /// Returns the whole text once for each reading that it does not show.
    fn hidden_readings<'t>(&self, id: &'t ObjId) -> impl Iterator<Item = OtherReading<'t>> {
        self.shown.with_others(self.size).into_iter().map(move |reading| OtherReading {
            value: Json::String(reading.text),
            id,
            edited: Some(native(&reading.change)),
        })
    }
}

impl Node {
    /// Returns the shown value as JSON.
    pub fn to_json(&self) -> Json {
        match self {
            Node::Json(value) => value.clone(),
            Node::Counter(n) => Json::from(*n),
            Node::Text { text, .. } => Json::String(text.clone()),
            Node::Map(map) => {
                let field = |(key, slot): &(String, Slot)| (key.clone(), slot.shown.to_json());
                Json::Object(map.fields.iter().map(field).collect())
            }
            Node::List(list) => {
                Json::Array(list.items.iter().map(|item| item.slot.shown.to_json()).collect())
            }
        }
    }
}
