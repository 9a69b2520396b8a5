//! Results of the tools.

use crate::mcp::conflicts::{Authorship, OpenConflict, SettledConflict};
use crate::mcp::unseen::{Undeleted, UnseenVersion};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentShown {
    /// The key
    pub key: String,
    /// The version: pass it back as if_match or base
    pub etag: String,
    /// The value, or what stands at path
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// If the value is too long for one result: a piece of its JSON text. The next piece follows with next_cursor
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_piece: Option<String>,
    /// Where the next piece starts
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Fields that several writers set at the same time
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<OpenConflict>,
    /// Number of conflicts that are left out: document_conflicts shows all
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_conflicts: Option<i64>,
    /// The last writer
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Authorship>,
    /// True if some of its changes are pending, because changes that they build on have not arrived yet
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct WriteResult {
    /// The key
    pub key: String,
    /// The version that this write made: pass it as base to go on from it
    pub etag: String,
    /// The version that stands now, with what others wrote at the same time
    pub current_etag: String,
    /// False if nothing differed, so that nothing was written
    pub changed: bool,
    /// True: it is on disk, and survives a power cut
    pub durable: bool,
    /// Conflicts that this write has settled. Check that it decided right
    pub conflicts: Vec<SettledConflict>,
    /// Number of settled conflicts that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_conflicts: Option<i64>,
    /// True if the document is not exactly as you sent it, because others changed it since you read it
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub merged: bool,
    /// The whole value that stands now, up to 20,000 bytes: if merged, or if you named a part of a document of which you
    /// have read nothing. It counts as read
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// If merged and the value is longer: JSON pointers to what is not as you sent it; document_get shows it
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differing_paths: Vec<String>,
    /// Number of such paths that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_paths: Option<i64>,
    /// The version that this write replaced unread. If it was not yours to replace, pass its etag to
    /// document_get as version
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_unseen: Option<UnseenVersion>,
    /// Another session had deleted the document. It is back, with your change
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undeleted: Option<Undeleted>,
    /// After a delete: false if the document stays, because others changed it since you last saw anything of it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
    /// The version because of which it stays. The same call again deletes it; with base, pass this etag
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<UnseenVersion>,
    /// After a write beside others: what is in conflict now. Write the field once more to decide
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_conflicts: Vec<OpenConflict>,
    /// Number of open conflicts that are left out: document_conflicts shows all
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_open_conflicts: Option<i64>,
    /// Why it is not known what is in conflict now. The write is done: do not repeat it, and call document_conflicts
    /// later
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_conflicts_unknown: Option<String>,
    /// True if this call was made before with the same idempotency_key: nothing was written now, and the rest is what the
    /// first call did
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
    /// After an increment: the counter
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentList {
    /// In the order of their keys
    pub documents: Vec<Entry>,
    /// Where the next page starts; absent on the last
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A document without its value
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Entry {
    /// The key
    pub key: String,
    /// The version
    pub etag: String,
    /// The length of the value, in bytes of JSON
    pub bytes: i64,
    /// Number of fields in conflict
    pub conflicts: i64,
    /// The last writer
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Authorship>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentHits {
    /// Best first
    pub documents: Vec<Hit>,
    /// Where the next page starts; absent on the last
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A document that has all words
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Hit {
    /// The key
    pub key: String,
    /// The version
    pub etag: String,
    /// Higher is better; comparable within one query
    pub score: f64,
    /// Some text around one of the words
    pub snippet: String,
    /// Number of open conflicts; absent if there is none. document_conflicts shows them
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentVersions {
    /// The key
    pub key: String,
    /// Newest first
    pub versions: Vec<Version>,
    /// Where the next page starts; absent on the last
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One change
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Version {
    /// The version that it made: for version of document_get and document_restore
    pub etag: String,
    /// The writer
    #[serde(flatten)]
    pub by: Authorship,
    /// edit, delete or filed
    pub kind: String,
    /// Number of operations
    pub operations: i64,
    /// The versions that it builds on
    pub follows: Vec<String>,
}

/// A conflict that is open
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct ListedConflict {
    /// The document
    pub key: String,
    /// Its version: pass it to document_settle
    pub etag: String,
    /// The position of the conflict in the document, from 1: pass it to document_settle as conflict
    pub number: i64,
    #[serde(flatten)]
    pub conflict: OpenConflict,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentConflicts {
    /// The key, if one was given
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The version of that document
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Fields that several writers set at the same time
    pub conflicts: Vec<ListedConflict>,
    /// Where the next page starts; absent on the last
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DocumentSettled {
    /// The key
    pub key: String,
    /// The version that this write made: pass it as base to go on from it
    pub etag: String,
    /// The version that stands now
    pub current_etag: String,
    /// The whole value that stands now, up to 20,000 bytes, if you have read nothing of the document whole. It counts as
    /// read
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// False if nothing differed, so that nothing was written
    pub changed: bool,
    /// True: it is on disk, and survives a power cut
    pub durable: bool,
    /// The conflict that this call has settled, with the values that are gone
    pub conflicts: Vec<SettledConflict>,
    /// Number of settled conflicts that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_conflicts: Option<i64>,
    /// The conflicts of this document that are still open, with their numbers and the etag for the next call
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_conflicts: Vec<ListedConflict>,
    /// Number of open conflicts that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_open_conflicts: Option<i64>,
}
