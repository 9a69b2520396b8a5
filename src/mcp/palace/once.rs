//! Diary entries and checkpoints that are written once, however often their call is sent: what their record keeps, and the
//! answer from it.

use super::arguments::{Checkpoint, DiaryWrite};
use super::results::{
    CheckpointEntry, CheckpointItemResult, CheckpointSaved, EntryWritten, WriteReceipt,
};
use crate::format::key::Key;
use crate::mcp::once::{made_once, once};
use crate::mcp::page::echoed;
use crate::mcp::tool::Call;
use crate::memory::drawers::{CheckpointPlan, DiaryEntry, drawer_id, folded};
use crate::memory::{MemoryError, readable};
use crate::palace::{Error, Once};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, MemoryError>;

/// Names the call, if it has a key. The agent is the target of an entry.
pub(super) fn diary_once(asked: &DiaryWrite) -> Result<Option<Once>> {
    // However the agent's name is spelled, it has one diary.
    let (agent, key) = (folded(&asked.agent_name), asked.idempotency_key.as_deref());
    once("diary_write", &["diary", &agent], key, asked)
}

/// Names the call, if it has a key. All of the palace is the target.
pub(super) fn checkpoint_once(asked: &Checkpoint) -> Result<Option<Once>> {
    once("checkpoint", &["checkpoint"], asked.idempotency_key.as_deref(), asked)
}

/// Makes the call, unless it was made before. Then the result is `repeated` of its record.
pub(super) fn palace_once<T>(
    call: &Call,
    once: Option<&Once>,
    repeated: impl Fn(&Value) -> Result<T>,
    make: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let is_mismatch =
        |error: &MemoryError| matches!(error, MemoryError::Palace(Error::EtagMismatch { .. }));
    made_once(&call.palace, once, is_mismatch, repeated, make)
}

/// Returns what the record of a call keeps of an entry.
pub(super) fn recorded_entry(plan: &CheckpointPlan) -> Value {
    json!({"key": plan.entry.as_ref().map(Key::as_str), "at": plan.now_ms})
}

/// The entry that a record names.
struct RecordedEntry {
    id: String,
    etag: String,
    filed_ms: i64,
}

/// Finds the entry that a record names. Its version is that of its first change, which the call has made.
fn entry_of(call: &Call, record: &Value) -> Result<Option<RecordedEntry>> {
    let Some(key) = record.get("key").and_then(Value::as_str) else { return Ok(None) };
    let first = call.palace.history(key)?.into_iter().next();
    let etag = first.map(|change| change.hash.etag().to_string()).unwrap_or_default();
    let id = Key::new(key).ok().and_then(|key| drawer_id(&key)).unwrap_or_default();
    let filed_ms = record.get("at").and_then(Value::as_i64).unwrap_or_default();
    Ok(Some(RecordedEntry { id, etag, filed_ms }))
}

/// The answer to a diary entry that was written before.
pub(super) fn repeated_entry(
    call: &Call,
    entry: &DiaryEntry,
    record: &Value,
) -> Result<EntryWritten> {
    let found = entry_of(call, record)?;
    let RecordedEntry { id, etag, filed_ms } =
        found.ok_or_else(|| MemoryError::NoDrawer { id: "the entry of this call".to_owned() })?;
    Ok(EntryWritten {
        receipt: WriteReceipt::new(etag, Vec::new()),
        entry_id: id,
        agent: entry.agent().to_owned(),
        topic: entry.topic().to_owned(),
        wing: entry.wing().to_owned(),
        timestamp: readable(filed_ms),
        chunks: 1,
        repeated: true,
    })
}

/// The answer to a checkpoint that was saved before. The etags of items are those of now.
pub(super) fn repeated_checkpoint(call: &Call, record: &Value) -> Result<CheckpointSaved> {
    let entry = record.get("entry").map(|entry| entry_of(call, entry)).transpose()?.flatten();
    let items = record.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let items = items.iter().map(|item| repeated_item(call, item)).collect::<Result<Vec<_>>>()?;
    let diary = entry.map(|entry| CheckpointEntry { entry_id: entry.id, etag: entry.etag });
    Ok(CheckpointSaved::new(items, diary, true))
}

fn repeated_item(call: &Call, item: &Value) -> Result<CheckpointItemResult> {
    let text =
        |field: &str| item.get(field).and_then(Value::as_str).map(echoed).unwrap_or_default();
    let drawer_id = text("drawer_id");
    let (etag, wing, room) = match call.drawers().get(&drawer_id) {
        Ok(drawer) => (Some(drawer.etag), drawer.place.wing, drawer.place.room),
        Err(MemoryError::NoDrawer { .. }) => (None, text("wing"), text("room")),
        Err(error) => return Err(error),
    };
    Ok(CheckpointItemResult {
        drawer_id,
        wing,
        room,
        status: text("status"),
        similarity: item.get("similarity").and_then(Value::as_f64),
        etag,
    })
}
