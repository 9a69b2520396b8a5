//! Names what a commit did to a document, in the words of drawers, facts and documents.

use crate::format::key::{Key, PLACE_NOTES};
use crate::palace::{ChangeEffect, DocumentEffects};

/// A thing that a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    Filed,
    Asserted,
    Created,
    Edited,
    Moved,
    Renamed,
    Ended,
    Settled,
    Deleted,
    Restored,
}

impl Deed {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Deed::Filed => "filed",
            Deed::Asserted => "asserted",
            Deed::Created => "created",
            Deed::Edited => "edited",
            Deed::Moved => "moved",
            Deed::Renamed => "renamed",
            Deed::Ended => "ended",
            Deed::Settled => "settled",
            Deed::Deleted => "deleted",
            Deed::Restored => "restored",
        }
    }
}

/// Names what a commit did to the document of this key, each thing once.
pub(crate) fn deeds(key: &Key, done: &DocumentEffects) -> Vec<Deed> {
    let begun = match key.as_str() {
        key if key.starts_with("drawer/") => Deed::Filed,
        key if key.starts_with("fact/") => Deed::Asserted,
        key if key.starts_with(PLACE_NOTES) => Deed::Renamed,
        _ => Deed::Created,
    };
    let mut deeds = Vec::new();
    for effect in &done.effects {
        match effect {
            ChangeEffect::Created => deeds.push(begun),
            // Shared documents are not filed by their content.
            ChangeEffect::Filed if begun != Deed::Created => deeds.push(begun),
            ChangeEffect::Edited => {
                deeds.extend(done.fields.iter().map(|field| edit(begun, field)))
            }
            ChangeEffect::Settled => deeds.push(Deed::Settled),
            ChangeEffect::Deleted => deeds.push(Deed::Deleted),
            ChangeEffect::Restored => deeds.push(Deed::Restored),
            _ => {}
        }
    }
    deeds.sort_unstable();
    deeds.dedup();
    deeds
}

/// Names the change of one field.
fn edit(begun: Deed, field: &str) -> Deed {
    match (begun, field) {
        (Deed::Filed, "wing" | "room") => Deed::Moved,
        // The same text was filed again, or a fact asserted again, by another source.
        (Deed::Filed, "filings") => Deed::Filed,
        (Deed::Asserted, "sources") => Deed::Asserted,
        (Deed::Asserted, "ends" | "valid_to") => Deed::Ended,
        (Deed::Renamed, _) => Deed::Renamed,
        // These fields go with an end or a beginning: how its time was given, and that another fact took its place.
        (Deed::Asserted, field) if field.starts_with("ended/") => Deed::Ended,
        (Deed::Asserted, field) if field.starts_with("replaced/") => Deed::Ended,
        (Deed::Asserted, field) if field.starts_with("began/") => Deed::Asserted,
        _ => Deed::Edited,
    }
}
