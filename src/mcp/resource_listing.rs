//! The list of resources, page by page, and what changes it: those that are always there, the wings, the documents.
//!
//! Invariant: a wing or document that is there all the time is on exactly one page, whatever others write between
//! the calls.

use super::ToolSet;
use super::documents;
use super::resources::{JSON, STATUS_SETS, Subject};
use super::sets::Tools;
use crate::format::key::Key;
use crate::memory::drawers::{Drawers, is_move, wing_of};
use crate::palace::{Document, Palace, chain};
use rmcp::model::Resource;
use std::collections::{BTreeSet, HashMap, HashSet};

/// How many wings and documents a page has.
const PAGE: usize = 100;
/// What a cursor starts with, before the last wing of the page …
const AFTER_WING: &str = "after-wing:";
/// … or the last key.
const AFTER: &str = "after:";
/// Of how many documents and wings it is remembered whether they were there.
const SEEN_MAX: usize = 10_000;

/// Whether the list changes with the palace.
pub(super) fn list_changes(tools: &Tools) -> bool {
    tools.has(ToolSet::Documents) || tools.has(ToolSet::Palace)
}

/// A page of the list.
#[derive(Default)]
pub(super) struct Page {
    pub resources: Vec<Resource>,
    /// Where the next one starts.
    pub next_cursor: Option<String>,
}

/// Where a page starts.
pub(super) enum Start {
    Beginning,
    BehindWing(String),
    Behind(Key),
}

impl Start {
    /// What a cursor says; `None` if it is none of this list.
    pub fn of(cursor: Option<&str>) -> Option<Self> {
        let Some(cursor) = cursor else { return Some(Start::Beginning) };
        match cursor.strip_prefix(AFTER_WING) {
            Some(wing) => Some(Start::BehindWing(wing.to_owned())),
            None => Some(Start::Behind(Key::new(cursor.strip_prefix(AFTER)?).ok()?)),
        }
    }
}

/// A page of the list.
///
/// # Errors
/// What the palace says, in words.
pub(super) fn list(palace: &Palace, tools: &Tools, start: Start) -> Result<Page, String> {
    let mut page = Page::default();
    let (wing, key) = match start {
        Start::Beginning => {
            page.resources = fixed(tools);
            (Some(String::new()), None)
        }
        Start::BehindWing(wing) => (Some(wing), None),
        Start::Behind(key) => (None, Some(key)),
    };
    let mut left = PAGE;
    if let Some(after) = wing.filter(|_| tools.has(ToolSet::Palace)) {
        let wings = wings(palace, &after)?;
        left -= wings.len();
        if left == 0 {
            page.next_cursor = wings.last().map(|last| format!("{AFTER_WING}{last}"));
        }
        page.resources.extend(wings.iter().map(|wing| in_list(&Subject::Wing(wing.clone()), wing)));
    }
    if left > 0 && tools.has(ToolSet::Documents) {
        let after = key.map(|key| key.as_str().to_owned());
        let own = |document: Document| document.key;
        let found = documents::each_after(palace, "", after, left, own);
        let (keys, more) = found.map_err(|error| chain(&error))?;
        page.next_cursor = keys.last().filter(|_| more).map(|last| format!("{AFTER}{last}"));
        let listed = |key: &Key| in_list(&Subject::Document(key.clone()), key.as_str());
        page.resources.extend(keys.iter().map(listed));
    }
    Ok(page)
}

/// The wings behind a name, as many as a page has.
fn wings(palace: &Palace, after: &str) -> Result<Vec<String>, String> {
    let wings = Drawers::new(palace.clone()).wings().map_err(|error| chain(&error))?;
    Ok(wings.into_iter().filter(|wing| wing.as_str() > after).take(PAGE).collect())
}

/// Those that are always there.
fn fixed(tools: &Tools) -> Vec<Resource> {
    let graph = in_list(&Subject::Graph, "knowledge-graph")
        .with_title("Knowledge Graph")
        .with_description("The full knowledge graph with all entities and relations");
    let status = in_list(&Subject::Status, "status").with_title("Palace Status").with_description(
        "Which processes have the palace open, and the files that it consists of",
    );
    let all = [(&[ToolSet::Memory][..], graph), (STATUS_SETS, status)];
    let offered = |sets: &[ToolSet]| sets.iter().any(|set| tools.has(*set));
    all.into_iter().filter(|(sets, _)| offered(sets)).map(|(_, resource)| resource).collect()
}

fn in_list(subject: &Subject, name: &str) -> Resource {
    Resource::new(subject.uri(), name).with_mime_type(JSON)
}

/// What of the list was there when it was last looked at.
#[derive(Default)]
pub(super) struct Seen {
    documents: HashMap<Key, bool>,
    wings: HashSet<String>,
}

impl Seen {
    /// Whether the list may have changed with these documents: one of them, or a wing, has come or gone, or was not
    /// seen before.
    pub fn differs(&mut self, palace: &Palace, tools: &Tools, keys: &BTreeSet<Key>) -> bool {
        if self.documents.len() + self.wings.len() + keys.len() > SEEN_MAX {
            *self = Seen::default();
        }
        let documents = tools.has(ToolSet::Documents) && self.documents_differ(palace, keys);
        let wings = tools.has(ToolSet::Palace) && self.wings_differ(palace, keys);
        documents || wings
    }

    /// Documents of other tool sets can be read and subscribed to, but are not listed: there may be a hundred
    /// thousand of them.
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
        // What cannot be read is told of: whoever lists the resources will hear why.
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
