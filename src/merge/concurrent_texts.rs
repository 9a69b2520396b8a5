//! Merges the texts that several changes left in one field.
//!
//! The texts are taken in the order of their operations. Each is merged with what came of those before it, over the text
//! that a reader is shown at the version that it has in common with them. So every step is a merge of texts with one that
//! all of them were made from, however their histories cross: what a writer has taken out does not come back with a third
//! text, and what a writer was only shown is no reading. Texts that have the same version in common with those before them
//! are merged at once.

use super::open_places::AnnotatedText;
use super::text_merge::{MergedText, Seen, Source, merge, merge_further};
use super::text_units::UnitSize;
use crate::format::hash::ChangeHash;

/// A text, and the changes that it and those before it build on both.
pub(super) struct CommonText {
    /// Heads of the version, sorted.
    pub version: Vec<automerge::ChangeHash>,
    /// The text that a reader is shown there.
    pub text: String,
}

/// Merges texts in the order of their operations. `changes` are those that wrote them, and `common` has for each text but
/// the first what it was made from. Returns `None` if the texts have too many units.
pub(super) fn merge_in_order(
    size: UnitSize,
    texts: &[Source<'_>],
    changes: &[ChangeHash],
    common: &[CommonText],
    seen: Seen<'_>,
) -> Option<AnnotatedText> {
    let (first, mut rest) = texts.split_first()?;
    let mut merged: Option<MergedText> = None;
    for step in common.chunk_by(|one, next| one.version == next.version) {
        let (now, later) = rest.split_at_checked(step.len())?;
        let before = match &merged {
            None => *first,
            Some(before) => Source {
                text: &before.shown.text,
                changes: changes.get(..changes.len() - rest.len())?,
                written: &before.written,
                open: &before.shown.open,
            },
        };
        let sources: Vec<_> = std::iter::once(before).chain(now.iter().copied()).collect();
        let common = &step.first()?.text;
        if later.is_empty() {
            return merge(size, common, &sources, seen);
        }
        merged = Some(merge_further(size, common, &sources, seen)?);
        rest = later;
    }
    None
}
