//! From the ids that clients are shown to the keys of documents.

use super::{drawers, facts};
use crate::format::key::Key;

/// Returns the keys that a drawer id, the id of a diary entry or the id of a fact may stand for; none for another text.
pub(crate) fn keys_of(id: &str) -> Vec<Key> {
    let mut keys = drawers::keys_of(id);
    keys.extend(facts::fact_key(id));
    keys
}
