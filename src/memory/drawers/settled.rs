//! The conflicts that a change of a drawer settled.

use crate::merge::{Conflict, View};

/// Returns those of some conflicts that are not open after a change, with the readings that are in no open conflict. A
/// client that decides on a reading at the same moment may keep it open, in another conflict.
pub(super) fn settled(before: impl Iterator<Item = Conflict>, after: &View) -> Vec<Conflict> {
    let is_same = |one: &Conflict| after.conflicts.iter().any(|now| now.is_same(one));
    let closed = |mut conflict: Conflict| {
        let Conflict { path, others, .. } = &mut conflict;
        let here = || after.conflicts.iter().filter(|now| now.path == *path);
        others.retain(|one| {
            let is_among = |now: &Conflict| now.others.iter().any(|open| open.value == one.value);
            let is_shown =
                |now: &Conflict| now.shown_value(&after.value).as_ref() == Some(&one.value);
            !here().any(|now| is_among(now) || is_shown(now))
        });
        (!others.is_empty()).then_some(conflict)
    };
    before.filter(|one| !is_same(one)).filter_map(closed).collect()
}
