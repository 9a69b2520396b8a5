//! Keys that this tool set may write, and keys that it lists unasked.
//!
//! All tool sets share one namespace. The other sets keep rules between documents (a relation has two entities, an id
//! is a hash of the content) that a write from here would break, so their prefixes are closed to writes. Reading
//! breaks nothing, but a palace may hold a hundred thousand of their documents: they are listed and found only if the
//! prefix asks for them.

use super::problem::{Code, Problem};
use crate::format::key::{KEY_BYTES_MAX, ONCE};

/// The prefixes of the other sets, and the tools that write there.
const DOMAINS: [(&str, &str); 6] = [
    ("drawer/", "the drawers and diaries"),
    ("entity/", "the knowledge graph"),
    ("fact/", "the facts"),
    ("moved/", "the drawers and diaries"),
    (ONCE, "calls with an idempotency_key"),
    ("relation/", "the knowledge graph"),
];

/// The prefixes of other sets that have no tool for conflicts.
const SETTLED_HERE: [&str; 3] = ["entity/", "fact/", "relation/"];

fn domain(key: &str) -> Option<(&'static str, &'static str)> {
    DOMAINS.into_iter().find(|(prefix, _)| key.starts_with(prefix))
}

/// Returns true if the key belongs to no other set.
pub(in crate::mcp) fn of_documents_alone(key: &str) -> bool {
    domain(key).is_none()
}

/// Returns true if a listing with this prefix shows this key.
pub(super) fn is_listed(prefix: &str, key: &str) -> bool {
    domain(prefix).is_some() || of_documents_alone(key)
}

/// Returns a text behind every key of the domain that this key is in; `None` if it is in none.
pub(in crate::mcp) fn behind_domain(key: &str) -> Option<String> {
    // No character is greater, and no key is longer.
    domain(key).map(|(prefix, _)| format!("{prefix}{}", "\u{10ffff}".repeat(KEY_BYTES_MAX / 4)))
}

/// Returns true if the conflicts of a document are listed and settled here: the set that it belongs to, if any, has no tool
/// for that.
pub(super) fn has_conflicts_here(key: &str) -> bool {
    domain(key).is_none_or(|(prefix, _)| SETTLED_HERE.contains(&prefix))
}

/// Checks that this set may settle a conflict of the document. Of another set's it takes one of the readings: each was made
/// by that set's own tools.
///
/// # Errors
/// [`Code::Reserved`] if not.
pub(super) fn check_settleable(key: &str, takes_reading: bool) -> Result<(), Problem> {
    if has_conflicts_here(key) && takes_reading { Ok(()) } else { check_writable(key) }
}

/// Returns true if a document has no tools of its own that could delete it: no client brings it back.
pub(super) fn is_kept_by_others(key: &str) -> bool {
    ["moved/", ONCE].iter().any(|prefix| key.starts_with(prefix))
}

/// Checks that this set may write the key.
///
/// # Errors
/// [`Code::Reserved`] if the key belongs to another set.
pub(super) fn check_writable(key: &str) -> Result<(), Problem> {
    let Some((prefix, whose)) = domain(key) else { return Ok(()) };
    let words = match is_kept_by_others(key) {
        true => format!(
            "keys that start with {prefix:?} belong to {whose}: the server keeps them itself, and no tool changes or \
             restores them (document_get can read them). Choose another key; nothing was written"
        ),
        false => format!(
            "keys that start with {prefix:?} belong to {whose}: write them with its own tools, which keep \
             it consistent (document_get can read them, and document_restore without a version brings a deleted one \
             back), or choose another key; nothing was written"
        ),
    };
    Err(Problem::new(Code::Reserved, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_closed_to_writes_and_can_be_skipped() {
        assert!(check_writable("notes/entity/x").is_ok());
        let refused = check_writable("entity/Ada").unwrap_err();
        assert!(refused.message.contains("\"entity/\""), "{}", refused.message);
        let record = check_writable("once/0").unwrap_err().message;
        assert!(record.contains("no tool changes or restores them"), "{record}");
        let behind = behind_domain("entity/Ada").unwrap();
        let last = format!("entity/{}", "\u{10ffff}".repeat(126));
        assert!(last < behind && behind.as_str() < "entity0");
        assert_eq!(behind_domain("entities/x"), None);
        assert!(is_listed("", "notes/a") && !is_listed("", "entity/a"));
        assert!(is_listed("entity/", "entity/a") && !is_listed("ent", "entity/a"));
    }
}
