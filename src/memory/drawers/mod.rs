//! Drawers: texts, filed word for word in rooms of wings, and found again by their words.
//!
//! Owns: the form of a drawer as a document, and the rules of filing, changing, moving, deleting and searching.
//! Invariants: the same text, filed in the same room by any number of processes, is one drawer without conflicts. An id
//! stays valid as long as its drawer exists, also when its text or its place changes. Counting reads keys, not drawers.
//! Must not know: which surface calls it.
//!
//! # The documents
//! * `drawer/<wing>/<room>/<24 hex digits of a SHA-256>` is `{"wing", "room", "content", "filings"}`, filed by
//!   its content. `filings` is a list of `{"at", "source_file", "added_by"}`; the last two are optional. A filing is
//!   added each time that the text is filed with a new source or a new filer. Two processes that file the same text at
//!   once leave two filings. The filing of an imported drawer has a `from`: the `id` that the drawer had in the other
//!   system, and everything else that was known about it there.
//! * `drawer/<wing>/diary/<date>_<time>_<12 hex digits>` is an entry of a diary: also `agent` and `topic`. Its filing
//!   has an `offset` if the writer's time zone is not UTC, such as `+09:00`: the entry's date is that of `at` there. The
//!   date and time of the key are in UTC.
//! * `moved/<wing>/<room>/<end>` notes that the drawer with the key `drawer/<wing>/<room>/<end>` was moved. The drawer
//!   itself says where it is now. So the rooms of all drawers follow from keys, and from the few drawers that were
//!   moved.
//! * `moved/=<32 hex digits>` renames a wing or room: see `docs/FORMAT.md`.
//!
//! # Names
//! Names of wings and rooms that differ in case only, or in `-`, `_` and spaces, are one place. So are a name and the
//! names that it was renamed from. Every method takes each of them, and shows the same one.

mod change;
mod delete;
mod diary;
mod drawer;
mod duplicates;
mod file;
mod filter;
mod handle;
#[cfg(feature = "mcp")]
pub(in crate::memory) mod import;
#[cfg(feature = "mcp")]
mod in_conflict;
mod list;
mod move_all;
mod place;
mod place_note;
mod places;
mod rename;
mod renames;
mod search;
mod settle;
mod settled;
mod snippet;
mod spelling;
mod undelete;
mod update;
#[cfg(feature = "cli")]
mod wing_keys;

pub use change::{Change, Changed, DrawerVersion, IDS_MAX};
pub use delete::{Deleted, DeletedOne};
pub use diary::{DiaryEntry, DiaryPage, ENTRIES_MAX, EntryWritten};
pub use drawer::{CONTENT_CHARS_MAX, Drawer};
pub use duplicates::{Duplicate, similarity};
pub use file::{Filed, FiledAs, Item};
pub use handle::Drawers;
pub use list::{Counts, DrawerPage, DrawerQuery};
pub use move_all::{DrawersMoved, MOVES_MAX, MoveDrawers};
pub use place::{NAME_CHARS_MAX, PLACE_BYTES_MAX, Place};
pub use place_note::{NEAREST_MAX, PlaceNote};
pub use rename::{Rename, Renamed};
pub use search::{HITS_MAX, Hit, QUERY_CHARS_MAX, Search, SearchPage};
pub use undelete::Undeleted;

#[cfg(feature = "mcp")]
pub(crate) use change::distinct;
#[cfg(feature = "mcp")]
pub(crate) use diary::CheckpointPlan;
#[cfg(feature = "cli")]
pub(super) use drawer::FILINGS;
#[cfg(feature = "mcp")]
pub(crate) use list::by_room;
#[cfg(feature = "cli")]
pub(crate) use place::drawer_id;
#[cfg(feature = "cli")]
pub(crate) use place::folded;
#[cfg(feature = "cli")]
pub(super) use place::keys_of;
#[cfg(feature = "mcp")]
pub(crate) use place::{is_move, wing_of};
#[cfg(feature = "mcp")]
pub(crate) use renames::renamed_place;
#[cfg(feature = "cli")]
pub(crate) use wing_keys::WingKeys;

#[cfg(test)]
mod places_tests;
#[cfg(test)]
mod settle_tests;
#[cfg(test)]
mod tests;
