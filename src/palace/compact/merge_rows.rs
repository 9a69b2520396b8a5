//! Every document of the inputs, in the order of the keys, as its row of the new snapshot.
//!
//! Invariant: a document that a segment brings changes of takes in its rows in all live snapshots, so that
//! its row is complete by itself; every other one is what it was in the snapshots that are merged.

use super::inputs::Inputs;
use super::row::{Incoming, make_row};
use crate::format::key::Key;
use crate::palace::error::Result;
use crate::palace::view::rows::rows;
use crate::snapshot::{Row, Snapshot};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

/// Number of rows, or commits, that are read from a snapshot at a time.
pub const CHUNK: usize = 256;

/// The rows of a snapshot in the order of their keys, a few at a time.
pub struct Rows<'a> {
    snapshot: &'a Snapshot,
    ahead: VecDeque<Row>,
    after: Option<String>,
    done: bool,
    /// Documents that are left out. Their rows need not be readable.
    forget: Option<&'a BTreeSet<Key>>,
}

impl<'a> Rows<'a> {
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Rows { snapshot, ahead: VecDeque::new(), after: None, done: false, forget: None }
    }

    /// Leaves out these documents, also if their rows cannot be read.
    fn without(self, forget: &'a BTreeSet<Key>) -> Self {
        Rows { forget: Some(forget).filter(|forget| !forget.is_empty()), ..self }
    }

    pub fn peek(&mut self) -> Result<Option<&Key>> {
        if self.ahead.is_empty() && !self.done {
            self.ahead = self.read_ahead()?.into();
            self.done = self.ahead.is_empty();
            self.after = self.ahead.back().map(|row| row.key.as_str().to_owned());
        }
        Ok(self.ahead.front().map(|row| &row.key))
    }

    /// Reads the next rows. If one of them is damaged, they are read one by one: it may be one to leave out.
    fn read_ahead(&mut self) -> Result<Vec<Row>> {
        let error = match (self.snapshot.rows_after(self.after.as_deref(), CHUNK), self.forget) {
            (Err(error), Some(_)) => error,
            (rows, _) => return Ok(rows?),
        };
        tracing::warn!(%error, "a damaged row is left out if it is to be forgotten");
        loop {
            let Some(key) = self.snapshot.key_after(self.after.as_deref())? else {
                return Ok(Vec::new());
            };
            if self.forget.is_none_or(|forget| !forget.contains(&key)) {
                return Ok(self.snapshot.rows_after(self.after.as_deref(), 1)?);
            }
            self.after = Some(key.as_str().to_owned());
        }
    }

    pub fn next_if(&mut self, key: &Key) -> Result<Option<Row>> {
        Ok(if self.peek()? == Some(key) { self.ahead.pop_front() } else { None })
    }
}

/// The documents that are left to be made.
pub struct Documents<'a> {
    /// Changes of segments.
    changes: BTreeMap<Key, Vec<Incoming>>,
    merged: Vec<Rows<'a>>,
    /// Snapshots that are read and stay as they are.
    others: Vec<Arc<Snapshot>>,
    forget: &'a BTreeSet<Key>,
}

impl<'a> Documents<'a> {
    /// All of these inputs, but those in `forget`.
    pub fn new(
        inputs: &'a Inputs,
        changes: BTreeMap<Key, Vec<Incoming>>,
        forget: &'a BTreeSet<Key>,
    ) -> Self {
        let merged: HashSet<_> = inputs.snapshots.iter().map(|snapshot| snapshot.id()).collect();
        let other = |snapshot: &&Arc<Snapshot>| !merged.contains(&snapshot.id());
        Documents {
            changes,
            merged: inputs
                .snapshots
                .iter()
                .map(|snapshot| Rows::new(snapshot).without(forget))
                .collect(),
            others: inputs.live.iter().filter(other).cloned().collect(),
            forget,
        }
    }

    /// Makes the next row, and the text for its search index.
    ///
    /// # Errors
    /// If a snapshot cannot be read, or the row would lack something.
    pub fn next(&mut self) -> Result<Option<(Row, String)>> {
        loop {
            let Some(key) = self.next_key()? else { return Ok(None) };
            let mut found = Vec::new();
            for source in &mut self.merged {
                found.extend(source.next_if(&key)?);
            }
            let new = self.changes.remove(&key).unwrap_or_default();
            if self.forget.contains(&key) {
                continue;
            }
            if !new.is_empty() {
                // Oldest first is only a matter of speed: the merge is the same in any order.
                found.splice(0..0, rows(&self.others, &key)?);
            }
            return make_row(key, found, &new).map(Some);
        }
    }

    fn next_key(&mut self) -> Result<Option<Key>> {
        let mut next = self.changes.first_key_value().map(|(key, _)| key.clone());
        for source in &mut self.merged {
            if let Some(key) = source.peek()?
                && next.as_ref().is_none_or(|next| key < next)
            {
                next = Some(key.clone());
            }
        }
        Ok(next)
    }
}
