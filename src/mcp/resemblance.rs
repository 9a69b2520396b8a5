//! Names that were meant as others: `ifMatch` for `if_match`, `quary` for `query`.

/// Most letters by which a name may differ from the one that was meant.
const LETTERS: usize = 2;

/// Returns the name among `known` that was probably meant: case, `-` and `_` do not count, and two letters may differ.
/// Names that have no letter in common do not resemble each other, however short they are.
pub(super) fn resembling<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = plain(name);
    let distance = |known: &'a str| (distance(&plain, &self::plain(known)), known);
    let is_near = |(letters, known): &(usize, &str)| {
        *letters <= LETTERS && *letters < plain.len().min(known.len())
    };
    let near = known.into_iter().map(distance).filter(is_near);
    near.min_by_key(|(letters, _)| *letters).map(|(_, known)| known)
}

/// Returns true if the names differ at most in case, `-` and `_`.
pub(super) fn is_same(name: &str, known: &str) -> bool {
    plain(name) == plain(known)
}

/// The letters of a name, at most so many that it can still resemble one.
fn plain(name: &str) -> Vec<char> {
    let letters = name.chars().filter(|letter| !matches!(letter, '-' | '_'));
    letters.flat_map(char::to_lowercase).take(64).collect()
}

/// Number of letters that must be changed, added or removed to make one word of the other.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (n, a) in one.iter().enumerate() {
        let mut diagonal = n;
        let mut left = n + 1;
        for (b, above) in other.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *above;
            left = changed.min(*above + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = n + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_changed_added_and_removed_letters() {
        let letters = |a: &str, b: &str| distance(&plain(a), &plain(b));
        assert_eq!(letters("kitten", "sitting"), 3);
        assert_eq!((letters("", "abc"), letters("abc", ""), letters("abc", "abc")), (3, 3, 0));
        assert_eq!((letters("if_match", "ifMatch"), letters("base", "bsae")), (0, 2));
    }

    #[test]
    fn only_names_that_were_meant_as_others_resemble_them() {
        let known = ["if_match", "base", "by", "query", "drawer_id", "wing"];
        for (name, meant) in [
            ("ifMatch", "if_match"),
            ("IF-MATCH", "if_match"),
            ("if_matches", "if_match"),
            ("Base", "base"),
            ("quary", "query"),
            ("drawerId", "drawer_id"),
            ("drawer_ids", "drawer_id"),
            ("wings", "wing"),
        ] {
            assert_eq!(resembling(name, known), Some(meant), "{name}");
        }
        for name in ["task_progress", "wait_for_previous", "id", "limit", "", "é"] {
            assert_eq!(resembling(name, known), None, "{name}");
        }
    }
}
