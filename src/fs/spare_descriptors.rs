//! Asks whether descriptors are left, for code that panics without them.

use std::fs::File;
use std::io;

/// Checks that this process can open so many descriptors more.
///
/// ```
/// use crdt_palace::fs::spare_descriptors::can_open;
///
/// assert!(can_open(2).is_ok());
/// ```
///
/// # Errors
/// The system's, if it cannot.
pub fn can_open(descriptors: usize) -> io::Result<()> {
    let opened = (0..descriptors).map(|_| File::open("/dev/null"));
    opened.collect::<io::Result<Vec<File>>>().map(drop)
}
