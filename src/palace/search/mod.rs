//! Full-text search over what documents show.

pub mod query;
pub mod question_words;
pub mod ranking;
