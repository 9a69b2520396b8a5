//! Reads the tree that a document shows.
//!
//! Trap: Automerge keeps every value that was written to a field concurrently, and shows the one with the greatest
//! operation id. If two processes each create the same map, everything in one of them is hidden. So where the
//! winner is a map, all maps of the field are read as one; the same holds for lists and counters.

use super::common_version::CommonVersions;
use super::concurrent_texts::{CommonText, merge_in_order};
use super::counter_sum;
use super::earlier_texts::{EarlierField, EarlierTexts};
use super::hashes::native;
use super::json_values::ValueKind;
use super::kept_objects::{KeptObjects, KeptValue, Position};
use super::list_elements::{Element, elements};
use super::open_places::{AnnotatedText, OpenPlace};
use super::open_texts::OpenTexts;
use super::stored_values::{RankedValues, StoredValue, add_kept};
use super::text_merge::Source;
use super::text_units::UnitSize;
use super::tree::{Item, ListNode, Loser, MapNode, Node, READ_DEPTH_MAX, Slot, Texts};
use crate::format::hash;
use automerge::{Automerge, ChangeHash, ObjId, Prop, ROOT, ReadDoc, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashSet};

/// The most versions, each the common one of texts in the one before, through which texts are merged.
const ANCESTORS_MAX: usize = 16;

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
    /// Finds the open places of single texts.
    pub open: &'a OpenTexts<'a>,
    /// Keeps what was read of these versions.
    pub earlier: &'a EarlierTexts,
    /// Number of versions that this one was reached through, each the common one of texts in the one before.
    pub ancestor: usize,
    /// Values that were removed and stay.
    pub kept: Option<&'a KeptObjects>,
}

/// A field of one map.
#[derive(Clone, Copy)]
struct Field<'f> {
    map: &'f ObjId,
    key: &'f str,
}

