//! Rows of a snapshot's log: one for each commit.

use crate::format::id::InstanceId;
use crate::format::record::Entry;
use crate::merge::{self, Written};
use crate::palace::view::tail::entries;
use crate::snapshot::LogRow;
use bytes::Bytes;

/// Returns the changes of a commit, each with its stamp; `None` for bytes that are no change. `crdt-log verify` reports
/// those.
pub fn stamped(body: &Bytes) -> Vec<(Entry<Bytes>, Option<Written>)> {
    let entries = entries(body);
    entries
        .map(|entry| {
            let stamp = merge::author_of(&entry.change).ok();
            (entry, stamp)
        })
        .collect()
}

/// Returns the row of a commit in the log.
pub fn log_row(
    instance: InstanceId,
    sequence: u64,
    stamped: &[(Entry<Bytes>, Option<Written>)],
) -> LogRow {
    let mut row = LogRow { instance, sequence, time_ms: 0, by: String::new(), changes: Vec::new() };
    for (entry, stamp) in stamped {
        let Some(stamp) = stamp else { continue };
        if stamp.time_ms > row.time_ms {
            (row.time_ms, row.by) = (stamp.time_ms, stamp.by.clone());
        }
        row.changes.push((entry.key.clone(), stamp.change));
    }
    row
}
