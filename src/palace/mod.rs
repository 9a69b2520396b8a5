//! Documents by key: the library's front door.
//!
//! Owns: what reads and writes mean, and when to compact. Invariants: a read that starts after a write
//! was acknowledged, in any process on the machine, sees it; a write that was acknowledged is in every
//! later load. Must not know: how bytes are laid out (`format`), which system calls there are (`fs`),
//! what the surfaces look like (`cli`, `mcp`).
//!
//! The rooms, from the bottom up; each uses only those above it in this list:
//!
//! * `view`: one process's knowledge of the palace, immutable for its readers
//! * `compact`: from segments and small snapshots to one larger snapshot
//! * `handle`: an open palace and what its threads share
//! * `read`, `write`, `search`: documents by key; commits; full text
//! * `session`: what each client has seen, so that its writes are made from that
//! * `check`: verify and status
//! * `history`: feed, watch, the log and the dump
//! * `into`: copies merged into a new palace

mod background;
pub mod compact;
mod error;
#[cfg(test)]
mod error_text_tests;
mod handle;
mod read;
mod session;
mod view;
mod write;

mod check;
mod history;
pub mod into;
pub(crate) mod search;

#[cfg(feature = "mcp")]
pub(crate) use check::identity::manifest_of_files;
#[cfg(feature = "cli")]
pub(crate) use check::program_version::OLDER_NOTE;
pub use check::{conflict_count::ConflictCount, status, verify};
pub use error::{Error, Result, chain};
pub use handle::options::Options;
pub use handle::shared::Palace;
#[cfg(feature = "mcp")]
pub(crate) use history::short_cursor::Position;
#[cfg(feature = "mcp")]
pub(crate) use history::undone::Standing;
#[cfg(feature = "cli")]
pub(crate) use history::{commit_id, commit_queue::Direction, log, step};
pub use history::{dump, feed, watch};
pub(crate) use read::derived::Progress;
pub use read::get::PAGE_MAX;
pub use read::iterators::{Keys, Scan};
pub use read::keys::KEYS_MAX;
pub use search::query::{HITS_MAX, Hit, Search};
pub(crate) use session::choice::{Choice, Sent};
pub(crate) use session::distance;
pub use session::{
    SESSIONS_BYTES_MAX, Session, SessionDelete, SessionWrite, Sessions, VERSIONS_MAX,
};
pub use view::document::{Document, Page};
#[cfg(feature = "mcp")]
pub(crate) use view::text::text_of;
pub use view::went_back::WentBack;
pub use write::commit::Batch;
pub use write::draft::Draft;
pub(crate) use write::once::Once;
#[cfg(feature = "mcp")]
pub(crate) use write::record::Before;
pub use write::request::{Condition, Outcome, Receipt, WriteOptions};
#[cfg(feature = "mcp")]
pub(crate) use write::undo::NotUndone;
pub use write::writes::Writes;

// What callers meet of the layers below. Those are hidden, so this is where such a type is documented.
pub use crate::format::hash::{ChangeHash, Etag, EtagError, Heads};
pub use crate::format::id::{IdError, InstanceId, PalaceId, SegmentId, SnapshotId};
pub use crate::format::key::{KEY_BYTES_MAX, Key, KeyError};
pub use crate::format::manifest::ManifestError;
pub use crate::format::record::{BODY_BYTES_MAX, RecordError};
pub use crate::fs::fs_type::FileSystem;
pub use crate::merge::{
    COUNTER_VALUE_MAX, Candidate, ChangeEffect, ChangeInfo, ChangeKind, Conflict, DocumentEffects,
    MergeError, NESTING_MAX, OPERATIONS_MAX, Rival, Settled, VALUE_BYTES_MAX, ValueType, View,
    Written, automerge,
};
pub use crate::segment::SegmentError;
pub use crate::snapshot::SnapshotError;
pub use crate::store::StoreError;
pub use crate::store::group_commit::{BUFFERED_MS, Durability};
pub use crate::store::lock::Holder;
pub use crate::store::read_only::ReadOnlyReason;
pub use crate::store::seal::Left;
