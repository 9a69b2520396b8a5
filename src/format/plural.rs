//! A number with the thing that it counts.

use std::fmt::Display;

/// Counts things in words: "1 segment", "2 segments", "1 entry", "2 entries".
#[must_use]
pub fn count(n: impl Display, thing: &str) -> String {
    let n = n.to_string();
    match thing.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u'])) {
        _ if n == "1" => format!("{n} {thing}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn only_one_is_singular() {
        assert_eq!(count(1_u64, "segment"), "1 segment");
        assert_eq!(count(0_usize, "key"), "0 keys");
        assert_eq!(
            (count(1, "entry"), count(11, "entry")),
            ("1 entry".into(), "11 entries".into())
        );
    }
}
