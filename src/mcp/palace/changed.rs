//! Results of the tools that change and delete drawers.

use super::merged::MergedText;
use super::results::{DrawerConflict, WriteReceipt};
use crate::mcp::unseen::{Undeleted, UnseenVersion};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawerUpdated {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    pub drawer_id: String,
    pub wing: String,
    pub room: String,
    /// True if it was like that already
    pub noop: bool,
    /// The version that stands now, with what others wrote at the same time
    pub current_etag: String,
    /// True if the drawer is not exactly as you sent it, because others changed it since you read it
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub merged: bool,
    #[serde(flatten)]
    pub text: MergedText,
    /// Fields that others set differently since you read them, with the values that are not shown
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_conflicts: Vec<DrawerConflict>,
    /// Number of open conflicts that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_open_conflicts: Option<i64>,
    /// The text that this write replaced, because this session had not read it. If it was not yours to replace, pass
    /// its etag to get_drawer as version
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_unseen: Option<UnseenVersion>,
    /// Another session had deleted the drawer. It is back, with your change
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undeleted: Option<Undeleted>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawerDeleted {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    pub drawer_id: String,
    /// True if it was deleted before
    pub noop: bool,
    /// False if it stays, because others changed it since you last saw anything of it
    pub deleted: bool,
    /// The version because of which it stays. The same call again deletes it; with base, pass this etag
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<UnseenVersion>,
    /// If it is deleted: the tool that undoes it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct DeletedId {
    pub drawer_id: String,
    pub etag: String,
}

/// A drawer that stays
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct ChangedDrawer {
    pub drawer_id: String,
    #[serde(flatten)]
    pub version: UnseenVersion,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawersDeleted {
    pub success: bool,
    pub durable: bool,
    pub deleted: Vec<DeletedId>,
    pub not_found: Vec<String>,
    /// Drawers that stay, because others changed them since you last saw anything of them. The same call again deletes
    /// them
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_since: Vec<ChangedDrawer>,
    pub count: i64,
    pub conflicts: Vec<DrawerConflict>,
    /// Number of ids that are left out of the lists, because the result would be too long; count counts all
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<i64>,
}
