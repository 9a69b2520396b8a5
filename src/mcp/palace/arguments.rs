//! Arguments of the tools, with MemPalace's names.
//!
//! The layer in front of the tools has taken them as models send them: `sent_arguments`. It clamps to a maximum.

use crate::mcp::arguments::argument;
use crate::memory::MemoryError;
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// Some clients demand that there are properties, if only none.
#[schemars(extend("properties" = {}))]
pub(super) struct NoArguments {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListWings {
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListRooms {
    /// Only the rooms of this wing
    pub wing: Option<String>,
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// Words or a question, at most 10,000 characters: of more than 32 words the longest count; plan* finds planning too
    pub query: String,
    /// Number of results, 1 to 100; 5 if not given
    #[schemars(range(max = 100))]
    pub limit: Option<i64>,
    /// Only in this wing
    pub wing: Option<String>,
    /// Only in rooms of this name
    pub room: Option<String>,
    /// Only what was filed at this time or later: 2026-03-01, the day where the server runs, or 2026-03-01T10:00:00Z
    pub since: Option<String>,
    /// Only what was filed before this time
    pub before: Option<String>,
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckDuplicate {
    /// The text to look for
    pub content: String,
    /// Least similarity, over 0 to 1; 0.9 if not given
    pub threshold: Option<f64>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddDrawer {
    /// The person or project, at most 128 characters
    pub wing: String,
    /// The topic, at most 128 characters
    pub room: String,
    /// The text, word for word, at most 100,000 characters
    pub content: String,
    /// Where it comes from
    pub source_file: Option<String>,
    /// The person or agent that files it
    pub added_by: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetDrawer {
    /// The drawer's id
    pub drawer_id: String,
    /// To go on with a long text: the next_offset of the call before. Pass its etag as version, so that all parts are
    /// of one text
    pub offset: Option<i64>,
    /// An etag of this drawer, or of one of its conflicts: the drawer as it was then. As it is now if not given
    pub version: Option<String>,
    /// Show all of the path of a source, not only its name
    pub full_source: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetDrawers {
    /// The ids, at most 500
    pub drawer_ids: Vec<String>,
    /// Show all of the path of a source, not only its name
    pub full_source: Option<bool>,
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListDrawers {
    /// Only in this wing
    pub wing: Option<String>,
    /// Only in rooms of this name
    pub room: Option<String>,
    /// Number of drawers, 1 to 100; 20 if not given
    #[schemars(range(max = 100))]
    pub limit: Option<i64>,
    /// Number of drawers to skip; a cursor is better, as it is exact while others write
    pub offset: Option<i64>,
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateDrawer {
    /// The drawer's id, which stays the same
    pub drawer_id: String,
    /// The new text
    pub content: Option<String>,
    /// The wing to move it to
    pub wing: Option<String>,
    /// The room to move it to
    pub room: Option<String>,
    /// The etag of the version that you made the change from, if you read it in another session: what others changed
    /// since is kept
    pub base: Option<String>,
    /// The etag that you read: if the drawer has changed since, nothing is written and the call fails with
    /// ETAG_MISMATCH and the present text
    pub if_match: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteDrawer {
    /// The drawer's id
    pub drawer_id: String,
    /// The etag of the version that you decided on: if the drawer has changed since, it stays
    pub base: Option<String>,
    /// The etag that you read: if the drawer has changed since, nothing is deleted and the call fails with
    /// ETAG_MISMATCH and the present text
    pub if_match: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteDrawers {
    /// The ids, at most 500
    pub drawer_ids: Vec<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UndeleteDrawer {
    /// The drawer's id
    pub drawer_id: String,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveDrawers {
    /// The ids, at most 500. Pass either these, or wing or room
    pub drawer_ids: Option<Vec<String>>,
    /// All drawers of this wing; with room, those of that room of it
    pub wing: Option<String>,
    /// All drawers of rooms of this name
    pub room: Option<String>,
    /// The wing to move them to; each stays in its wing if not given
    pub to_wing: Option<String>,
    /// The room to move them to; each stays in its room if not given
    pub to_room: Option<String>,
    /// Only count what would be moved
    pub dry_run: Option<bool>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenamePlace {
    /// The wing
    pub wing: String,
    /// The room of it to rename. Without it, the wing is renamed
    pub room: Option<String>,
    /// The new name, at most 128 characters
    pub to: String,
    /// If another wing, or another room of this wing, has that name: make the two one
    pub join: Option<bool>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Conflicts {
    /// Only the conflicts of this drawer; those of all drawers if not given
    pub drawer_id: Option<String>,
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settle {
    /// The drawer's id
    pub drawer_id: String,
    /// The number of the conflict, as the list shows it
    pub conflict: i64,
    /// The etag of the reading to take, the one that is shown or one of the others. Pass either this or text
    pub take: Option<String>,
    /// Another reading: the text to stand in place of what is in conflict. If only a part of a text is, pass that part
    pub text: Option<String>,
    /// The etag of the drawer that the list shows: if the drawer has changed since, nothing is settled and the call
    /// fails with ETAG_MISMATCH
    pub etag: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct CheckpointItem {
    /// The person or project
    pub wing: String,
    /// The topic
    pub room: String,
    /// The text, word for word
    pub content: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct CheckpointDiary {
    /// The agent whose diary it is
    pub agent_name: String,
    /// The text of the entry
    pub entry: String,
    /// The topic; general if not given
    pub topic: Option<String>,
    /// The wing; the agent's own if not given
    pub wing: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    /// The texts to file, at most 100
    pub items: Vec<CheckpointItem>,
    /// An entry of a diary, written in the same commit
    pub diary: Option<CheckpointDiary>,
    /// An item is not filed if a drawer is as similar as this, over 0 to 1; 0.9 if not given
    pub dedup_threshold: Option<f64>,
    /// The person or agent that files them
    pub added_by: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiaryWrite {
    /// The agent whose diary it is
    pub agent_name: String,
    /// The text of the entry, at most 100,000 characters
    pub entry: String,
    /// The topic; general if not given
    pub topic: Option<String>,
    /// The wing; the agent's own if not given
    pub wing: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiaryRead {
    /// The agent whose diary it is
    pub agent_name: String,
    /// Number of entries, the newest first, 1 to 100; 10 if not given
    #[schemars(range(max = 100))]
    pub last_n: Option<i64>,
    /// Only in this wing
    pub wing: Option<String>,
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangesSince {
    /// The next_cursor of the call before. Without it and since, nothing but a cursor to start from comes back
    pub cursor: Option<String>,
    /// Instead of a cursor: a time, 2026-03-01, the day where the server runs, or 2026-03-01T10:00:00Z
    pub since: Option<String>,
    /// Number of commits, 1 to 100; 20 if not given
    #[schemars(range(max = 100))]
    pub limit: Option<i64>,
    /// Also what this server wrote. If not given: true over HTTP, where it writes for others too, else false
    pub include_own: Option<bool>,
}

/// Reads the number of items to leave out.
///
/// # Errors
/// [`MemoryError::Argument`] if it is negative.
pub(super) fn offset(given: Option<i64>) -> Result<usize, MemoryError> {
    let negative = |_| argument("offset", "it is negative: pass 0 or more");
    usize::try_from(given.unwrap_or(0)).map_err(negative)
}
