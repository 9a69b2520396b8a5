//! What the tools give, in MemPalace's words.

use super::bounds::{CONFLICTS_BYTES, OTHERS_BYTES, first_of, mention, part};
use crate::memory::drawers::{Drawer, Duplicate, Hit};
use crate::memory::readable;
use crate::merge::{Candidate, Conflict};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use std::collections::BTreeMap;

/// How much of a drawer's text a list shows, in characters.
const PREVIEW_CHARS: usize = 200;

pub(super) fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// How many drawers there are in each.
pub(super) type Counted = BTreeMap<String, i64>;

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Instance {
    pub instance: String,
    pub pid: i64,
    pub program: String,
    /// Who wrote last through it; null if it did not say
    pub client: Option<String>,
    pub since: String,
    /// The file that it writes
    pub segment: String,
    pub bytes: i64,
    /// Whether it is this server
    pub this_server: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    pub total_drawers: i64,
    pub wings: Counted,
    pub rooms: Counted,
    /// Whether wings or rooms were left out; list_wings and list_rooms give all
    pub truncated: bool,
    pub facts: i64,
    pub palace: String,
    /// The processes that have written and live
    pub instances: Vec<Instance>,
    /// Who compacts, if somebody does
    pub compacting: Option<String>,
    /// Why nothing can be written, if so
    pub read_only: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Wings {
    pub wings: Counted,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Rooms {
    /// The wing, or "all"
    pub wing: String,
    pub rooms: Counted,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Taxonomy {
    pub taxonomy: BTreeMap<String, Counted>,
    pub next_cursor: Option<String>,
}

/// A value that several writers set at once, and what the others wrote.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Contested {
    /// The field, as a JSON pointer
    pub path: String,
    pub others: Vec<Other>,
    /// How many more others there are
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Other {
    /// The value, or the beginning of a long one and …
    pub value: String,
    pub by: String,
    pub at: String,
    /// The version in which it was written: get_drawer with this as version gives all of it
    pub etag: String,
}

impl From<Candidate> for Other {
    fn from(Candidate { value, written }: Candidate) -> Self {
        Other {
            value: value.as_str().map_or_else(|| mention(&value.to_string()), mention),
            by: written.by,
            at: readable(written.time_ms),
            etag: written.change.etag().to_string(),
        }
    }
}

impl From<Conflict> for Contested {
    fn from(conflict: Conflict) -> Self {
        let others = conflict.others.into_iter().map(Other::from);
        let (others, more) = first_of(others, OTHERS_BYTES);
        Contested { path: conflict.path, others, more }
    }
}

/// As many as fit, and how many more there are.
fn contested(conflicts: Vec<Conflict>) -> (Vec<Contested>, Option<i64>) {
    first_of(conflicts.into_iter().map(Contested::from), CONFLICTS_BYTES)
}

/// What every write says.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Kept {
    /// Always true: an error is told as one
    pub success: bool,
    /// Whether it is on disk
    pub durable: bool,
    /// The version of what was written
    pub etag: String,
    /// What several writers had set at once, and this write settled
    pub conflicts: Vec<Contested>,
    /// How many more conflicts it settled
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_conflicts: Option<i64>,
}

impl Kept {
    pub fn new(etag: String, settled: Vec<Conflict>) -> Self {
        let (conflicts, more_conflicts) = contested(settled);
        Kept { success: true, durable: true, etag, conflicts, more_conflicts }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Added {
    #[serde(flatten)]
    pub kept: Kept,
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
    pub source_files: Vec<String>,
    pub added_by: Vec<String>,
    pub updated_at: Option<String>,
    pub updated_by: Option<String>,
    pub agent: Option<String>,
    pub topic: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Whole {
    pub drawer_id: String,
    pub content: String,
    /// If the text goes on: the offset for get_drawer, with the etag as version
    pub next_offset: Option<i64>,
    pub wing: String,
    pub room: String,
    pub metadata: Metadata,
    /// The version: pass it back as if_match to change what you have read, or as version to read it again
    pub etag: String,
    /// What several writers set at once, and is not shown; update_drawer settles it
    pub conflicts: Vec<Contested>,
    /// How many more conflicts there are
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_conflicts: Option<i64>,
}

impl Whole {
    pub fn new(drawer: Drawer, offset: usize) -> Self {
        let (content, next) = part(&drawer.content, offset);
        let (agent, topic) = drawer.diary.unzip();
        let modified = drawer.modified;
        let (conflicts, more_conflicts) = contested(drawer.conflicts);
        Whole {
            drawer_id: drawer.id,
            content,
            next_offset: next.map(number),
            wing: drawer.place.wing,
            room: drawer.place.room,
            metadata: Metadata {
                filed_at: drawer.filed_ms.map(readable),
                source_files: drawer.source_files.into_iter().take(20).collect(),
                added_by: drawer.added_by.into_iter().take(20).collect(),
                updated_at: modified.as_ref().map(|written| readable(written.time_ms)),
                updated_by: modified.map(|written| written.by),
                agent,
                topic,
            },
            etag: drawer.etag,
            conflicts,
            more_conflicts,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Wholes {
    pub drawers: Vec<Whole>,
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
}

impl From<Drawer> for Preview {
    fn from(drawer: Drawer) -> Self {
        let content_preview = drawer.content.chars().take(PREVIEW_CHARS).collect();
        let (wing, room) = (drawer.place.wing, drawer.place.room);
        Preview { drawer_id: drawer.id, wing, room, content_preview }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Listed {
    pub drawers: Vec<Preview>,
    pub total: i64,
    pub count: i64,
    pub offset: i64,
    pub limit: i64,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct FoundDrawer {
    pub drawer_id: String,
    /// The text, or of a long one the part around the first word that was found; get_drawer gives all
    pub text: String,
    pub wing: String,
    pub room: String,
    pub source_file: Option<String>,
    pub created_at: Option<String>,
    /// How many of the query's words it has
    pub words_matched: i64,
    pub bm25_score: f64,
    /// Where they are: content, metadata (wing, room, agent, topic), or content+metadata
    pub matched_via: String,
}

impl From<Hit> for FoundDrawer {
    fn from(hit: Hit) -> Self {
        let drawer = hit.drawer;
        FoundDrawer {
            drawer_id: drawer.id,
            text: hit.snippet,
            wing: drawer.place.wing,
            room: drawer.place.room,
            source_file: drawer.source_files.into_iter().next(),
            created_at: drawer.filed_ms.map(readable),
            words_matched: number(hit.words),
            bm25_score: (hit.score * 1_000.0).round() / 1_000.0,
            matched_via: hit.matched_via.to_owned(),
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
pub(super) struct Results {
    pub query: String,
    pub filters: Filters,
    /// Those with more of the words first
    pub results: Vec<FoundDrawer>,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Match {
    pub id: String,
    pub wing: String,
    pub room: String,
    /// Of all runs of three words in one of the texts, the part that is in both: 1 is the same words in the same order
    pub similarity: f64,
    /// The text, or the beginning of a long one and …; get_drawer gives all
    pub content: String,
    /// Whether it is the beginning only
    pub truncated: bool,
}

impl From<Duplicate> for Match {
    fn from(Duplicate { drawer, similarity }: Duplicate) -> Self {
        let (wing, room) = (drawer.place.wing, drawer.place.room);
        let similarity = (similarity * 1_000.0).floor() / 1_000.0;
        let content = mention(&drawer.content);
        let truncated = content != drawer.content;
        Match { id: drawer.id, wing, room, similarity, content, truncated }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Matches {
    pub is_duplicate: bool,
    pub matches: Vec<Match>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Updated {
    #[serde(flatten)]
    pub kept: Kept,
    pub drawer_id: String,
    pub wing: String,
    pub room: String,
    /// True if it was like that already
    pub noop: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Gone {
    #[serde(flatten)]
    pub kept: Kept,
    pub drawer_id: String,
    /// True if it was deleted before
    pub noop: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct GoneDrawer {
    pub drawer_id: String,
    pub etag: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AllGone {
    pub success: bool,
    pub durable: bool,
    pub deleted: Vec<GoneDrawer>,
    pub not_found: Vec<String>,
    pub count: i64,
    pub conflicts: Vec<Contested>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Checked {
    /// The drawer, or the one that is like it
    pub drawer_id: String,
    pub wing: String,
    pub room: String,
    /// filed, already_exists, or duplicate: then nothing was filed
    pub status: String,
    /// If it is a duplicate: how similar
    pub similarity: Option<f64>,
    pub etag: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Entry {
    pub entry_id: String,
    pub etag: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Saved {
    pub success: bool,
    pub durable: bool,
    /// In the order of the call
    pub items: Vec<Checked>,
    pub diary: Option<Entry>,
    pub conflicts: Vec<Contested>,
}
