//! File system types: their names, and an allow-list of those whose flock can be trusted.
//!
//! The numbers are those of statfs(2). On a file system that is not on the list (NFS, SMB, 9p, FUSE with
//! Docker Desktop's VirtioFS, overlay of unknown layers), two processes may both get one lock.

/// Returns true if processes that share this file system can rely on flock. `fs_type` is `statfs.f_type`.
///
/// ```
/// use crdt_palace::fs::fs_type::lock_trusted;
/// assert!(lock_trusted(0xEF53)); // ext4
/// assert!(!lock_trusted(0x6969)); // NFS
/// ```
#[must_use]
pub fn lock_trusted(fs_type: u64) -> bool {
    matches!(
        fs_type,
        0xEF53 // ext2, ext3, ext4
            | 0x5846_5342 // XFS
            | 0x9123_683E // Btrfs
            | 0x2FC1_2FC1 // ZFS
            | 0xF2F5_2010 // F2FS
            | 0xCA45_1A4E // bcachefs
            | 0x0102_1994 // tmpfs
            | 0x8584_58F6 // ramfs
    )
}

/// A kind of file system.
///
/// ```
/// use crdt_palace::fs::fs_type::FileSystem;
/// assert_eq!(FileSystem::of(0x6969), FileSystem::Nfs);
/// assert_eq!(FileSystem::of(0x6969).to_string(), "nfs");
/// assert_eq!(FileSystem::of(1), FileSystem::Unknown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileSystem {
    /// ext2, ext3 or ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// ZFS.
    Zfs,
    /// F2FS.
    F2fs,
    /// bcachefs.
    Bcachefs,
    /// tmpfs, in memory.
    Tmpfs,
    /// ramfs, in memory.
    Ramfs,
    /// NFS.
    Nfs,
    /// SMB.
    Smb,
    /// 9p, as virtual machines share directories.
    NineP,
    /// FUSE.
    Fuse,
    /// overlayfs.
    Overlay,
    /// Any other.
    Unknown,
}

impl FileSystem {
    /// Returns the kind that has this `statfs.f_type`.
    #[must_use]
    pub fn of(fs_type: u64) -> Self {
        match fs_type {
            0xEF53 => FileSystem::Ext4,
            0x5846_5342 => FileSystem::Xfs,
            0x9123_683E => FileSystem::Btrfs,
            0x2FC1_2FC1 => FileSystem::Zfs,
            0xF2F5_2010 => FileSystem::F2fs,
            0xCA45_1A4E => FileSystem::Bcachefs,
            0x0102_1994 => FileSystem::Tmpfs,
            0x8584_58F6 => FileSystem::Ramfs,
            0x6969 => FileSystem::Nfs,
            0x517B | 0xFE53_4D42 | 0xFF53_4D42 => FileSystem::Smb,
            0x0102_1997 => FileSystem::NineP,
            0x6573_5546 => FileSystem::Fuse,
            0x794C_7630 => FileSystem::Overlay,
            _ => FileSystem::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
            FileSystem::Btrfs => "btrfs",
            FileSystem::Zfs => "zfs",
            FileSystem::F2fs => "f2fs",
            FileSystem::Bcachefs => "bcachefs",
            FileSystem::Tmpfs => "tmpfs",
            FileSystem::Ramfs => "ramfs",
            FileSystem::Nfs => "nfs",
            FileSystem::Smb => "smb",
            FileSystem::NineP => "9p",
            FileSystem::Fuse => "fuse",
            FileSystem::Overlay => "overlay",
            FileSystem::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for FileSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for FileSystem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
