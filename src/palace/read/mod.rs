//! Reading documents by key.

pub mod derived;
pub mod get;
pub mod iterators;
pub mod keys;
