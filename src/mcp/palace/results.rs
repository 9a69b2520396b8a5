//! Results of the tools, with MemPalace's names.

use super::text::{mention, part};
use crate::mcp::conflicts::{path, writer};
use crate::mcp::page::{Budget, echoed, number, shortened, some_number};
use crate::memory::drawers::{Drawer, Duplicate, Hit};
use crate::memory::{readable, shown_source};
use crate::merge::{Candidate, Conflict};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

/// Characters of a drawer's text that a list shows.
const PREVIEW_CHARS: usize = 200;

/// Most characters of a text that a caller gave with a drawer or fact, such as a file's name.
const SAID_CHARS: usize = 1_000;
/// Most bytes of a list of such texts.
const SAID_BYTES: usize = 6_000;
/// Most bytes of the conflicts of a drawer, and of the other values of one of its fields.
const CONFLICTS_BYTES: usize = 15_000;
const OTHERS_BYTES: usize = 6_000;

/// A value that several writers set at once, and what the others wrote.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct DrawerConflict {
    /// The field, as a JSON pointer
    pub path: String,
    pub others: Vec<OtherValue>,
    /// Number of other values that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct OtherValue {
    /// The value, or the beginning of a long one and …
    pub value: String,
    pub by: String,
    pub at: String,
    /// The version in which it was written: get_drawer with this as version gives all of it
    pub etag: String,
}

impl From<Candidate> for OtherValue {
    fn from(Candidate { value, written }: Candidate) -> Self {
        OtherValue {
            value: value.as_str().map_or_else(|| mention(&value.to_string()), mention),
            by: writer(&written.by),
            at: readable(written.time_ms),
            etag: written.change.etag().to_string(),
        }
    }
}

impl From<Conflict> for DrawerConflict {
    fn from(conflict: Conflict) -> Self {
        let others = conflict.others.into_iter().map(OtherValue::from);
        let (others, more) = Budget::of(OTHERS_BYTES).keep(others);
        DrawerConflict { path: path(&conflict.path), others, more }
    }
}

/// The conflicts that fit, and the number of the others.
pub(super) fn bounded(conflicts: Vec<Conflict>) -> (Vec<DrawerConflict>, Option<i64>) {
    Budget::of(CONFLICTS_BYTES).keep(conflicts.into_iter().map(DrawerConflict::from))
}

/// A text that a caller gave with a drawer or fact.
pub(super) fn said(text: String) -> String {
    shortened(&text, SAID_CHARS)
}

/// Such texts: the first 20 that fit.
fn said_list(texts: Vec<String>) -> Vec<String> {
    Budget::of(SAID_BYTES).keep(texts.into_iter().take(20).map(said)).0
}

/// The source of a drawer or fact: of an absolute path only the name, unless the caller asked for all of it.
pub(super) fn source(text: String, full: bool) -> String {
    said(if full { text } else { shown_source(&text).to_owned() })
}

/// Such sources, each once: files of several directories may have one name.
fn sources(texts: Vec<String>, full: bool) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for source in texts.into_iter().map(|text| source(text, full)) {
        if !shown.contains(&source) {
            shown.push(source);
        }
    }
    said_list(shown)
}

/// The part that the results of all writes share.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct WriteReceipt {
    /// Always true: a call that fails returns an error instead
    pub success: bool,
    /// True if the write is on disk and survives a power cut
    pub durable: bool,
    /// The version that this write made: pass it as base to go on from it
    pub etag: String,
    /// Fields that several writers had set at the same time, and that this write settled
    pub conflicts: Vec<DrawerConflict>,
    /// Number of settled conflicts that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_conflicts: Option<i64>,
}

