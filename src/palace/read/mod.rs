//! Reading documents by key.

pub mod get;
pub mod iterators;
pub mod keys;
