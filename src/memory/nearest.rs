//! Finds the names that one may have meant.

#[cfg(feature = "mcp")]
use std::collections::BTreeMap;
use strsim::levenshtein;

/// The most names that are offered in place of one that names nothing.
pub const NEAREST_MAX: usize = 3;
/// Characters of a name that are compared.
const COMPARED: usize = 128;

/// Sorts by the edit distance of folded names from a wanted one, the nearest first, and those of one distance by their bytes.
pub(super) fn sort_by_distance<T>(wanted: &str, all: &mut [T], folded: impl Fn(&T) -> &str) {
    let start = |name: &str| name.chars().take(COMPARED).collect::<String>();
    let wanted = start(wanted);
    all.sort_by_cached_key(|one| {
        let name = folded(one);
        (levenshtein(&wanted, &start(name)), name.to_owned())
    });
}

/// Returns the names with the smallest edit distance between folded names, of several the first in byte order, and of each
/// name one spelling. Returns `None` if one of them is the wanted one.
#[cfg(feature = "mcp")]
pub(super) fn nearest(
    wanted: &str,
    names: impl IntoIterator<Item = String>,
    fold: impl Fn(&str) -> String,
) -> Option<Vec<String>> {
    let mut spellings: BTreeMap<String, String> = BTreeMap::new();
    for name in names {
        let shown = spellings.entry(fold(&name)).or_insert_with(|| name.clone());
        *shown = name.min(std::mem::take(shown));
    }
    let wanted = fold(wanted);
    if spellings.contains_key(&wanted) {
        return None;
    }
    let mut names: Vec<(String, String)> = spellings.into_iter().collect();
    sort_by_distance(&wanted, &mut names, |(folded, _)| folded);
    Some(names.into_iter().take(NEAREST_MAX).map(|(_, name)| name).collect())
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "mcp")]
    #[test]
    fn nearest_names_come_first_each_in_one_spelling() {
        use super::nearest;
        let names = ["Scout", "scout", "Ranger", "Scour", "Cook"].map(str::to_owned);
        let found = |wanted| nearest(wanted, names.clone(), str::to_lowercase);
        assert_eq!(found("scuot").unwrap(), ["Scout", "Cook", "Scour"]);
        assert_eq!(found("COOK"), None);
        assert_eq!(nearest("x", [], str::to_lowercase).unwrap(), [""; 0]);
    }
}