impl TreeReader<'_> {
    /// Reads the whole tree.
    pub fn root(&self) -> MapNode {
        self.map(vec![ROOT], 0)
    }

    /// Reads the field `key` of the merged map `parts`, without what is nested in it.
    pub fn field(&self, parts: &[ObjId], key: &str) -> Option<RankedValues> {
        let mut all = Vec::new();
        for (n, part) in parts.iter().enumerate() {
            all.extend(self.all(part, key.into(), n));
            let here =
                |kept: &&KeptValue| matches!(&kept.position, Position::Field(name) if name == key);
            add_kept(&mut all, self.kept_in(part).iter().filter(here), n);
        }
        RankedValues::new(all)
    }

    /// Returns what is kept of one object.
    pub fn kept_in(&self, object: &ObjId) -> &[KeptValue] {
        self.kept.map_or(&[], |kept| kept.of(object))
    }

    fn map(&self, parts: Vec<ObjId>, depth: usize) -> MapNode {
        let fields = match parts.as_slice() {
            // Nearly every map has one part. Its fields come in order already.
            [only] if self.kept_in(only).is_empty() => self
                .values_in_map(only, 0)
                .map(|(key, found)| {
                    let slot = self.slot(found, depth, Some(Field { map: only, key: &key }));
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
            for kept in self.kept_in(part) {
                if let Position::Field(key) = &kept.position {
                    add_kept(fields.entry(key.clone()).or_default(), std::iter::once(kept), n);
                }
            }
        }
        let slot = |(key, found): (String, Vec<StoredValue>)| {
            // Texts of several maps are not merged: no version has shown both.
            let part = found.first().map(|first| first.part);
            let part = part.filter(|part| found.iter().all(|found| found.part == *part));
            let map = part.and_then(|part| parts.get(part));
            let slot = self.slot(found, depth, map.map(|map| Field { map, key: &key }));
            (key, slot)
        };
        fields.into_iter().map(slot).collect()
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
                let (id, kind) = (item.id(), ValueKind::of_ref(item.value));
                vec![StoredValue { part, id, kind, is_kept: false }]
            };
            (key, found)
        })
    }

    /// Reads the lists `parts` one after the other.
    pub fn list(&self, parts: Vec<ObjId>, depth: usize) -> ListNode {
        let mut items = Vec::new();
        for (part, list) in parts.iter().enumerate() {
            let all = |index: usize| self.all(list, index.into(), 0);
            let found = elements(self.am, self.heads, list, self.kept_in(list), all);
            for Element { index, found } in found {
                items.extend(self.slot(found, depth, None).map(|slot| Item { part, index, slot }));
            }
        }
        ListNode { parts, items }
    }

    /// Returns all values that Automerge keeps for one field of one object.
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
            StoredValue { part, id, kind, is_kept: false }
        };
        values.into_iter().map(found).collect()
    }

    /// Sorts the values of a field, and reads what is nested in them.
    fn slot(
        &self,
        found: Vec<StoredValue>,
        depth: usize,
        field: Option<Field<'_>>,
    ) -> Option<Slot> {
        let is_kept = |found: &StoredValue| found.is_kept;
        if !found.iter().any(is_kept) {
            return self.slot_of(found, depth, field);
        }
        let (kept, standing): (Vec<_>, Vec<_>) = found.into_iter().partition(is_kept);
        let ids = kept.iter().map(|kept| kept.id.clone()).collect();
        if standing.is_empty() {
            let slot = self.slot_of(kept, depth, None)?;
            return Some(Slot { kept: ids, is_removed: true, ..slot });
        }
        let mut slot = self.slot_of(standing, depth, field)?;
        slot.losers.extend(kept.into_iter().map(|kept| self.loser(kept, depth, None)));
        slot.losers.sort_by(|a, b| b.id.cmp(&a.id));
        Some(Slot { kept: ids, ..slot })
    }

    /// Sorts values of which all or none were removed.
    fn slot_of(
        &self,
        mut found: Vec<StoredValue>,
        depth: usize,
        field: Option<Field<'_>>,
    ) -> Option<Slot> {
        if found.len() == 1 {
            let value = found.pop()?;
            let texts = field.and_then(|field| self.open_text(field, &value));
            let StoredValue { part, id, kind, .. } = value;
            let shown = self.node(kind, vec![id.clone()], depth + 1);
            return Some(Slot { texts, ..Slot::new(shown, id, part) });
        }
        if let Some(texts) = field.and_then(|field| self.texts(field, &found)) {
            let (id, part) = found.into_iter().next_back().map(|last| (last.id, last.part))?;
            let shown = Node::Json(Json::String(texts.shown.text.clone()));
            return Some(Slot { texts: Some(Box::new(texts)), ..Slot::new(shown, id, part) });
        }
        let RankedValues { winner, merged, losers, also_in } = RankedValues::new(found)?;
        let texts = field.and_then(|field| self.open_text(field, &winner));
        let shown = match winner.kind {
            ValueKind::Counter(_) => Node::Counter(self.sum(&merged)),
            kind => self.node(kind, merged.into_iter().map(|f| f.id).collect(), depth + 1),
        };
        // The latest operation first.
        let losers =
            losers.into_iter().rev().map(|loser| self.loser(loser, depth, field)).collect();
        Some(Slot { also_in, losers, texts, ..Slot::new(shown, winner.id, winner.part) })
    }

    fn loser(&self, loser: StoredValue, depth: usize, field: Option<Field<'_>>) -> Loser {
        let texts = field.and_then(|field| self.open_text(field, &loser));
        let StoredValue { part, id, kind, is_kept } = loser;
        let edited = self.kept.filter(|_| is_kept).and_then(|kept| kept.edited(&id));
        let node = self.node(kind, vec![id.clone()], depth + 1);
        Loser { node, texts, id, part, edited }
    }

    /// Returns a single text with its open places, if it has any.
    fn open_text(&self, field: Field<'_>, value: &StoredValue) -> Option<Box<Texts>> {
        let ValueKind::Json(Json::String(text)) = &value.kind else { return None };
        let listed = self.open.of(&value.id);
        let size = self.unit_size(field);
        let shown = (!listed.is_empty()).then(|| AnnotatedText::of_message(size, text, listed))?;
        (!shown.open.is_empty()).then(|| Box::new(Texts { size, shown }))
    }

    /// Merges the values of a field of a map, if all are texts that were made from one version of it. Returns `None` if
    /// they are to be shown as any other values in conflict.
    fn texts(&self, field: Field<'_>, found: &[StoredValue]) -> Option<Texts> {
        if self.ancestor >= ANCESTORS_MAX {
            return None;
        }
        let value = |found: &StoredValue| self.text_value(field, found);
        let mut values = found.iter().map(value).collect::<Option<Vec<_>>>()?;
        values.sort_by(|a, b| a.id.cmp(&b.id));
        let changes: Vec<ChangeHash> = values.iter().map(|value| value.change).collect();
        let common = self.common_texts(field, &changes)?;
        // Of short strings, one or the other is meant.
        let is_text = self.is_prose(field)
            || common.iter().any(|common| common.text.contains('\n'))
            || values.iter().any(|value| value.text.contains('\n') || !value.open.is_empty());
        if !is_text {
            return None;
        }
        let seen = self.seen_by(&values);
        let seen = |writer: &_, change: &_| seen.contains(&(*writer, *change));
        let changes: Vec<_> = values.iter().map(TextValue::own_change).collect();
        let sources: Vec<_> = values.iter().zip(changes.chunks(1)).map(TextValue::source).collect();
        let size = self.unit_size(field);
        let shown = merge_in_order(size, &sources, &changes, &common, &seen)?;
        Some(Texts { size, shown })
    }

    /// Returns for each of the texts of some changes, but the first, what it and those before it were made from.
    fn common_texts(&self, field: Field<'_>, changes: &[ChangeHash]) -> Option<Vec<CommonText>> {
        let versions = self.common.of(changes)?.into_iter();
        let text = |version: Vec<_>| {
            let text = self.earlier_text(field, &version)?;
            Some(CommonText { version, text })
        };
        versions.map(text).collect()
    }

    /// Returns the text that a field showed at an earlier version.
    fn earlier_text(&self, field: Field<'_>, version: &[ChangeHash]) -> Option<String> {
        let ancestor = self.ancestor + 1;
        let (map, key) = (field.map.clone(), field.key.to_owned());
        let place = EarlierField { version: version.to_vec(), map, key, ancestor };
        // What is kept is no text, so it is not looked for in earlier versions.
        let reader = TreeReader { heads: Some(version), ancestor, kept: None, ..*self };
        self.earlier.text(place, || reader.text_in(field))
    }

    /// Returns the writers of some texts, each with every change with an open reading that the writer had seen.
    fn seen_by(&self, values: &[TextValue]) -> HashSet<(hash::ChangeHash, hash::ChangeHash)> {
        let open = values.iter().flat_map(|value| &value.open);
        let named: Vec<ChangeHash> = open.flat_map(OpenPlace::changes).map(native).collect();
        if named.is_empty() {
            return HashSet::new();
        }
        let seen = |value: &TextValue| {
            let seen = self.common.seen_by(&value.change, named.iter()).unwrap_or_default();
            let writer = value.own_change();
            seen.into_iter().map(move |change| (writer, hash::ChangeHash(change.0)))
        };
        values.iter().flat_map(seen).collect()
    }

    fn is_prose(&self, field: Field<'_>) -> bool {
        *field.map == ROOT && self.prose == Some(field.key)
    }

    fn unit_size(&self, field: Field<'_>) -> UnitSize {
        if self.is_prose(field) { UnitSize::Sentence } else { UnitSize::Line }
    }

    fn text_value(&self, field: Field<'_>, found: &StoredValue) -> Option<TextValue> {
        let ValueKind::Json(Json::String(text)) = &found.kind else { return None };
        let change = self.am.hash_for_opid(&found.id)?;
        let open = self.open_text(field, found).map_or_else(Vec::new, |texts| texts.shown.open);
        Some(TextValue { id: found.id.clone(), change, text: text.clone(), open })
    }

    /// Returns the text that a field of a map shows; `None` if it shows something else.
    fn text_in(&self, field: Field<'_>) -> Option<String> {
        let slot = self.slot(self.all(field.map, field.key.into(), 0), 0, Some(field))?;
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

/// One of several concurrent texts.
struct TextValue {
    /// Operation that wrote it.
    id: ObjId,
    /// Change of that operation.
    change: ChangeHash,
    text: String,
    open: Vec<OpenPlace>,
}

impl TextValue {
    fn own_change(&self) -> hash::ChangeHash {
        hash::ChangeHash(self.change.0)
    }

    fn source<'a>((value, changes): (&'a TextValue, &'a [hash::ChangeHash])) -> Source<'a> {
        Source { text: &value.text, changes, written: &[], open: &value.open }
    }
}

fn drop_empty(fields: Vec<(String, Option<Slot>)>) -> Vec<(String, Slot)> {
    fields.into_iter().filter_map(|(key, slot)| Some((key, slot?))).collect()
}
