//! Reads the tree that a document shows.
//!
//! Trap: Automerge keeps every value that was written to a field concurrently, and shows the one with the greatest
//! operation id. If two processes each create the same map, everything in one of them is hidden. So where the
//! winner is a map, all maps of the field are read as one; the same holds for lists and counters.

use super::common_version::CommonVersions;
use super::counter_sum;
use super::json_values::ValueKind;
use super::text_merge::TextMerge;
use super::text_units::UnitSize;
use super::tree::{Item, ListNode, Loser, MapNode, Node, READ_DEPTH_MAX, Slot, TextValue, Texts};
use automerge::{Automerge, ChangeHash, ObjId, Prop, ROOT, ReadDoc, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The most versions, each the common one of texts in the one before, through which texts are merged.
const ANCESTORS_MAX: usize = 16;

/// One value that Automerge keeps for a field.
#[derive(Debug, Clone)]
pub(super) struct StoredValue {
    /// Number of the part of a merged object in which it lives.
    pub part: usize,
    /// Operation that wrote it.
    pub id: ObjId,
    pub kind: ValueKind,
}

/// All values of one field, sorted into those that are shown and those that lost.
#[derive(Debug)]
pub(super) struct RankedValues {
    /// The value with the greatest operation id.
    pub winner: StoredValue,
    /// The winner and the values that are merged with it, in the order of operation ids.
    pub merged: Vec<StoredValue>,
    /// Values that are neither merged with the winner nor equal to it.
    pub losers: Vec<StoredValue>,
    /// Numbers of the other parts that have a value.
    also_in: Vec<usize>,
}

impl RankedValues {
    fn new(mut found: Vec<StoredValue>) -> Option<Self> {
        // The order in which Automerge returns values is not that of their ids if they come from several parts.
        found.sort_by(|a, b| a.id.cmp(&b.id));
        let winner = found.last()?.clone();
        let mut also_in: Vec<usize> = found.iter().map(|f| f.part).collect();
        also_in.sort_unstable();
        also_in.dedup();
        also_in.retain(|part| *part != winner.part);
        let (merged, mut losers): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|f| f.id == winner.id || f.kind.merges_with(&winner.kind));
        // An equal scalar written twice is no conflict. Two objects are never equal: each can be edited apart.
        losers
            .retain(|loser| !matches!(loser.kind, ValueKind::Json(_)) || loser.kind != winner.kind);
        Some(RankedValues { winner, merged, losers, also_in })
    }
}

/// Reads the tree of a document at its present heads, or at earlier ones.
#[derive(Clone, Copy)]
pub(super) struct TreeReader<'a> {
    pub am: &'a Automerge,
    /// Heads of a past version. `None` for the present one: Automerge's calls without heads are faster.
    pub heads: Option<&'a [ChangeHash]>,
    /// Field of the root whose text is prose.
    pub prose: Option<&'a str>,
    /// Finds the versions that concurrent texts were made from.
    pub common: &'a CommonVersions<'a>,
    /// Number of versions that this one was reached through, each the common one of texts in the one before.
    pub ancestor: usize,
}

