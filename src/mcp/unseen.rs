//! Shows what a call met that its client had not seen: the version that it replaced, the one because of which it did
//! nothing, the delete that it undid; and that the palace went back to an older state.

use super::conflicts::writer;
use super::page::{json_len, shortened};
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::format::plural::count;
use crate::memory::drawers::DrawerVersion;
use crate::memory::readable;
use crate::merge::Written;
use crate::palace::{Document, Session, WentBack};
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Characters of a text or value that a result shows of such a version.
const SHOWN_CHARS: usize = 500;
/// Most bytes of a text or value that a result carries in full, because it is not what was sent.
pub(super) const MERGED_BYTES: usize = 20_000;

/// Returns a whole value that an answer is to carry, and notes that it does; `None` if it is too long.
pub(super) fn whole_in_answer(
    session: &Session,
    key: &Key,
    heads: &Heads,
    value: Value,
) -> Option<Value> {
    let fits = json_len(&value) <= MERGED_BYTES;
    fits.then(|| {
        session.saw_in_answer(key, heads);
        value
    })
}

/// A version that the client had not seen
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct UnseenVersion {
    /// Its name: pass it as version to read all of it
    pub etag: String,
    /// Its last writer
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When, by the writer's clock
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The first 500 characters of its text, or of its fields as JSON
    pub text: String,
}

/// The delete that a write undid
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Undeleted {
    /// The writer of the delete
    pub by: String,
    /// When, by the writer's clock
    pub at: String,
}

impl UnseenVersion {
    fn new(etag: String, written: Option<Written>, text: &str) -> Self {
        UnseenVersion {
            etag,
            at: written.as_ref().map(|written| readable(written.time_ms)),
            by: written.map(|written| writer(&written.by)),
            text: shortened(text, SHOWN_CHARS),
        }
    }
}

impl UnseenVersion {
    /// Reads the version that the record of a call names.
    pub fn recorded(record: &Value) -> Option<Self> {
        let text = |field: &str| record.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(UnseenVersion::new(text("etag")?, written_in(record.get("modified")), &text("text")?))
    }
}

/// Says in a sentence that the palace went back to an older state, and to when.
pub(super) fn went_back_in_words(back: &WentBack) -> String {
    let left = match back.newest_ms {
        Some(newest_ms) => format!("the newest that is left is of {}", readable(newest_ms)),
        None => "nothing is left".to_owned(),
    };
    let verb = if back.commits == 1 { "is" } else { "are" };
    let commits = format!("{} that this server knew of {verb} gone", count(back.commits, "write"));
    format!(
        "the palace went back to an older state at {}: {commits}, and {left}; files \
         of it were restored, deleted or cut off. Tell the user.",
        readable(back.noticed_ms)
    )
}

/// Reads a writer and a time from the record of a call; `None` if it has none.
pub(super) fn written_in(record: Option<&Value>) -> Option<Written> {
    // A record of another version may have another form. Its call was made all the same.
    record.and_then(|record| Written::deserialize(record).ok())
}

impl From<DrawerVersion> for UnseenVersion {
    fn from(DrawerVersion { etag, written, text }: DrawerVersion) -> Self {
        UnseenVersion::new(etag, written, &text)
    }
}

impl From<Document> for UnseenVersion {
    fn from(Document { value, etag, modified, .. }: Document) -> Self {
        UnseenVersion::new(etag.to_string(), modified, &Value::Object(value).to_string())
    }
}

impl From<Written> for Undeleted {
    fn from(written: Written) -> Self {
        Undeleted { by: writer(&written.by), at: readable(written.time_ms) }
    }
}
