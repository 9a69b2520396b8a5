//! Arguments of the tools.
//!
//! The layer in front of the tools has taken them as models send them: `sent_arguments`. It clamps to a maximum.

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Get {
    /// The key of the document, for example notes/plan
    pub key: String,
    /// Only the part of the value at this JSON pointer, for example /tasks/0
    pub path: Option<String>,
    /// An etag that document_history lists: the document as it was then
    pub version: Option<String>,
    /// next_cursor of the result before, to go on with a value that is too long for one result
    pub cursor: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    /// The key of the document: 1 to 512 bytes, for example notes/plan
    pub key: String,
    /// The whole new value, at most 1 MiB of JSON and nested at most 64 deep. Fields that it lacks are removed
    pub value: Map<String, Value>,
    /// Write only if the document is at this etag, or, with "absent", only if it does not exist
    pub if_match: Option<String>,
    /// The etag that the new value was made from: what others wrote since is kept, as a conflict if it is the same
    /// field
    pub base: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    /// The key of the document
    pub key: String,
    /// A JSON merge patch (RFC 7396): fields that it does not name stay, null removes a field, a list is replaced
    pub patch: Map<String, Value>,
    /// Write only if the document is at this etag, or, with "absent", only if it does not exist
    pub if_match: Option<String>,
    /// The etag that the patch was made from: what others wrote since is kept, as a conflict if it is the same field
    pub base: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Increment {
    /// The key of the document
    pub key: String,
    /// The counter, as a JSON pointer, for example /visits. It is made if it is not there
    pub path: String,
    /// The number to add, 1 if not given; negative to subtract
    pub by: Option<i64>,
    /// Write only if the document is at this etag, or, with "absent", only if it does not exist
    pub if_match: Option<String>,
    /// The etag that the write is based on. Increments add up with or without it
    pub base: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Only keys that start with this, for example notes/
    pub prefix: Option<String>,
    /// The most documents to list, 1 to 1000; 100 if not given
    #[schemars(range(max = 1000))]
    pub limit: Option<i64>,
    /// next_cursor of the page before
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// Words that all must occur, whatever the case; plan* finds every word that starts with plan
    pub query: String,
    /// Only keys that start with this, for example notes/
    pub prefix: Option<String>,
    /// The most documents to find, 1 to 100; 10 if not given
    #[schemars(range(max = 100))]
    pub limit: Option<i64>,
    /// next_cursor of the page before
    pub cursor: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    /// The key of the document
    pub key: String,
    /// Delete only if the document is at this etag
    pub if_match: Option<String>,
    /// The etag that the decision was based on: if others wrote since, their edit wins and nothing is deleted
    pub base: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    /// The key of the document
    pub key: String,
    /// The most versions to list, 1 to 500; 50 if not given
    #[schemars(range(max = 500))]
    pub limit: Option<i64>,
    /// next_cursor of the page before
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Conflicts {
    /// The key of the document; the conflicts of all documents if not given
    pub key: Option<String>,
    /// next_cursor of the page before
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settle {
    /// The key of the document
    pub key: String,
    /// The number of the conflict, as document_conflicts shows it
    pub conflict: i64,
    /// The etag of the value to take, the one that is shown or one of the others. Pass either this or value
    pub take: Option<String>,
    /// Another value, to stand in place of what is in conflict. If only a part of a text is, pass that part, as a string
    pub value: Option<Value>,
    /// The etag of the document that document_conflicts shows: if the document has changed since, nothing is settled
    /// and the call fails with ETAG_MISMATCH
    pub etag: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    /// The key of the document
    pub key: String,
    /// The etag of the version whose value shall be written again. If not given, a deleted document comes back as it was
    /// before the delete
    pub version: Option<String>,
    /// Write only if the document is at this etag, or, with "absent", only if it is deleted
    pub if_match: Option<String>,
    /// The etag that the decision was based on: what others wrote since is kept, as a conflict if it is the same field
    pub base: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}
