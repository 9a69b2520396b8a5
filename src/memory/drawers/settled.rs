//! The conflicts that a change of a drawer settled.

use crate::merge::{Conflict, View};

/// Returns those of some conflicts that are not open after a change, with the readings that are in no open conflict. A
/// client that decides on a reading at the same moment may keep it open, in another conflict.
pub(super) fn settled(before: impl Iterator<Item = Conflict>, after: &View) -> Vec<Conflict> {
    let is_same = |one: &Conflict| after.conflicts.iter().any(|now| now.is_same(one));
    let closed = |mut conflict: Conflict| {
        let Conflict { path, others, .. } = &mut conflict;
        let here = || after.conflicts.iter().filter(|now| now.path == *path);
        others.retain(|one| !here().any(|now| now.has_reading(&one.value, &after.value)));
        (!others.is_empty()).then_some(conflict)
    };
    before.filter(|one| !is_same(one)).filter_map(closed).collect()
}
