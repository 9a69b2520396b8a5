//! The elements of one list: those that Automerge shows, and those that were removed and stay.

use super::edits_inside::obj_id;
use super::json_values::ValueKind;
use super::kept_objects::{KeptValue, Position, is_in_element};
use super::stored_values::{StoredValue, add_kept};
use automerge::legacy::OpId;
use automerge::{Automerge, ChangeHash, Cursor, ObjId, ReadDoc};

/// One element of a list.
pub(super) struct Element {
    /// Position among the elements that Automerge shows. One that was removed stands before the element of this position.
    pub index: usize,
    /// Its values.
    pub found: Vec<StoredValue>,
}

/// Reads the elements of a list in a version, or in the present one if `None`, with what is kept of it.
pub(super) fn elements(
    am: &Automerge,
    heads: Option<&[ChangeHash]>,
    list: &ObjId,
    kept: &[KeptValue],
    all: impl Fn(usize) -> Vec<StoredValue>,
) -> Vec<Element> {
    let range = match heads {
        None => am.list_range(list, ..),
        Some(heads) => am.list_range_at(list, .., heads),
    };
    let element = |item: automerge::iter::ListRangeItem<'_>| {
        // Asking for all values takes a search of its own, so it is done for conflicts only.
        let found = if item.conflict {
            all(item.index)
        } else {
            let (id, kind) = (item.id(), ValueKind::of_ref(item.value));
            vec![StoredValue { part: 0, id, kind, is_kept: false }]
        };
        Element { index: item.index, found }
    };
    let standing = range.map(element).collect();
    if kept.is_empty() { standing } else { with_kept(am, heads, list, kept, standing) }
}

/// Puts what is kept in its place. Elements that were removed from one place stand in the order of their operations.
fn with_kept(
    am: &Automerge,
    heads: Option<&[ChangeHash]>,
    list: &ObjId,
    kept: &[KeptValue],
    mut standing: Vec<Element>,
) -> Vec<Element> {
    let heads = heads.map_or_else(|| am.get_heads(), <[_]>::to_vec);
    let mut removed: Vec<(usize, &OpId, Element)> = Vec::new();
    for value in kept {
        let Position::Element(inserted) = &value.position else { continue };
        let Some(index) = index_of(am, &heads, list, inserted) else { continue };
        let next = standing.get_mut(index).filter(|next| is_here(am, next, inserted));
        let same = removed.iter_mut().find(|(_, known, _)| *known == inserted);
        match next.or(same.map(|(_, _, element)| element)) {
            Some(element) => add_kept(&mut element.found, std::iter::once(value), 0),
            None => {
                let found = vec![StoredValue::kept(value, 0)];
                removed.push((index, inserted, Element { index, found }));
            }
        }
    }
    removed.sort_by_key(|(index, inserted, _)| (*index, obj_id(inserted)));
    let mut all = Vec::with_capacity(standing.len() + removed.len());
    let mut removed = removed.into_iter().peekable();
    for element in standing {
        while let Some((_, _, before)) = removed.next_if(|(index, ..)| *index <= element.index) {
            all.push(before);
        }
        all.push(element);
    }
    all.extend(removed.map(|(_, _, element)| element));
    all
}

/// Returns the number of elements that Automerge shows before one that was removed.
///
/// Trap: Automerge finds no position for an element behind which it shows none. At the present heads, a debug build panics
/// there. So the change that inserted the element is named beside them, which makes no other version.
fn index_of(am: &Automerge, heads: &[ChangeHash], list: &ObjId, element: &OpId) -> Option<usize> {
    let inserted = am.hash_for_opid(&obj_id(element));
    let heads: Vec<ChangeHash> = heads.iter().copied().chain(inserted).collect();
    let cursor = Cursor::try_from(obj_id(element).to_string()).ok()?;
    let found = am.get_cursor_position(list, &cursor, Some(&heads));
    Some(found.unwrap_or_else(|_| am.length_at(list, &heads)))
}

/// Returns true if this element was inserted by this operation.
fn is_here(am: &Automerge, element: &Element, inserted: &OpId) -> bool {
    let value = element.found.iter().find(|value| !value.is_kept);
    // If the writer cannot be read, the document was forged, and two elements are shown in place of one.
    value.is_some_and(|value| is_in_element(am, &value.id, inserted).unwrap_or(false))
}
