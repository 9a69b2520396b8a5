//! The numbers that answers to increments told a client.
//!
//! An increment is made on the present version, whatever its client has read, and its answer tells the number alone. A
//! client that then writes back what it read before, with that number, means: the number as I was told it. Compared with
//! the number that it read, the difference would be added a second time.

use crate::format::hash::Heads;
use serde_json::{Map, Value};

/// Most numbers that are remembered of one document, the last ones that were told.
const NUMBERS_MAX: usize = 4;
/// Bytes of one number beside its path and its heads.
const OVERHEAD: usize = 64;

/// A number that a client was told, and the version in which it stands.
#[derive(Clone, Debug)]
struct ToldNumber {
    /// JSON pointer into the value of the document.
    path: String,
    value: i64,
    heads: Heads,
}

/// The last numbers of one document that its client was told.
#[derive(Clone, Debug, Default)]
pub struct ToldNumbers(Vec<ToldNumber>);

impl ToldNumbers {
    /// Notes a number. It takes the place of an earlier one at the same path.
    pub fn tell(&mut self, path: &str, value: i64, heads: &Heads) {
        self.0.retain(|told| told.path != path);
        if self.0.len() == NUMBERS_MAX {
            self.0.remove(0);
        }
        self.0.push(ToldNumber { path: path.to_owned(), value, heads: heads.clone() });
    }

    /// Drops the numbers that a version has already, as `has` tells of the version of each.
    pub fn newer_than(mut self, has: impl Fn(&Heads) -> bool) -> Self {
        self.0.retain(|told| !has(&told.heads));
        self
    }

    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes that they take.
    pub fn bytes(&self) -> usize {
        let bytes = |told: &ToldNumber| OVERHEAD + told.path.len() + 32 * told.heads.hashes().len();
        self.0.iter().map(bytes).sum()
    }

    /// Turns a value that a client sends into the one that it means, for a write made from a version that shows `base`.
    ///
    /// Where the client sends the number that it was told, or the one that it read, nothing is added. Any other number is
    /// meant as a change of the one that it was told.
    pub fn meant(
        &self,
        base: &Map<String, Value>,
        sent: &Map<String, Value>,
    ) -> Map<String, Value> {
        let (base, mut meant) = (Value::Object(base.clone()), Value::Object(sent.clone()));
        for told in &self.0 {
            let (Some(read), Some(number)) =
                (base.pointer(&told.path).and_then(Value::as_i64), meant.pointer_mut(&told.path))
            else {
                continue;
            };
            let since = number.as_i64().filter(|sent| *sent != read);
            let since = since.and_then(|sent| sent.checked_sub(told.value));
            if let Some(sum) = since.and_then(|since| read.checked_add(since)) {
                *number = sum.into();
            }
        }
        match meant {
            Value::Object(meant) => meant,
            _ => sent.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::hash::ChangeHash;
    use serde_json::json;

    fn told(numbers: &[(&str, i64)]) -> ToldNumbers {
        let mut told = ToldNumbers::default();
        for (n, (path, value)) in numbers.iter().enumerate() {
            let heads = Heads::new(vec![ChangeHash([u8::try_from(n).unwrap(); 32])]);
            told.tell(path, *value, &heads);
        }
        told
    }

    fn meant(told: &ToldNumbers, base: Value, sent: Value) -> Value {
        Value::Object(told.meant(base.as_object().unwrap(), sent.as_object().unwrap()))
    }

    #[test]
    fn told_or_read_number_adds_nothing_and_others_add_since_then() {
        let told = told(&[("/a/n", 9)]);
        for (sent, expected) in [(9, 6), (6, 6), (10, 7), (8, 5)] {
            let sent = json!({"a": {"n": sent}, "b": 1});
            let expected = json!({"a": {"n": expected}, "b": 1});
            assert_eq!(meant(&told, json!({"a": {"n": 6}}), sent), expected);
        }
        for sent in [json!({"a": {"n": "9"}}), json!({"a": 9}), json!({})] {
            assert_eq!(meant(&told, json!({"a": {"n": 6}}), sent.clone()), sent);
        }
        let none_read = meant(&told, json!({}), json!({"a": {"n": 9}}));
        assert_eq!(none_read, json!({"a": {"n": 9}}), "there was no number to add to");
    }

    #[test]
    fn last_numbers_are_kept_one_for_each_path() {
        let numbers = [("/a", 1), ("/b", 1), ("/a", 2), ("/c", 1), ("/d", 1), ("/e", 1)];
        let told = told(&numbers);
        let kept: Vec<(&str, i64)> =
            told.0.iter().map(|told| (told.path.as_str(), told.value)).collect();
        assert_eq!(kept, [("/a", 2), ("/c", 1), ("/d", 1), ("/e", 1)]);
        let newer = told.newer_than(|heads| heads.hashes()[0].0[0] < 5);
        assert_eq!((newer.0.len(), newer.is_empty(), newer.bytes()), (1, false, OVERHEAD + 34));
    }
}
