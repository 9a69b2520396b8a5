//! Compaction: segments and small snapshots become one larger snapshot.

pub(in crate::palace) mod automatic;
pub(in crate::palace) mod build;
pub(in crate::palace) mod inputs;
pub(in crate::palace) mod log_rows;
mod merge_rows;
pub(in crate::palace) mod pace;
#[doc(hidden)]
pub mod policy;
pub(in crate::palace) mod report;
mod row;
pub(in crate::palace) mod steps;

pub use report::{CompactOptions, CompactReport, Extent, LeftOpen, Skipped};
