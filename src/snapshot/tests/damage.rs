//! Damaged files: an error or the truth, never a panic, never anything else.
