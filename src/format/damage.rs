//! Tells torn bytes from damaged ones, among the bytes of a segment that are in no record.
//!
//! The rule (docs/FORMAT.md): an invalid region that lies below the `synced_upto` of a later record
//! was once known to be on disk, so it is *damage*. Any other invalid region is *torn*: a write that
//! a crash cut short or that is still under way.

use super::record::{Record, RecordError};
use std::ops::Range;

/// A run of bytes that belong to no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Offsets in the file.
    pub bytes: Range<u64>,
    /// True if these bytes were on disk once: then data was lost here. False for a torn write.
    pub damaged: bool,
    /// The problem at its first byte.
    pub reason: RecordError,
}

/// Marks the regions that are damaged, given the good records of the same bytes. Both are in file order.
pub(super) fn tell_damage(regions: &mut [Region], records: &[Record<'_>]) {
    for region in regions {
        let later = records.iter().rev().take_while(|r| r.offset >= region.bytes.end);
        let synced = later.map(|r| r.synced_upto).max().unwrap_or(0);
        region.damaged = region.bytes.start < synced;
    }
}