impl WriteReceipt {
    pub fn new(etag: String, settled: Vec<Conflict>) -> Self {
        let (conflicts, more_conflicts) = bounded(settled);
        WriteReceipt { success: true, durable: true, etag, conflicts, more_conflicts }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawerAdded {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    pub drawer_id: String,
    pub wing: String,
    pub room: String,
    /// Always 1: texts are not cut up
    pub chunks: i64,
    /// "already_exists" if it was there
    pub reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Metadata {
    pub filed_at: Option<String>,
    /// Sources; the names alone of absolute paths, unless full_source was passed
    pub source_files: Vec<String>,
    pub added_by: Vec<String>,
    pub updated_at: Option<String>,
    pub updated_by: Option<String>,
    pub agent: Option<String>,
    pub topic: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct DrawerShown {
    pub drawer_id: String,
    pub content: String,
    /// If the text goes on: the offset for get_drawer, with the etag as version
    pub next_offset: Option<i64>,
    pub wing: String,
    pub room: String,
    pub metadata: Metadata,
    /// The version: pass it back as if_match to change what you have read, or as version to read it again
    pub etag: String,
    /// Fields that several writers set at the same time, with the values that are not shown; update_drawer settles them
    pub conflicts: Vec<DrawerConflict>,
    /// Number of conflicts that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_conflicts: Option<i64>,
}

impl DrawerShown {
    /// The drawer, with the part of its text from character `offset` on that fits. With `full_source`, paths of sources
    /// are whole.
    pub fn new(drawer: Drawer, offset: usize, full_source: bool) -> Self {
        let (agent, topic) = drawer.diary.unzip();
        let modified = drawer.modified;
        let (conflicts, more_conflicts) = bounded(drawer.conflicts);
        let mut shown = DrawerShown {
            drawer_id: drawer.id,
            content: String::new(),
            next_offset: None,
            wing: drawer.place.wing,
            room: drawer.place.room,
            metadata: Metadata {
                filed_at: drawer.filed_ms.map(readable),
                source_files: sources(drawer.source_files, full_source),
                added_by: said_list(drawer.added_by),
                updated_at: modified.as_ref().map(|written| readable(written.time_ms)),
                updated_by: modified.map(|written| writer(&written.by)),
                agent: agent.map(|agent| echoed(&agent)),
                topic: topic.map(|topic| echoed(&topic)),
            },
            etag: drawer.etag,
            conflicts,
            more_conflicts,
        };
        (shown.content, shown.next_offset) = part(&drawer.content, offset, &shown);
        shown
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawersShown {
    pub drawers: Vec<DrawerShown>,
    /// Ids among those of this page that name no drawer
    pub not_found: Vec<String>,
    pub count: i64,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Preview {
    pub drawer_id: String,
    pub wing: String,
    pub room: String,
    pub content_preview: String,
    /// Number of open conflicts; absent if there is none. The tool conflicts lists them
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<i64>,
}

impl From<Drawer> for Preview {
    fn from(drawer: Drawer) -> Self {
        let content_preview = drawer.content.chars().take(PREVIEW_CHARS).collect();
        let (wing, room) = (drawer.place.wing, drawer.place.room);
        let conflicts = some_number(drawer.conflicts.len());
        Preview { drawer_id: drawer.id, wing, room, content_preview, conflicts }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawerList {
    pub drawers: Vec<Preview>,
    pub total: i64,
    pub count: i64,
    pub offset: i64,
    pub limit: i64,
    pub next_cursor: Option<String>,
    /// Says so if no drawer is in the wing or room, or if it is called otherwise now
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct FoundDrawer {
    pub drawer_id: String,
    /// The text, or of a long one the part around the first word that was found; get_drawer gives all
    pub text: String,
    pub wing: String,
    pub room: String,
    /// Source; the name alone of an absolute path. get_drawer has all of it
    pub source_file: Option<String>,
    pub created_at: Option<String>,
    /// Number of the query's words that it has
    pub words_matched: i64,
    pub bm25_score: f64,
    /// Where they are: content, metadata (wing, room, agent, topic), or content+metadata
    pub matched_via: String,
    /// Number of open conflicts; absent if there is none. The tool conflicts lists them
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<i64>,
}

impl From<Hit> for FoundDrawer {
    fn from(hit: Hit) -> Self {
        let drawer = hit.drawer;
        FoundDrawer {
            drawer_id: drawer.id,
            text: hit.snippet,
            wing: drawer.place.wing,
            room: drawer.place.room,
            source_file: drawer.source_files.into_iter().next().map(|text| source(text, false)),
            created_at: drawer.filed_ms.map(readable),
            words_matched: number(hit.words),
            bm25_score: (hit.score * 1_000.0).round() / 1_000.0,
            matched_via: hit.matched_via.to_owned(),
            conflicts: some_number(drawer.conflicts.len()),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Filters {
    pub wing: Option<String>,
    pub room: Option<String>,
    pub since: Option<String>,
    pub before: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SearchResults {
    pub query: String,
    pub filters: Filters,
    /// Drawers with more of the words come first
    pub results: Vec<FoundDrawer>,
    pub next_cursor: Option<String>,
    /// Says so if no drawer is in the wing or room, or if it is called otherwise now
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct DuplicateMatch {
    pub id: String,
    pub wing: String,
    pub room: String,
    /// The part of all runs of three words that both texts have: 1 is the same words in the same order. Of a drawer with
    /// open conflicts, that of its most similar reading
    pub similarity: f64,
    /// The text, or the beginning of a long one and …; get_drawer gives all
    pub content: String,
    /// True if it is the beginning only
    pub truncated: bool,
    /// Number of open conflicts; absent if there is none. The tool conflicts lists them
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<i64>,
}

impl From<Duplicate> for DuplicateMatch {
    fn from(Duplicate { drawer, similarity }: Duplicate) -> Self {
        let (wing, room) = (drawer.place.wing, drawer.place.room);
        let similarity = (similarity * 1_000.0).floor() / 1_000.0;
        let content = mention(&drawer.content);
        let truncated = content != drawer.content;
        let conflicts = some_number(drawer.conflicts.len());
        DuplicateMatch { id: drawer.id, wing, room, similarity, content, truncated, conflicts }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DuplicateMatches {
    pub is_duplicate: bool,
    pub matches: Vec<DuplicateMatch>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct CheckpointItemResult {
    /// The drawer, or the one that is similar
    pub drawer_id: String,
    pub wing: String,
    pub room: String,
    /// filed, already_exists, or duplicate: then nothing was filed
    pub status: String,
    /// If it is a duplicate: how similar
    pub similarity: Option<f64>,
    /// Its version; null if the call was repeated and the drawer was deleted since
    pub etag: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct CheckpointEntry {
    pub entry_id: String,
    pub etag: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CheckpointSaved {
    pub success: bool,
    pub durable: bool,
    /// In the order of the call
    pub items: Vec<CheckpointItemResult>,
    pub diary: Option<CheckpointEntry>,
    pub conflicts: Vec<DrawerConflict>,
    /// Number of items at the end that are left out, because the result would be too long. They are
    /// filed like the others
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<i64>,
    /// True if this call was made before with the same idempotency_key: nothing was written now
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

impl CheckpointSaved {
    /// Makes the result of a checkpoint that was saved now, or before. It has as many items as fit.
    pub fn new(
        items: Vec<CheckpointItemResult>,
        diary: Option<CheckpointEntry>,
        repeated: bool,
    ) -> Self {
        let mut saved = CheckpointSaved {
            success: true,
            durable: true,
            items: Vec::new(),
            diary,
            conflicts: Vec::new(),
            left_out: None,
            repeated,
        };
        (saved.items, saved.left_out) = Budget::around(&saved).keep(items.into_iter());
        saved
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EntryWritten {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    pub entry_id: String,
    pub agent: String,
    pub topic: String,
    pub wing: String,
    pub timestamp: String,
    /// Always 1: texts are not cut up
    pub chunks: i64,
    /// True if this call was made before with the same idempotency_key: nothing was written now
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}
