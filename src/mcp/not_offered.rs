//! Tells what the tool sets hold that a server does not offer. After an import, a user of the default set would otherwise
//! take an empty answer for an empty palace.
//!
//! Invariant: it counts keys, at most 10,000 of a kind, and reads no document.

use super::documents::{behind_domain, of_documents_alone};
use super::tool_set::ToolSet;
use crate::format::plural;
use crate::palace::{KEYS_MAX, Palace, Result};

/// Keys that are read at a time to count shared documents.
const PART: usize = 100;

/// Returns a sentence for each set that is not offered and holds something: what that is, and the option that offers it.
///
/// # Errors
/// Errors of the palace.
pub(crate) fn held_elsewhere(palace: &Palace, offered: &[ToolSet]) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for set in [ToolSet::Palace, ToolSet::Memory, ToolSet::Documents] {
        if !offered.contains(&set)
            && let Some(held) = held(palace, set)?
        {
            let name = set.name();
            let option: Vec<_> = offered.iter().chain([&set]).map(|set| set.name()).collect();
            sentences.push(format!("{held} in the set `{name}`: --tools {}", option.join(",")));
        }
    }
    Ok(sentences)
}

/// Returns what a set holds, in words, with the verb; `None` if it holds nothing.
fn held(palace: &Palace, set: ToolSet) -> Result<Option<String>> {
    Ok(match set {
        ToolSet::Memory => match count(palace, "entity/")? {
            0 => None,
            n => Some(format!("the graph of {} is", in_words(n, "entity"))),
        },
        ToolSet::Documents => match documents(palace)? {
            0 => None,
            n => Some(format!("{} {}", in_words(n, "document"), is(n))),
        },
        ToolSet::Palace => match (count(palace, "drawer/")?, count(palace, "fact/")?) {
            (0, 0) => None,
            (n, 0) => Some(format!("{} {}", in_words(n, "drawer"), is(n))),
            (0, n) => Some(format!("{} {}", in_words(n, "fact"), is(n))),
            (n, m) => {
                let (n, m) = (in_words(n, "drawer"), in_words(m, "fact"));
                Some(format!("{n} and {m} are"))
            }
        },
    })
}

fn in_words(n: usize, thing: &str) -> String {
    let at_least = if n >= KEYS_MAX { "at least " } else { "" };
    format!("{at_least}{}", plural::count(n, thing))
}

fn is(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

fn count(palace: &Palace, prefix: &str) -> Result<usize> {
    Ok(palace.keys_page(prefix, None, KEYS_MAX)?.len())
}

/// Counts the documents that belong to no other set. The keys of the others are skipped.
fn documents(palace: &Palace) -> Result<usize> {
    let (mut count, mut after) = (0, None::<String>);
    while count < KEYS_MAX {
        let page = palace.keys_page("", after.as_deref(), PART)?;
        let own = page.iter().take_while(|key| of_documents_alone(key.as_str())).count();
        count += own;
        after = match (page.get(own), page.last()) {
            (Some(other), _) => behind_domain(other.as_str()),
            (None, Some(last)) if page.len() == PART => Some(last.to_string()),
            _ => break,
        };
    }
    Ok(count.min(KEYS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::drawers::{Drawers, Item, Place};
    use crate::memory::{Entity, Memory};
    use serde_json::json;

    #[test]
    fn sets_that_are_not_offered_are_named_with_what_they_hold() {
        let dir = tempfile::tempdir().unwrap();
        let palace = Palace::open(dir.path().join("palace")).unwrap();
        let told = |offered: &[ToolSet]| held_elsewhere(&palace, offered).unwrap();
        assert!(told(&[ToolSet::Palace]).is_empty() && told(&[]).is_empty());

        let named = |name: &str| Entity {
            name: name.to_owned(),
            entity_type: "person".to_owned(),
            observations: Vec::new(),
        };
        Memory::new(palace.clone()).create_entities(&[named("Ada"), named("Bob")]).unwrap();
        let graph = "the graph of 2 entities is in the set `memory`: --tools palace,memory";
        assert_eq!(told(&[ToolSet::Palace]), [graph]);
        let item = Item::new(Place::new("atlas", "auth").unwrap(), "We sign.").unwrap();
        Drawers::new(palace.clone()).file(&[item]).unwrap();
        for n in 0..2 * PART + 1 {
            // Before, among and behind the keys of the other sets.
            let key = format!("{}/{n}", ["a", "e", "z"][n % 3]);
            palace.put(&key, &json!({"n": n})).unwrap();
        }
        palace.delete("a/0").unwrap();
        let documents = "200 documents are in the set `documents`: --tools palace,memory,documents";
        assert_eq!(told(&[ToolSet::Palace, ToolSet::Memory]), [documents]);
        let drawer = "1 drawer is in the set `palace`: --tools memory,documents,palace";
        assert_eq!(told(&[ToolSet::Memory, ToolSet::Documents]), [drawer]);
        assert!(told(&[ToolSet::Palace, ToolSet::Memory, ToolSet::Documents]).is_empty());
    }
}
