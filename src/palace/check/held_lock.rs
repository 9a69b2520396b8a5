//! A lock of a palace and its holder, for people.

use super::json_text::as_text;
use crate::store::lock::Holder;

/// A lock that a process holds.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("a", &json!({"n": 1}))?;
/// let status = palace.status()?;
/// let lock = &status.locks[0];
/// assert_eq!(lock.resource, format!("segment {}", status.instances[0].segment));
/// assert!(lock.holder.starts_with(&format!("pid {} ", std::process::id())));
/// assert!(serde_json::to_value(lock)?["ttl"].is_null());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct HeldLock {
    /// "compaction", "conditional write", or "segment" and its id.
    pub resource: String,
    /// Process id, program and the client that writes through it; or "unknown". If a process that holds the lock of
    /// a lock file is stopped, the text says so, and what lets it go on.
    pub holder: String,
    /// The time when it was taken: milliseconds since 1970, UTC, or 0 if unknown; as JSON a time of RFC 3339, or null.
    #[serde(rename = "acquired_at", serialize_with = "as_text")]
    pub acquired_ms: i64,
    /// Null as JSON: no lock expires. The operating system releases each when its process ends.
    pub ttl: (),
}

impl HeldLock {
    pub(super) fn of(holder: &Holder) -> Self {
        let Holder { resource, holder, acquired_ms } = holder.clone();
        HeldLock { resource, holder, acquired_ms, ttl: () }
    }
}
