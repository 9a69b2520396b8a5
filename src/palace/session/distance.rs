//! In how many units two values differ: fields of a JSON document by their paths, items of lists, lines of strings.
//!
//! A unit that was changed counts twice, as one that went and one that came. So does a field that is in one value only: a
//! client that adds a field and then changes it is as near to its last write as to what it read. The order of lines and
//! items does not count, so a distance takes time in proportion to the length of the values. Characters tell whether a
//! text was edited. If a value was replaced, only the new one counts, and of one that was removed nothing but that. So all
//! values that it may have replaced or removed are as near.

use serde_json::{Map, Value};
use std::collections::HashMap;
use std::hash::Hash;

/// The units and the characters in which two values differ. Units are compared first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance {
    units: usize,
    characters: usize,
}

impl Distance {
    /// Returns the number of units.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Returns true if the values are equal.
    pub fn is_zero(&self) -> bool {
        *self == Distance::default()
    }
}

/// Returns the distance between two whole values.
pub fn between(kept: &Map<String, Value>, wanted: &Map<String, Value>) -> Distance {
    let mut distance = Distance::default();
    distance.add_maps(kept, wanted);
    distance
}

/// Returns the distance between a value and what a merge patch (RFC 7396) makes of it: fields that the patch does not
/// name do not count.
pub fn to_patch(kept: &Map<String, Value>, patch: &Map<String, Value>) -> Distance {
    let mut distance = Distance::default();
    distance.add_patch(kept, patch);
    distance
}

/// Returns the part of a value that a merge patch names.
pub fn named(mut value: Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    value.retain(|name, _| patch.contains_key(name));
    for (name, patch) in patch {
        if let (Some(Value::Object(inner)), Value::Object(patch)) = (value.get_mut(name), patch) {
            *inner = named(std::mem::take(inner), patch);
        }
    }
    value
}

/// Returns what a merge patch gives to the part that it names: itself without what it removes.
pub fn named_by(patch: &Map<String, Value>) -> Map<String, Value> {
    let value = |value: &Value| match value {
        Value::Object(patch) => Value::Object(named_by(patch)),
        value => value.clone(),
    };
    let given = patch.iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, given)| (name.clone(), value(given))).collect()
}

impl Distance {
    fn add_patch(&mut self, kept: &Map<String, Value>, patch: &Map<String, Value>) {
        for (name, wanted) in patch {
            match (kept.get(name), wanted) {
                (Some(Value::Object(kept)), Value::Object(patch)) => self.add_patch(kept, patch),
                (kept, Value::Null) => self.add(kept, None),
                (kept, wanted) => self.add(kept, Some(wanted)),
            }
        }
    }

    fn add_maps(&mut self, a: &Map<String, Value>, b: &Map<String, Value>) {
        for (name, value) in a {
            self.add(Some(value), b.get(name));
        }
        for (_, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
            self.add(None, Some(value));
        }
    }

    fn add(&mut self, a: Option<&Value>, b: Option<&Value>) {
        match (a, b) {
            (a, b) if a == b => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) => self.add_maps(a, b),
            (Some(Value::Array(a)), Some(Value::Array(b))) => self.add_lists(a, b),
            (Some(Value::String(a)), Some(Value::String(b))) => self.add_texts(a, b),
            (Some(_), None) => self.units += 2,
            (a, b) => {
                let new = b.or(a);
                self.units += 2 * new.map_or(0, units);
                self.characters += 2 * new.map_or(0, |value| value.to_string().len());
            }
        }
    }

    fn add_lists(&mut self, a: &[Value], b: &[Value]) {
        let texts = |list: &[Value]| list.iter().map(Value::to_string).collect::<Vec<_>>();
        let apart = apart(texts(a), texts(b));
        self.units += apart.len();
        self.characters += apart.iter().map(String::len).sum::<usize>();
    }

    fn add_texts(&mut self, a: &str, b: &str) {
        // Two texts of the same lines in another order, or with other ends of lines, still differ.
        let lines = apart(lines(a), lines(b));
        self.units += lines.len().max(1);
        self.characters += changed_characters(a, b);
    }
}

/// Returns the items that only one of two lists has, each as often as it has it more often.
fn apart<T: Clone + Eq + Hash>(a: Vec<T>, b: Vec<T>) -> Vec<T> {
    let mut more: HashMap<T, usize> = HashMap::new();
    for item in a {
        *more.entry(item).or_default() += 1;
    }
    let mut apart = Vec::new();
    for item in b {
        match more.get_mut(&item) {
            Some(count) if *count > 0 => *count -= 1,
            _ => apart.push(item),
        }
    }
    apart.extend(more.into_iter().flat_map(|(item, count)| std::iter::repeat_n(item, count)));
    apart
}

/// Returns the number of characters of two texts between what they have in common at their start and at their end. If
/// that is more than half, the first was replaced, and it is twice the length of the second.
pub(super) fn changed_characters(a: &str, b: &str) -> usize {
    let (all, common) = compared(a, b);
    if common < all - common { 2 * b.chars().count() } else { all - common }
}

/// Returns true if no more than half of two texts differs: the first was edited, and not replaced.
pub(super) fn is_edited(a: &str, b: &str) -> bool {
    let (all, common) = compared(a, b);
    common >= all - common
}

