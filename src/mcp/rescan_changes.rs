//! The changes that one rescan of the palace has found.

use crate::format::key::Key;
use std::collections::BTreeSet;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct RescanChanges {
    /// The changed documents.
    pub keys: Arc<BTreeSet<Key>>,
    /// The folded names, also the old ones, of the wings that changed drawers are shown in.
    pub wings: Arc<BTreeSet<String>>,
    /// True if the list of resources may have changed.
    pub list_changed: bool,
}
