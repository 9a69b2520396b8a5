//! Listing the open conflicts of drawers, and settling one.

use super::arguments::{Conflicts, Settle};
use super::merged::shown_in_answer;
use super::results::{OtherValue, WriteReceipt};
use crate::mcp::arguments::etag;
use crate::mcp::conflict_list::{
    ConflictCursor, InConflict, PART, in_parts, numbered, page_of_conflicts, settling_value,
};
use crate::mcp::conflicts::path;
use crate::mcp::page::{Budget, number};
use crate::mcp::tool::Call;
use crate::memory::MemoryError;
use crate::memory::drawers::Drawer;
use crate::merge::{Candidate, Conflict};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::Value;

/// Most bytes of the readings of one conflict that are not shown in the text.
const READINGS_BYTES: usize = 20_000;

/// A place of a drawer in which several clients wrote differently at the same time
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct ListedConflict {
    pub drawer_id: String,
    /// The version of the drawer: pass it to settle as etag
    pub etag: String,
    /// The position of the conflict in the drawer, from 1: pass it to settle as conflict
    pub number: i64,
    /// The field, as a JSON pointer
    pub path: String,
    /// True if only a part of a text is in conflict. Then the readings are of that part; the rest of the text is merged
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
    /// The reading that the drawer shows
    pub shown: OtherValue,
    /// The other readings. An empty one takes the part out
    pub others: Vec<OtherValue>,
    /// Number of other readings that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ConflictList {
    /// In the order of the drawers and of the places in each
    pub conflicts: Vec<ListedConflict>,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DrawerSettled {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    pub drawer_id: String,
    /// The version that stands now
    pub current_etag: String,
    /// The whole text that stands now, up to 20,000 bytes, if you have read no text of this drawer. It counts as read
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The conflicts of this drawer that are still open, with their numbers and the etag for the next call
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_conflicts: Vec<ListedConflict>,
    /// Number of open conflicts that are left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_open_conflicts: Option<i64>,
}

impl ListedConflict {
    fn new(drawer: &Drawer, index: usize, conflict: Conflict, shown: Value) -> Self {
        let shown = Candidate { value: shown, written: conflict.shown };
        let others = conflict.others.into_iter().map(OtherValue::from);
        let (others, more) = Budget::of(READINGS_BYTES).keep(others);
        ListedConflict {
            drawer_id: drawer.id.clone(),
            etag: drawer.etag.clone(),
            number: number(index + 1),
            path: path(&conflict.path),
            part: conflict.range.is_some(),
            shown: shown.into(),
            others,
            more,
        }
    }

    /// Returns the conflicts of a drawer, in their order.
    fn all(mut drawer: Drawer) -> Vec<Self> {
        let conflicts = std::mem::take(&mut drawer.conflicts).into_iter().enumerate();
        let shown = std::mem::take(&mut drawer.shown_values);
        let new = |((index, conflict), shown)| Self::new(&drawer, index, conflict, shown);
        conflicts.zip(shown).map(new).collect()
    }
}

fn listed_drawer(drawer: Drawer) -> InConflict<ListedConflict> {
    let (key, etag, heads) = (drawer.key.clone(), drawer.etag.clone(), drawer.heads.clone());
    InConflict { key, etag, heads, conflicts: ListedConflict::all(drawer) }
}

pub(super) fn conflicts(call: &Call, asked: Conflicts) -> Result<ConflictList, MemoryError> {
    let drawers = call.drawers();
    let cursor = asked.cursor.as_deref().map(ConflictCursor::parse).transpose()?;
    let (first, all) = match (&asked.drawer_id, &cursor) {
        (Some(id), _) => (Some(drawers.get(id)?), false),
        (None, Some(cursor)) => (drawers.at_key(&cursor.key)?, true),
        (None, None) => (None, true),
    };
    let after = cursor.as_ref().map(|cursor| cursor.key.clone());
    let read = |after: Option<&str>| match all {
        true => drawers.in_conflict(after, PART),
        false => Ok(Vec::new()),
    };
    let found = in_parts(first, after, |drawer: &Drawer| drawer.key.as_str(), read);
    let found = found.map(|drawer| drawer.map(listed_drawer));
    let showed = |key: &_, heads: &_| call.showed(key, heads, false);
    let page = page_of_conflicts(cursor.as_ref(), found, showed)?;
    Ok(ConflictList { conflicts: page.items, next_cursor: page.next_cursor })
}

pub(super) fn settle(call: &Call, asked: Settle) -> Result<DrawerSettled, MemoryError> {
    let Settle { drawer_id, conflict: wanted, take, text, etag: version } = asked;
    let version = etag("etag", &version)?;
    let drawers = call.drawers();
    let drawer = drawers.get(&drawer_id)?;
    // Another version has other numbers.
    if drawer.heads.etag() != version {
        call.showed(&drawer.key, &drawer.heads, false);
        return Err(MemoryError::ConflictsChanged { id: drawer.id, etag: drawer.etag });
    }
    let open = drawer.conflicts.iter().zip(&drawer.shown_values);
    let (conflict, shown) = numbered(wanted, open)?;
    let value = settling_value(conflict, shown, take.as_deref(), ("text", text.map(Value::from)))?;
    let done = drawers.settle(&drawer_id, conflict, &value, Some(&version))?;
    let mut settled = DrawerSettled {
        receipt: WriteReceipt::new(done.etag, done.settled),
        drawer_id: done.drawer.id.clone(),
        current_etag: done.drawer.etag.clone(),
        text: shown_in_answer(call, &done.drawer, done.unread),
        open_conflicts: Vec::new(),
        more_open_conflicts: None,
    };
    let open = ListedConflict::all(done.drawer).into_iter();
    (settled.open_conflicts, settled.more_open_conflicts) = Budget::around(&settled).keep(open);
    Ok(settled)
}