impl TreeReader<'_> {
    /// Reads the whole tree.
    pub fn root(&self) -> MapNode {
        self.map(vec![ROOT], 0)
    }

    /// Reads the field `key` of the merged map `parts`, without what is nested in it.
    pub fn field(&self, parts: &[ObjId], key: &str) -> Option<RankedValues> {
        let all = parts.iter().enumerate().flat_map(|(n, part)| self.all(part, key.into(), n));
        RankedValues::new(all.collect())
    }

    fn map(&self, parts: Vec<ObjId>, depth: usize) -> MapNode {
        let fields = match parts.as_slice() {
            // Nearly every map has one part. Its fields come in order already.
            [only] => self
                .values_in_map(only, 0)
                .map(|(key, found)| {
                    let slot = self.slot(found, depth, Some((only, &key)));
                    (key, slot)
                })
                .collect(),
            // The fields of several maps are brought into order and merged by name.
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
        // Texts of several maps are not merged: no version has shown both.
        fields.into_iter().map(|(key, found)| (key, self.slot(found, depth, None))).collect()
    }

    /// Iterates over the fields of one map in Automerge, each with all its values.
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
            // Asking for all values takes a search of its own, so it is done for conflicts only.
            let found = if item.conflict {
                self.all(map, key.as_str().into(), part)
            } else {
                vec![StoredValue { part, id: item.id(), kind: ValueKind::of_ref(item.value) }]
            };
            (key, found)
        })
    }

    /// Reads the lists `parts` one after the other.
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
                items.extend(self.slot(found, depth, None).map(|slot| Item { part, index, slot }));
            }
        }
        ListNode { parts, items }
    }

    /// Reads one object, whether it is shown or removed.
    pub fn object(&self, object: &StoredValue) -> Node {
        self.node(object.kind.clone(), vec![object.id.clone()], 0)
    }

    /// Returns all values that Automerge keeps for one field of one object.
    pub fn all(&self, obj: &ObjId, prop: Prop, part: usize) -> Vec<StoredValue> {
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

    /// Sorts the values of a field, and reads what is nested in them.
    fn slot(
        &self,
        mut found: Vec<StoredValue>,
        depth: usize,
        field: Option<(&ObjId, &str)>,
    ) -> Option<Slot> {
        if found.len() == 1 {
            let StoredValue { part, id, kind } = found.pop()?;
            let shown = self.node(kind, vec![id.clone()], depth + 1);
            let (also_in, losers) = (Vec::new(), Vec::new());
            return Some(Slot { shown, id, part, also_in, losers, texts: None });
        }
        if let Some(texts) = field.and_then(|(map, key)| self.texts(map, key, &found)) {
            let (id, part) = found.into_iter().next_back().map(|last| (last.id, last.part))?;
            let shown = Node::Json(Json::String(texts.merged.text.clone()));
            let (also_in, losers, texts) = (Vec::new(), Vec::new(), Some(Box::new(texts)));
            return Some(Slot { shown, id, part, also_in, losers, texts });
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
        // The latest operation first.
        let losers = losers.into_iter().rev().map(loser).collect();
        Some(Slot { shown, id: winner.id, part: winner.part, also_in, losers, texts: None })
    }

    /// Merges the values of a field of a map, if all are texts that were made from one version of it. Returns `None` if
    /// they are to be shown as any other values in conflict.
    fn texts(&self, map: &ObjId, key: &str, found: &[StoredValue]) -> Option<Texts> {
        if self.ancestor >= ANCESTORS_MAX {
            return None;
        }
        let mut values =
            found.iter().map(|found| self.text_value(found)).collect::<Option<Vec<_>>>()?;
        values.sort_by(|a, b| a.id.cmp(&b.id));
        let changes: Vec<ChangeHash> = values.iter().map(|value| value.change).collect();
        let version = self.common.of(&changes)?;
        let earlier = TreeReader { heads: Some(&version), ancestor: self.ancestor + 1, ..*self };
        let common = earlier.text_in(map, key)?;
        let size = self.unit_size(
            map,
            key,
            values.iter().map(|value| value.text.as_str()).chain([&*common]),
        )?;
        let texts: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
        let merged = TextMerge::new(size, &common, &texts)?.merged();
        Some(Texts { size, common, values, merged })
    }

    /// Returns the size of the units of these texts; `None` if they are short strings, of which one or the other is meant.
    fn unit_size<'t>(
        &self,
        map: &ObjId,
        key: &str,
        mut texts: impl Iterator<Item = &'t str>,
    ) -> Option<UnitSize> {
        if *map == ROOT && self.prose == Some(key) {
            return Some(UnitSize::Sentence);
        }
        texts.any(|text| text.contains('\n')).then_some(UnitSize::Line)
    }

    fn text_value(&self, found: &StoredValue) -> Option<TextValue> {
        let ValueKind::Json(Json::String(text)) = &found.kind else { return None };
        let change = self.am.hash_for_opid(&found.id)?;
        Some(TextValue { id: found.id.clone(), change, text: text.clone() })
    }

    /// Returns the text that a field of a map shows; `None` if it shows something else.
    fn text_in(&self, map: &ObjId, key: &str) -> Option<String> {
        let slot = self.slot(self.all(map, key.into(), 0), 0, Some((map, key)))?;
        match slot.shown {
            Node::Json(Json::String(text)) => Some(text),
            _ => None,
        }
    }

    fn node(&self, kind: ValueKind, ids: Vec<ObjId>, depth: usize) -> Node {
        // The reading recurses. A change of 20,000 nested maps from outside must not exhaust the stack.
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

    /// Reads the winner of several texts: characters of different texts cannot be joined in a meaningful order.
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

    /// Adds up the counters of one field.
    pub fn sum(&self, merged: &[StoredValue]) -> i64 {
        let mut by_part: BTreeMap<usize, Vec<&StoredValue>> = BTreeMap::new();
        for found in merged {
            by_part.entry(found.part).or_default().push(found);
        }
        by_part.into_values().map(|one| self.sum_of(&one)).fold(0, i64::wrapping_add)
    }

    /// Adds up the counters of one field of one object.
    fn sum_of(&self, counters: &[&StoredValue]) -> i64 {
        let counts = counters.iter().map(|found| match found.kind {
            ValueKind::Counter(n) => n,
            _ => 0,
        });
        let added = counts.fold(0, i64::wrapping_add);
        if counters.len() == 1 {
            return added;
        }
        // Trap: Automerge applies an increment to each counter of the field, so their values cannot be added.
        let ids: Vec<&ObjId> = counters.iter().map(|found| &found.id).collect();
        counter_sum::sum(self.am, self.heads, &ids).unwrap_or_else(|error| {
            // Only a forged document gets here. There is no better answer, and the rest of it is still worth showing.
            tracing::warn!(%error, "the increments of concurrent counters cannot be read, so their sum may be too high");
            added
        })
    }
}

fn drop_empty(fields: Vec<(String, Option<Slot>)>) -> Vec<(String, Slot)> {
    fields.into_iter().filter_map(|(key, slot)| Some((key, slot?))).collect()
}
