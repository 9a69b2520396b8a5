//! From the ids that clients are shown to the keys of documents, and from the beginning of an id to the id.
//!
//! Invariant: an id stays valid for ever. Its short form names it as long as no other id begins with the same digits.

use super::documents::each_key;
use super::error::Result;
use super::{drawers, facts};
use crate::format::key::{DRAWERS, Key};
use crate::palace::Palace;

/// The fewest characters of a short id.
const SHORT_MIN: usize = 4;

/// Returns the keys that a drawer id, the id of a diary entry or the id of a fact may stand for; none for another text.
pub(crate) fn keys_of(id: &str) -> Vec<Key> {
    let mut keys = drawers::keys_of(id);
    keys.extend(facts::fact_key(id));
    keys
}

/// The ids of the drawers, diary entries and facts of a palace, in the order of their digits.
///
/// The digits of an id are what stands behind its last underscore. They are a hash or drawn by lot, so the first few
/// are enough to name it.
#[derive(Debug, Default)]
pub(crate) struct Ids(Vec<String>);

impl Ids {
    /// Reads the ids of what is there now. It reads keys, and no document.
    ///
    /// # Errors
    /// Errors of the palace.
    pub fn read(palace: &Palace) -> Result<Self> {
        let mut ids = Vec::new();
        for prefix in [DRAWERS, facts::FACTS] {
            each_key(palace, prefix, |key| {
                ids.extend(drawers::drawer_id(key).or_else(|| facts::fact_id(key)));
                Ok(())
            })?;
        }
        Ok(Ids::of(ids))
    }

    fn of(mut ids: Vec<String>) -> Self {
        ids.sort_unstable_by(|a, b| (digits(a), a).cmp(&(digits(b), b)));
        Ids(ids)
    }

    /// Returns the ids whose digits begin with a text, or else those that begin with it.
    pub fn named(&self, text: &str) -> Vec<&str> {
        if text.len() < SHORT_MIN {
            return Vec::new();
        }
        let start = self.0.partition_point(|id| digits(id) < text);
        let behind = self.0.get(start..).unwrap_or_default().iter();
        let by_digits: Vec<&str> =
            behind.map(String::as_str).take_while(|id| digits(id).starts_with(text)).collect();
        if !by_digits.is_empty() {
            return by_digits;
        }
        self.0.iter().map(String::as_str).filter(|id| id.starts_with(text)).collect()
    }

    /// Returns the shortest beginning of an id's digits that no other id has, or the id if another one has the same digits.
    #[cfg(any(feature = "mcp", test))]
    pub fn short<'a>(&self, id: &'a str) -> &'a str {
        let own = digits(id);
        let at = self.0.partition_point(|other| digits(other) < own);
        let others = self.0.get(at.saturating_sub(1)..).unwrap_or_default().iter();
        // The neighbours share the most: one before it, itself, and one behind it.
        let shared = others.take(3).filter(|other| *other != id);
        let shared = shared.map(|other| common(own, digits(other))).max();
        let length = shared.map_or(SHORT_MIN, |shared| (shared + 1).max(SHORT_MIN));
        if shared.is_some_and(|shared| shared >= own.len()) {
            return id;
        }
        own.char_indices().nth(length).and_then(|(end, _)| own.get(..end)).unwrap_or(own)
    }
}

fn digits(id: &str) -> &str {
    id.rsplit('_').next().unwrap_or(id)
}

/// Returns the number of characters that two texts begin with together.
#[cfg(any(feature = "mcp", test))]
fn common(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_unique_and_found_again() {
        let all = ["drawer_a_b_12345678", "drawer_c_d_12345978", "diary_a_2_3_ffff", "t_0_abcd12"];
        let ids = Ids::of(all.map(str::to_owned).to_vec());
        for (id, short) in all.into_iter().zip(["123456", "123459", "ffff", "abcd"]) {
            assert_eq!(ids.short(id), short);
            assert_eq!(ids.named(short), [id]);
        }
        assert_eq!(ids.named("1234"), all[..2]);
        assert_eq!(ids.named("drawer_c"), all[1..2]);
        assert!(ids.named("123").is_empty() && ids.named("dddd").is_empty());
    }

    #[test]
    fn id_with_the_digits_of_another_one_has_no_short_form() {
        let all = ["drawer_a_b_12345678", "drawer_c_d_12345678", "drawer_c_e_1234567"];
        let ids = Ids::of(all.map(str::to_owned).to_vec());
        assert_eq!(all.map(|id| ids.short(id)), all);
        assert_eq!(ids.named("drawer_c_d"), all[1..2]);
    }
}
