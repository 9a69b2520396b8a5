//! The changes of documents and what they build on, as far as the order of commits needs it.

use crate::format::hash::ChangeHash;
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::merge::{ChangeInfo, Doc};
use crate::palace::error::Result;
use crate::palace::view::view::View;
use std::collections::HashMap;
use std::rc::Rc;

/// Most changes that are kept, of all documents together.
const CHANGES_KEPT: usize = 100_000;

/// One change of a document.
#[derive(Debug, Default)]
pub(super) struct ChangeNode {
    /// The instance that its actor is named after. The actor of a first change that is derived from its content is a hash
    /// and names none.
    pub instance: Option<InstanceId>,
    pub time_ms: i64,
    /// The changes that it builds on.
    pub deps: Vec<ChangeHash>,
    /// The changes that build on it.
    pub dependents: Vec<ChangeHash>,
}

/// The changes of one document.
#[derive(Debug, Default)]
pub(super) struct ChangeNodes(HashMap<ChangeHash, ChangeNode>);

impl ChangeNodes {
    fn of(history: Vec<ChangeInfo>) -> Self {
        let mut nodes: HashMap<ChangeHash, ChangeNode> = HashMap::with_capacity(history.len());
        for info in history {
            for dep in &info.deps {
                nodes.entry(*dep).or_default().dependents.push(info.hash);
            }
            let instance = instance_of(&info.actor);
            let node = nodes.entry(info.hash).or_default();
            (node.instance, node.time_ms, node.deps) = (instance, info.time_ms, info.deps);
        }
        ChangeNodes(nodes)
    }

    pub fn get(&self, change: &ChangeHash) -> Option<&ChangeNode> {
        self.0.get(change)
    }
}

/// Returns the instance that an actor is named after. The actor may have a counter behind it.
pub(super) fn instance_of(actor: &str) -> Option<InstanceId> {
    actor.get(..32)?.parse().ok()
}

/// The changes of the documents that were asked for last.
#[derive(Debug, Default)]
pub(super) struct KnownChanges {
    documents: HashMap<Key, Rc<ChangeNodes>>,
    changes: usize,
}

impl KnownChanges {
    /// Returns the changes of a document.
    pub fn of(&mut self, view: &View, key: &Key) -> Result<Rc<ChangeNodes>> {
        if let Some(known) = self.documents.get(key) {
            return Ok(known.clone());
        }
        let nodes = ChangeNodes::of(view.ask(key, Doc::history)?.unwrap_or_default());
        if self.changes > CHANGES_KEPT {
            *self = KnownChanges::default();
        }
        self.changes += nodes.0.len();
        let nodes = Rc::new(nodes);
        self.documents.insert(key.clone(), nodes.clone());
        Ok(nodes)
    }
}
