//! The directory as one process knows it: rescans add to it, and views are taken of it.
//!
//! Invariant: a view holds everything that was acknowledged before the rescan began which it is of, and all commits of
//! this process that are in its log. So a view is taken after its rescan, under the lock under which commits are added.

use super::loaded::LoadedDocuments;
use super::tail::Tail;
use super::view::{Snapshots, View};
use crate::format::id::InstanceId;
use crate::format::key::Key;
use crate::merge::Doc;
use crate::palace::error::Result;
use crate::store::group_commit::{Log, Ticket};
use crate::store::own_segments::OwnSegments;
use crate::store::rescan::Catalog;
use crate::store::root::Root;
use crate::sync::mutant;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// The most views that are kept of the time before files went back.
const PAST_MAX: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Directory {
    /// Number of the last rescan that succeeded, among those of this open palace; 0 if commits were forgotten since, so
    /// that no reader takes a view before the next.
    pub rescan: u64,
    /// The files, as far as they were read.
    pub catalog: Catalog,
    /// Commits that are in no snapshot.
    pub tail: Tail,
    /// True if a rescan found that files went back to an older state. Then all is read again before anything is read.
    pub went_back: bool,
    /// Number of times that it was.
    pub epoch: u64,
    /// Number of times that another palace was put in place of this one.
    pub replacements: u64,
    /// The last views before files went back, for commits that build on them.
    pub past: Vec<Arc<View>>,
    own: Arc<OwnSegments>,
    /// The instance that wrote the own commits in the tail.
    instance: Option<InstanceId>,
    snapshots: Arc<Snapshots>,
    generation: u64,
    loaded: Arc<LoadedDocuments>,
    shown_bytes: Arc<AtomicUsize>,
    /// The view of all this, until anything changes.
    view: Option<Arc<View>>,
}

impl Directory {
    /// Knows nothing yet.
    pub fn new(catalog: Catalog, own: Arc<OwnSegments>, loaded: Arc<LoadedDocuments>) -> Self {
        Directory {
            rescan: 0,
            catalog,
            tail: Tail::default(),
            went_back: false,
            epoch: 0,
            replacements: 0,
            past: Vec::new(),
            own,
            instance: None,
            snapshots: Arc::default(),
            generation: 0,
            loaded,
            shown_bytes: Arc::default(),
            view: None,
        }
    }

    /// Forgets everything but the last views: files in this directory went back to an older state.
    pub fn begin_again(&mut self, root: Arc<Root>) {
        let mut past = std::mem::take(&mut self.past);
        past.push(self.view());
        // Each may hold a tail and open snapshots.
        past.drain(..past.len().saturating_sub(PAST_MAX));
        self.clear(root);
        (self.epoch, self.past) = (self.epoch + 1, past);
    }

    /// Forgets everything: another directory is there now.
    pub fn start_over(&mut self, root: Arc<Root>) {
        self.clear(root);
        self.replacements += 1;
    }

    fn clear(&mut self, root: Arc<Root>) {
        self.own.abandon_all();
        let catalog = Catalog::new(root, self.own.clone());
        let before = (self.generation, self.epoch, self.replacements);
        *self = Directory::new(catalog, self.own.clone(), self.loaded.clone());
        (self.generation, self.epoch, self.replacements) = before;
        self.begin_generation();
    }

    /// Reads what is new in the directory.
    ///
    /// # Errors
    /// An error of the operating system. The next rescan gives what this one had found.
    pub fn rescan(&mut self) -> Result<()> {
        let news = self.catalog.rescan()?;
        self.view = None;
        self.tail.begin_rescan();
        for found in news.commits {
            self.tail.add_found(found);
        }
        // What is known goes on to be known whole: commits that are under way build on it.
        if news.went_back {
            (self.went_back, self.rescan) = (true, 0);
            return Ok(());
        }
        if news.snapshots {
            let live = self.catalog.snapshots();
            self.snapshots = Arc::new(Snapshots::new(live, self.tail.rescan()));
            self.begin_generation();
        }
        if !news.folded.is_empty() {
            let own = self.own.take_folded(&news.folded);
            self.tail.drop_folded(&news.folded, &own);
            self.begin_generation();
        }
        Ok(())
    }

    /// Makes the next rescan list the directories.
    pub fn ask_for_listing(&mut self) {
        self.own.ask_for_listing();
        self.rescan = 0;
    }

    /// Returns the segments of this process.
    pub fn own(&self) -> &Arc<OwnSegments> {
        &self.own
    }

    /// Returns the view of what is known now.
    pub fn view(&mut self) -> Arc<View> {
        let made = || View {
            tail: self.tail.clone(),
            snapshots: self.snapshots.clone(),
            unreadable: self.catalog.unreadable().next().map(|(id, _)| id),
            generation: self.generation,
            loaded: self.loaded.clone(),
            shown_bytes: self.shown_bytes.clone(),
            doubt: AtomicBool::new(false),
        };
        self.view.get_or_insert_with(|| Arc::new(made())).clone()
    }

    /// Lets go of the last view, if no reader has it, so that what follows changes the tail in place.
    pub fn forget_view(&mut self) {
        self.view = None;
    }

    /// Keeps a document that was loaded in this generation and has the first `applied` changes of its tail.
    pub fn keep(&self, key: Key, doc: Doc, generation: u64, applied: usize) {
        if generation == self.generation {
            self.loaded.keep(key, doc, generation, applied);
        }
    }

    /// Gives a commit its place in the log and in the tail. Returns `None` if the instance was abandoned meanwhile.
    pub fn enqueue(&mut self, log: &Log, instance: InstanceId, body: Bytes) -> Option<Ticket> {
        let ticket = log.enqueue(instance, body.clone())?;
        self.view = None;
        self.instance = Some(instance);
        self.tail.add_own(ticket, body);
        Some(ticket)
    }

    /// If the instance that wrote the own commits is not `present` any more, it was abandoned. Forgets what it did not
    /// write: nothing may build on that. What stands in its segments is read there, before anything else is read.
    ///
    /// # Errors
    /// An error of the operating system. Then no fresh view is given before a rescan that succeeds.
    pub fn forget_unwritten(&mut self, log: &Log, present: Option<InstanceId>) -> Result<()> {
        let Some(before) = self.instance.take_if(|before| Some(*before) != present) else {
            return Ok(());
        };
        self.tail.drop_unwritten(before, log.written(before));
        self.begin_generation();
        if mutant!(ViewBeforeAbandonedSegments) {
            return Ok(());
        }
        self.rescan = 0;
        self.rescan()
    }

    /// After a panic of a thread that held this: what is parsed may be half done, and the last rescan too.
    pub fn distrust(&mut self) {
        self.begin_generation();
        self.rescan = 0;
    }

    /// From now on nothing that was loaded or shown before counts.
    fn begin_generation(&mut self) {
        self.generation += 1;
        self.view = None;
        self.loaded.clear();
    }
}
