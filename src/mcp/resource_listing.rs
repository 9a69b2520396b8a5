//! The list of resources, page by page, and what changes it: the fixed ones, the wings, the documents.
//!
//! Invariant: a wing or document that is there all the time is on exactly one page, whatever others write between
//! the calls.

use super::arguments::bad_cursor;
use super::documents;
use super::page::{Budget, Page};
use super::resources::{JSON, OfferedResource, STATUS_SETS};
use super::tool_sets::{ToolSet, Tools};
use crate::format::key::Key;
use crate::memory::drawers::{Drawers, folded, is_move, wing_of};
use crate::palace::{self, Document, Palace, chain};
use rmcp::model::Resource;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Wings and documents on a page.
const PAGE: usize = 100;
/// The beginning of a cursor before the last wing of the page …
const AFTER_WING: &str = "after-wing:";
/// … or before the last key.
const AFTER: &str = "after:";
/// Most documents and wings of which is remembered whether they were there.
const SEEN_MAX: usize = 10_000;

/// Returns true if the list changes with the palace.
pub(super) fn list_changes(tools: &Tools) -> bool {
    tools.has(ToolSet::Documents) || tools.has(ToolSet::Palace)
}

/// The start of a page.
pub(super) enum ListStart {
    Beginning,
    BehindWing(String),
    Behind(Key),
}

impl ListStart {
    /// Reads a cursor.
    ///
    /// # Errors
    /// [`palace::Error::Cursor`] if this list gives no such cursor.
    pub fn of(cursor: Option<&str>) -> palace::Result<Self> {
        let Some(cursor) = cursor else { return Ok(ListStart::Beginning) };
        if let Some(wing) = cursor.strip_prefix(AFTER_WING) {
            return Ok(ListStart::BehindWing(wing.to_owned()));
        }
        let key = cursor.strip_prefix(AFTER).and_then(|key| Key::new(key).ok());
        key.map(ListStart::Behind).ok_or_else(|| bad_cursor(cursor))
    }
}

/// Returns a page of the list.
///
/// # Errors
/// The palace's, in words.
pub(super) fn list(
    palace: &Palace,
    tools: &Tools,
    start: ListStart,
) -> Result<Page<Resource>, String> {
    let (fixed, wing, key) = match start {
        ListStart::Beginning => (fixed(tools), Some(String::new()), None),
        ListStart::BehindWing(wing) => (Vec::new(), Some(wing), None),
        ListStart::Behind(key) => (Vec::new(), None, Some(key)),
    };
    let limit = fixed.len() + PAGE;
    let mut listed: Vec<(String, Resource)> =
        fixed.into_iter().map(|resource| (AFTER_WING.to_owned(), resource)).collect();
    if let Some(after) = wing.filter(|_| tools.has(ToolSet::Palace)) {
        let resource = |wing: String| {
            let resource = in_list(&OfferedResource::Wing(wing.clone()), &wing);
            (format!("{AFTER_WING}{wing}"), resource)
        };
        listed.extend(wings(palace, &after)?.into_iter().map(resource));
    }
    if listed.len() <= limit && tools.has(ToolSet::Documents) {
        let after = key.map(|key| key.as_str().to_owned());
        let own = |document: Document| Some(document.key);
        let found = documents::each_after(
            palace,
            "",
            after,
            limit + 1 - listed.len(),
            documents::of_documents_alone,
            own,
        );
        let (keys, _) = found.map_err(|error| chain(&error))?;
        let resource = |key: Key| {
            let resource = in_list(&OfferedResource::Document(key.clone()), key.as_str());
            (format!("{AFTER}{key}"), resource)
        };
        listed.extend(keys.into_iter().map(resource));
    }
    Ok(Page::fill(listed, limit, false, &mut Budget::around(&())))
}

/// The wings behind a name, as many as a page has and one more. Their order is that of the folded names: another spelling
/// of a wing that is shown later has the same place.
fn wings(palace: &Palace, after: &str) -> Result<Vec<String>, String> {
    let (wings, after) = (Drawers::new(palace.clone()).wings(), folded(after));
    let wings = wings.map_err(|error| chain(&error))?.into_iter();
    Ok(wings.filter(|wing| folded(wing) > after).take(PAGE + 1).collect())
}

/// The resources that are always there.
fn fixed(tools: &Tools) -> Vec<Resource> {
    let graph = in_list(&OfferedResource::Graph, "knowledge-graph")
        .with_title("Knowledge Graph")
        .with_description("The full knowledge graph with all entities and relations");
    let status =
        in_list(&OfferedResource::Status, "status").with_title("Palace Status").with_description(
            "Which processes have the palace open, and the files that it consists of",
        );
    let all = [(&[ToolSet::Memory][..], graph), (STATUS_SETS, status)];
    let offered = |sets: &[ToolSet]| sets.iter().any(|set| tools.has(*set));
    all.into_iter().filter(|(sets, _)| offered(sets)).map(|(_, resource)| resource).collect()
}

fn in_list(resource: &OfferedResource, name: &str) -> Resource {
    Resource::new(resource.uri(), name).with_mime_type(JSON)
}

/// The documents and wings that were there at the last rescan.
#[derive(Default)]
pub(super) struct SeenResources {
    documents: HashMap<Key, bool>,
    wings: HashSet<String>,
}

impl SeenResources {
    /// Returns true if the list may have changed with these documents: one of them, or a wing, has come or gone, or
    /// was not seen before.
    pub fn differs(&mut self, palace: &Palace, tools: &Tools, keys: &BTreeSet<Key>) -> bool {
        if self.documents.len() + self.wings.len() + keys.len() > SEEN_MAX {
            *self = SeenResources::default();
        }
        let documents = tools.has(ToolSet::Documents) && self.documents_differ(palace, keys);
        let wings = tools.has(ToolSet::Palace) && self.wings_differ(palace, keys);
        documents || wings
    }

    /// Leaves out documents of other tool sets. They can be read and subscribed to, but are not listed: there may be a
    /// hundred thousand of them.
    fn documents_differ(&mut self, palace: &Palace, keys: &BTreeSet<Key>) -> bool {
        let mut differ = false;
        for key in keys.iter().filter(|key| documents::of_documents_alone(key.as_str())) {
            let there = is_there(palace, key);
            differ |= self.documents.insert(key.clone(), there) != Some(there);
        }
        differ
    }

    fn wings_differ(&mut self, palace: &Palace, keys: &BTreeSet<Key>) -> bool {
        // A drawer that moves may leave any wing, and move into any.
        if keys.iter().any(is_move) {
            self.wings.clear();
            return true;
        }
        let (mut differ, mut emptied) = (false, BTreeSet::new());
        for (key, wing) in keys.iter().filter_map(|key| Some((key, wing_of(key)?))) {
            if !is_there(palace, key) {
                emptied.insert(wing);
            } else if !self.wings.contains(wing) {
                differ |= self.wings.insert(wing.to_owned());
            }
        }
        let drawers = Drawers::new(palace.clone());
        // A wing that cannot be counted is not taken for gone: a client that lists the resources gets the error.
        let is_gone = |wing: &str| drawers.counts(Some(wing)).is_ok_and(|counts| counts.is_empty());
        for wing in emptied.into_iter().filter(|wing| is_gone(wing)) {
            self.wings.remove(wing);
            differ = true;
        }
        differ
    }
}

fn is_there(palace: &Palace, key: &Key) -> bool {
    palace.get_unrefreshed(key.as_str()).is_ok_and(|found| found.is_some())
}
