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

/// Returns the common name of a file system type, for messages.
///
/// ```
/// use crdt_palace::fs::fs_type::name;
/// assert_eq!(name(0x6969), "nfs");
/// assert_eq!(name(1), "unknown");
/// ```
#[must_use]
pub fn name(fs_type: u64) -> &'static str {
    match fs_type {
        0xEF53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683E => "btrfs",
        0x2FC1_2FC1 => "zfs",
        0xF2F5_2010 => "f2fs",
        0xCA45_1A4E => "bcachefs",
        0x0102_1994 => "tmpfs",
        0x8584_58F6 => "ramfs",
        0x6969 => "nfs",
        0x517B | 0xFE53_4D42 | 0xFF53_4D42 => "smb",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        0x794C_7630 => "overlay",
        _ => "unknown",
    }
}
