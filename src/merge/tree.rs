//! What a document shows: one tree, in which the same map or list created twice is merged.
//!
//! Automerge keeps every value that was written to a field at the same time and shows the one with
//! the greatest operation id. Where that one is a map (a list, a counter), this reading joins all
//! maps (lists, counters) of the field instead of hiding all but one. The tree remembers in which
//! object each entry lives, so that [`super::plan`] can edit it there.

use super::counter;
use automerge::{Automerge, ChangeHash, ObjId, Prop, ROOT, ReadDoc, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// How deep the tree goes; what is nested deeper reads as `null`. Writing stops earlier, so only
/// changes of other programs get there.
pub(super) const READ_DEPTH_MAX: usize = 100;

#[derive(Debug)]
pub(super) enum Node {
    Json(Json),
    Counter(i64),
    Text { id: ObjId, text: String },
    Map(MapNode),
    List(ListNode),
}

/// One map, or several that are shown as one. The last part is the winner.
#[derive(Debug, Default)]
pub(super) struct MapNode {
    pub parts: Vec<ObjId>,
    /// In the order of their names.
    pub fields: Vec<(String, Slot)>,
}

/// One list, or several that follow each other. The last part is the winner.
#[derive(Debug, Default)]
pub(super) struct ListNode {
    pub parts: Vec<ObjId>,
    pub items: Vec<Item>,
}

#[derive(Debug)]
pub(super) struct Item {
    /// Which of the list's parts it is in, and where.
    pub part: usize,
    pub index: usize,
    pub slot: Slot,
}

/// A field or an element: what it shows, and what it does not.
#[derive(Debug)]
pub(super) struct Slot {
    pub shown: Node,
    /// The operation that wrote the shown value.
    pub id: ObjId,
    /// In which part of the map the shown value lives, and which other parts have the field too.
    pub part: usize,
    pub also_in: Vec<usize>,
    pub losers: Vec<Loser>,
}

/// A value that was written at the same time as the shown one, differs from it and is not merged
/// with it.
#[derive(Debug)]
pub(super) struct Loser {
    pub node: Node,
    pub id: ObjId,
    pub part: usize,
}

/// One value that Automerge keeps for a field.
#[derive(Debug, Clone)]
pub(super) struct StoredValue {
    pub part: usize,
    pub id: ObjId,
    pub kind: ValueKind,
}

/// Everything that was found for one field, sorted into what is shown and what is not.
#[derive(Debug)]
pub(super) struct RankedValues {
    pub winner: StoredValue,
    /// The winner and what is merged with it, in the order of operation ids.
    pub merged: Vec<StoredValue>,
    /// Neither merged with the winner nor equal to it.
    pub losers: Vec<StoredValue>,
    also_in: Vec<usize>,
}

impl RankedValues {
    fn new(mut found: Vec<StoredValue>) -> Option<Self> {
        found.sort_by(|a, b| a.id.cmp(&b.id));
        let winner = found.last()?.clone();
        let mut also_in: Vec<usize> = found.iter().map(|f| f.part).collect();
        also_in.sort_unstable();
        also_in.dedup();
        also_in.retain(|part| *part != winner.part);
        let (merged, mut losers): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|f| f.id == winner.id || f.kind.merges_with(&winner.kind));
        losers
            .retain(|loser| !matches!(loser.kind, ValueKind::Json(_)) || loser.kind != winner.kind);
        Some(RankedValues { winner, merged, losers, also_in })
    }
}

/// Reads a document at its present heads, or at earlier ones.
#[derive(Clone, Copy)]
pub(super) struct TreeReader<'a> {
    pub am: &'a Automerge,
    pub heads: Option<&'a [ChangeHash]>,
}

