//! Tells which running programs of this project are older than the merge of texts.

/// The first version that shows texts merged. Earlier ones, and its prereleases, may show one of the texts instead.
const MERGES_TEXTS: (u64, u64, u64) = (0, 2, 0);

/// What an older program does, for people.
#[cfg(feature = "cli")]
pub(crate) const OLDER_NOTE: &str = "it is of an earlier version and shows only one of several texts that were written at \
    once: restart it with the newest crdt-palace";

/// Returns true if a program is one of this project, of a version that does not merge texts. The version is its last word.
/// A program that embeds the library has a name and a version of its own, so nothing is known of it.
pub(super) fn is_older(program: &str) -> bool {
    let mut words = program.split_whitespace();
    let is_ours = words.next().is_some_and(|name| name.starts_with("crdt-"));
    is_ours
        && words.next_back().and_then(version).is_some_and(|(version, is_release)| {
            version < MERGES_TEXTS || version == MERGES_TEXTS && !is_release
        })
}

/// Reads a version, and whether it is a release; `None` if the text is none.
fn version(text: &str) -> Option<((u64, u64, u64), bool)> {
    // What follows a plus sign names a build, which has no rank.
    let text = text.split('+').next()?;
    let (numbers, is_release) = match text.split_once('-') {
        Some((numbers, _)) => (numbers, false),
        None => (text, true),
    };
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some((version, is_release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_before_the_merge_of_texts_are_older() {
        for older in [
            "crdt-palace serve 0.1.0",
            "crdt-palace 0.1.9",
            "crdt-palace serve 0.0.99",
            "crdt-palace import 0.2.0-rc.1",
            "crdt-palace serve 0.2.0-dev+7",
        ] {
            assert!(is_older(older), "{older}");
        }
        for other in [
            "crdt-palace serve 0.2.0",
            "crdt-palace serve 0.2.0+7",
            "crdt-palace serve 0.2.1-rc.1",
            "crdt-palace serve 0.10.0",
            "crdt-palace serve 1.0.0-rc.1",
            "crdt-palace serve",
            "crdt-palace 1",
            "crdt-palace serve 0.1.0.1",
            "notes 0.1.0",
            "",
        ] {
            assert!(!is_older(other), "{other}");
        }
        assert!(!is_older(concat!("crdt-palace serve ", env!("CARGO_PKG_VERSION"))));
    }
}