/// Returns the number of characters of two texts, and of those that they have in common at their start and at their end.
fn compared(a: &str, b: &str) -> (usize, usize) {
    let same = |(a, b): &(char, char)| a == b;
    let start = a.chars().zip(b.chars()).take_while(same).count();
    let (a_length, b_length) = (a.chars().count(), b.chars().count());
    let shorter = a_length.min(b_length) - start;
    let end = a.chars().rev().zip(b.chars().rev()).take(shorter).take_while(same).count();
    (a_length + b_length, 2 * (start + end))
}

/// Returns the lines of a text. An empty text has one.
fn lines(text: &str) -> Vec<&str> {
    if text.is_empty() { vec![""] } else { text.lines().collect() }
}

/// Returns the number of units of one value, at least 1.
fn units(value: &Value) -> usize {
    let count = match value {
        Value::Object(map) => map.values().map(units).sum(),
        Value::Array(list) => list.len(),
        Value::String(text) => text.lines().count(),
        _ => 1,
    };
    count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn distance(a: Value, b: Value) -> (usize, usize) {
        let (there, back) =
            (between(&object(a.clone()), &object(b.clone())), between(&object(b), &object(a)));
        assert_eq!(there.units, back.units, "in both directions");
        (there.units, there.characters)
    }

    #[test]
    fn distance_counts_fields_items_and_lines() {
        let text =
            json!({"t": "one\ntwo\nthree", "n": 1, "in": {"list": [1, {"a": 1}], "b": true}});
        assert_eq!(distance(text.clone(), text.clone()), (0, 0));
        let with = |pointer: &str, value: Value| {
            let mut other = text.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            distance(text.clone(), other)
        };
        assert_eq!(with("/t", json!("one\nTwo\nthree")), (2, 2), "a changed line");
        assert_eq!(with("/t", json!("one\ntwo\nthree\n4")), (1, 2), "a new line");
        assert_eq!(with("/t", json!("one\nthree\ntwo")).0, 1, "another order");
        assert_eq!(with("/n", json!(22)), (2, 4));
        assert_eq!(with("/in/list", json!([1, {"a": 1}, 2])), (1, 1));
        assert_eq!(with("/in/list/1", json!({"a": 2})).0, 2);
        assert_eq!(distance(json!({"a": {}}), json!({})), (2, 0));
        assert_eq!(with("/n", json!(2)).0, distance(json!({"a": 1}), json!({})).0);
    }

    #[test]
    fn removed_values_are_all_as_near() {
        let to = |kept: Value| between(&object(json!({"v": kept})), &object(json!({})));
        let near = [json!("a\nb"), json!([1, 2, 3]), json!({"a": 1, "b": {"c": 2}}), json!(null)];
        assert_eq!(near.map(to), [to(json!(1)); 4]);
    }

    #[test]
    fn fewer_units_are_nearer_whatever_the_characters() {
        let from = |text: &str| between(&object(json!({"t": text})), &object(json!({"t": "a\nb"})));
        assert!(from("a") < from("x\ny"));
        assert!(from("a\nlong line") < from("x\ny"));
        assert!(from("a\nbc") < from("a\nlong line"), "a tie of units");
        assert!(from("a\nb").is_zero() && !from("a\nb\n").is_zero());
    }

    #[test]
    fn fields_that_a_patch_does_not_name_do_not_count() {
        let kept = object(json!({"a": 1, "in": {"b": 2, "c": 3}}));
        let to = |patch: Value| to_patch(&kept, &object(patch));
        assert!(to(json!({"a": 1, "in": {"b": 2}, "none": null})).is_zero());
        assert_eq!(to(json!({"a": null})).units, 2);
        assert_eq!(to(json!({"in": {"b": 4}})).units, 2);
        let part = |patch: Value| Value::Object(named(kept.clone(), &object(patch)));
        assert_eq!(part(json!({"in": {"b": 4, "d": 5}, "none": 1})), json!({"in": {"b": 2}}));
        assert_eq!(
            part(json!({"in": null, "a": {"b": 1}})),
            json!({"a": 1, "in": {"b": 2, "c": 3}})
        );
    }

    #[test]
    fn characters_in_common_at_both_ends_do_not_count() {
        for (a, b, changed) in
            [("", "", 0), ("abc", "abc", 0), ("aa", "aaa", 1), ("abcd", "axd", 3), ("é", "e", 2)]
        {
            assert_eq!(changed_characters(a, b), changed, "{a} {b}");
        }
    }

    #[test]
    fn replaced_values_are_all_as_near() {
        let to = |kept: Value| between(&object(json!({"v": kept})), &object(json!({"v": "done"})));
        let near = [json!("todo"), json!("in progress"), json!(""), json!(7), json!(null)].map(to);
        assert_eq!(near.map(|distance| distance.units), [2; 5]);
        assert_eq!(near.map(|distance| distance.characters / 2 >= 4), [true; 5]);
        assert_eq!((near[0], near[0]), (near[1], near[2].max(near[1])));
        assert!(to(json!("done, nearly")) > to(json!("donee")), "an edited text is nearer");
        // Also as near as none: a client may have added the value without having seen the other one.
        let of =
            |kept: Value| between(&object(kept), &object(json!({"v": {"a": "b\nc", "d": {}}})));
        let near =
            [json!({}), json!({"v": "todo"}), json!({"v": [1, 2]}), json!({"v": null})].map(of);
        assert_eq!(near.map(|distance| distance.units), [6; 4]);
        let lines = between(&object(json!({"b": true})), &object(json!({"b": "a\nb\nc"})));
        assert_eq!(lines.units, 6, "three lines in place of a value, each counted twice");
    }
}
