//! The values that a client wrote into a document of which it does not know the rest.
//!
//! Such a client is told what a write replaces, unless it is what this client wrote there last.

use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Most values that are remembered of one document, the last ones that were written.
const VALUES_MAX: usize = 64;

/// Hashes of the values that a client wrote last, each with that of its path.
#[derive(Clone, Debug, Default)]
pub struct OwnValues(VecDeque<(u64, u64)>);

impl OwnValues {
    /// Notes the values that a write gave to the fields that it named.
    pub fn wrote(&mut self, fields: &Map<String, Value>) {
        for (name, value) in fields {
            self.wrote_at(&pointer("", name), value);
        }
    }

    /// Notes the value at a JSON pointer.
    pub fn wrote_at(&mut self, path: &str, value: &Value) {
        if let Some(fields) = fields(value) {
            fields.iter().for_each(|(name, value)| self.wrote_at(&pointer(path, name), value));
            return;
        }
        let path = hash(path);
        self.0.retain(|(of, _)| *of != path);
        if self.0.len() == VALUES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((path, hash(&value.to_string())));
    }

    /// Returns true if a write of `sent` over `kept`, a field of the root, replaces anything that is not among these
    /// values.
    pub fn replaces_others(&self, name: &str, kept: &Value, sent: Option<&Value>) -> bool {
        self.is_foreign(&pointer("", name), kept, sent)
    }

    fn is_foreign(&self, path: &str, kept: &Value, sent: Option<&Value>) -> bool {
        if sent == Some(kept) {
            return false;
        }
        let Some(inner) = fields(kept) else {
            return !self.0.contains(&(hash(path), hash(&kept.to_string())));
        };
        let sent = sent.and_then(Value::as_object);
        let of = |name: &String| sent.and_then(|sent| sent.get(name));
        inner.iter().any(|(name, kept)| self.is_foreign(&pointer(path, name), kept, of(name)))
    }

    /// Returns the bytes that they take.
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u64, u64)>()
    }
}

/// Returns the fields of an object that has some.
fn fields(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object().filter(|fields| !fields.is_empty())
}

fn pointer(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn own(value: Value) -> OwnValues {
        let mut own = OwnValues::default();
        own.wrote(value.as_object().unwrap());
        own
    }

    #[test]
    fn own_values_are_known_by_their_paths_and_others_are_not() {
        let mut own = own(json!({"a": {"b/c": 1, "d": [1]}, "e": {}}));
        let replaces = |own: &OwnValues, kept: Value, sent: Value| {
            own.replaces_others("a", &kept, Some(&sent))
        };
        assert!(!replaces(&own, json!({"b/c": 1, "d": [1]}), json!({"b/c": 2, "d": 3})));
        assert!(!replaces(&own, json!({"b/c": 1}), json!(null)));
        assert!(replaces(&own, json!({"b/c": 2}), json!({"b/c": 3})), "another value");
        assert!(!replaces(&own, json!({"b/c": 2}), json!({"b/c": 2})), "it stays");
        assert!(replaces(&own, json!({"b/c": 1, "x": 1}), json!(7)), "another field goes too");
        assert!(own.replaces_others("a", &json!(1), None));
        own.wrote_at("/a/b~1c", &json!(2));
        assert!(!replaces(&own, json!({"b/c": 2}), json!({"b/c": 3})));
    }

    #[test]
    fn only_the_last_values_are_kept() {
        let mut own = own(json!({"first": 1}));
        (0..VALUES_MAX).for_each(|n| own.wrote_at(&format!("/{n}"), &json!(n)));
        assert!(own.replaces_others("first", &json!(1), None));
        assert!(!own.replaces_others("0", &json!(0), None));
        assert!(own.bytes() <= 2 * VALUES_MAX * size_of::<(u64, u64)>());
    }
}