impl TreeReader<'_> {
    pub fn root(&self) -> MapNode {
        self.map(vec![ROOT], 0)
    }

    /// The field `key` of the merged map `parts`, without what is nested in it.
    pub fn field(&self, parts: &[ObjId], key: &str) -> Option<RankedValues> {
        let all = parts.iter().enumerate().flat_map(|(n, part)| self.all(part, key.into(), n));
        RankedValues::new(all.collect())
    }

    fn map(&self, parts: Vec<ObjId>, depth: usize) -> MapNode {
        let fields = match parts.as_slice() {
            [only] => self
                .values_in_map(only, 0)
                .map(|(key, found)| (key, self.slot(found, depth)))
                .collect(),
            _ => self.merged_fields(&parts, depth),
        };
        MapNode { parts, fields: drop_empty(fields) }
    }

    fn merged_fields(&self, parts: &[ObjId], depth: usize) -> Vec<(String, Option<Slot>)> {
        let mut fields: BTreeMap<String, Vec<StoredValue>> = BTreeMap::new();
        for (n, part) in parts.iter().enumerate() {
            for (key, found) in self.values_in_map(part, n) {
                fields.entry(key).or_default().extend(found);
            }
        }
        fields.into_iter().map(|(key, found)| (key, self.slot(found, depth))).collect()
    }

    fn values_in_map(
        &self,
        map: &ObjId,
        part: usize,
    ) -> impl Iterator<Item = (String, Vec<StoredValue>)> {
        let range = match self.heads {
            None => self.am.map_range(map, ..),
            Some(heads) => self.am.map_range_at(map, .., heads),
        };
        range.map(move |item| {
            let key = item.key.to_string();
            let found = if item.conflict {
                self.all(map, key.as_str().into(), part)
            } else {
                vec![StoredValue { part, id: item.id(), kind: ValueKind::of_ref(item.value) }]
            };
            (key, found)
        })
    }

    pub fn list(&self, parts: Vec<ObjId>, depth: usize) -> ListNode {
        let mut items = Vec::new();
        for (part, list) in parts.iter().enumerate() {
            let range = match self.heads {
                None => self.am.list_range(list, ..),
                Some(heads) => self.am.list_range_at(list, .., heads),
            };
            for item in range {
                let index = item.index;
                let found = if item.conflict {
                    self.all(list, index.into(), 0)
                } else {
                    vec![StoredValue {
                        part: 0,
                        id: item.id(),
                        kind: ValueKind::of_ref(item.value),
                    }]
                };
                items.extend(self.slot(found, depth).map(|slot| Item { part, index, slot }));
            }
        }
        ListNode { parts, items }
    }

    /// Every value that Automerge keeps for one field of one object.
    fn all(&self, obj: &ObjId, prop: Prop, part: usize) -> Vec<StoredValue> {
        let values = match self.heads {
            None => self.am.get_all(obj, prop),
            Some(heads) => self.am.get_all_at(obj, prop, heads),
        };
        // An object that is not there, or of another type, has no values.
        let values = values.unwrap_or_default();
        let found = |(value, id): (Value<'_>, ObjId)| {
            let kind = match value {
                Value::Object(kind) => ValueKind::object(kind),
                Value::Scalar(scalar) => ValueKind::of(scalar.into_owned()),
            };
            StoredValue { part, id, kind }
        };
        values.into_iter().map(found).collect()
    }

    fn slot(&self, mut found: Vec<StoredValue>, depth: usize) -> Option<Slot> {
        if found.len() == 1 {
            let StoredValue { part, id, kind } = found.pop()?;
            let shown = self.node(kind, vec![id.clone()], depth + 1);
            return Some(Slot { shown, id, part, also_in: Vec::new(), losers: Vec::new() });
        }
        let RankedValues { winner, merged, losers, also_in } = RankedValues::new(found)?;
        let shown = match winner.kind {
            ValueKind::Counter(_) => Node::Counter(self.sum(&merged)),
            kind => self.node(kind, merged.into_iter().map(|f| f.id).collect(), depth + 1),
        };
        let loser = |StoredValue { part, id, kind }: StoredValue| {
            let node = self.node(kind, vec![id.clone()], depth + 1);
            Loser { node, id, part }
        };
        let losers = losers.into_iter().rev().map(loser).collect();
        Some(Slot { shown, id: winner.id, part: winner.part, also_in, losers })
    }

    fn node(&self, kind: ValueKind, ids: Vec<ObjId>, depth: usize) -> Node {
        if depth > READ_DEPTH_MAX {
            return Node::Json(Json::Null);
        }
        match kind {
            ValueKind::Map => Node::Map(self.map(ids, depth)),
            ValueKind::List => Node::List(self.list(ids, depth)),
            ValueKind::Text => self.text(ids),
            ValueKind::Counter(n) => Node::Counter(n),
            ValueKind::Json(value) => Node::Json(value),
        }
    }

    fn text(&self, ids: Vec<ObjId>) -> Node {
        let text = ids.into_iter().next_back().and_then(|id| {
            let text = match self.heads {
                None => self.am.text(&id),
                Some(heads) => self.am.text_at(&id, heads),
            };
            text.map(|text| Node::Text { id, text }).ok()
        });
        text.unwrap_or(Node::Json(Json::Null))
    }

    /// The counters of one field, added up. Where one object has several, Automerge applies every
    /// later increment to each of them, so they cannot simply be added.
    pub fn sum(&self, merged: &[StoredValue]) -> i64 {
        let mut by_part: BTreeMap<usize, Vec<&StoredValue>> = BTreeMap::new();
        for found in merged {
            by_part.entry(found.part).or_default().push(found);
        }
        by_part.into_values().map(|one| self.sum_of(&one)).fold(0, i64::wrapping_add)
    }

    /// The counters of one object.
    fn sum_of(&self, counters: &[&StoredValue]) -> i64 {
        let counts = counters.iter().map(|found| match found.kind {
            ValueKind::Counter(n) => n,
            _ => 0,
        });
        let added = counts.fold(0, i64::wrapping_add);
        if counters.len() == 1 {
            return added;
        }
        let ids: Vec<&ObjId> = counters.iter().map(|found| &found.id).collect();
        counter::sum(self.am, self.heads, &ids).unwrap_or_else(|error| {
            // Of a forged document there is no better answer, and what else it shows is not to be lost.
            tracing::warn!(%error, "counters that were made at the same time are added up as they are");
            added
        })
    }
}

fn drop_empty(fields: Vec<(String, Option<Slot>)>) -> Vec<(String, Slot)> {
    fields.into_iter().filter_map(|(key, slot)| Some((key, slot?))).collect()
}

impl Slot {
    /// Whether it, or anything in what it shows, is in conflict.
    pub fn in_conflict(&self) -> bool {
        !self.losers.is_empty()
            || match &self.shown {
                Node::Map(map) => map.fields.iter().any(|(_, slot)| slot.in_conflict()),
                Node::List(list) => list.items.iter().any(|item| item.slot.in_conflict()),
                Node::Json(_) | Node::Counter(_) | Node::Text { .. } => false,
            }
    }
}

impl Node {
    /// The JSON that stands for it, without what is in conflict.
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
