//! Full-text search over what documents show.

pub mod query;
pub mod ranking;
