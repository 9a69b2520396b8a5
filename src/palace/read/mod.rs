//! Reading documents by key.

pub mod get;
pub mod keys;
