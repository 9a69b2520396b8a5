//! The identity of a file, and its entry in a directory, as the system tells them.

/// The identity of a file, independent of its name, and its length.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// std::fs::write(&old, "12345")?;
/// let before = OsFs.stat(&old)?;
/// std::fs::rename(&old, &new)?;
/// assert!(OsFs.stat(&new)?.same_file(&before));
/// assert_eq!(before.len, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The device.
    pub dev: u64,
    /// The inode on that device.
    pub ino: u64,
    /// Its length in bytes.
    pub len: u64,
}

impl Stat {
    /// Returns true if both describe the same file, at whatever length.
    #[must_use]
    pub fn same_file(&self, other: &Stat) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

/// The identity of a file with its times, which tell it from a later file that got the same inode.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, "12345")?;
/// let before = OsFs.identity(&path)?;
/// assert_eq!(before.stat, OsFs.stat(&path)?);
/// assert_eq!(before, OsFs.identity(&path)?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The identity of the file at this moment.
    pub stat: Stat,
    /// The time of its last modification, in milliseconds since 1970, UTC.
    pub modified_ms: i64,
    /// The time when it was made, in nanoseconds since 1970; `None` if the file system does not tell. Some
    /// servers of network file systems make it up from other times, and then it changes.
    pub born_ns: Option<i64>,
}

/// A name in a directory, with the inode that the directory gives for it.
///
/// ```
/// use crdt_palace::fs::{Fs, os::OsFs};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// std::fs::write(dir.join("name"), "")?;
/// let listed = &OsFs.entries(dir)?[0];
/// assert_eq!((listed.name.as_str(), listed.ino), ("name", OsFs.stat(&dir.join("name"))?.ino));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// The inode. Some file systems give another number here than [`Fs::stat`] does, and FUSE may give
    /// any. On a local disk a file has the same number as long as it is there.
    pub ino: u64,
}
