//! Writes a commit again that builds on what went back to an older state while it was written.
//!
//! Invariant: a commit is acknowledged only if it, and everything that it builds on, was in the present files after it was
//! written. Of what went back, only that is written again, so that a restore is not undone.

use super::rescue::{foreign_places, records, to_rescue, unwritten};
use crate::format::filename::{self, OPEN, SEALED, SNAP};
use crate::format::hash::{ChangeHash, Heads};
use crate::format::id::{InstanceId, SegmentId};
use crate::format::key::Key;
use crate::format::record::Entry;
use crate::fs::{At, Stat, exists};
use crate::merge::{Doc, author_of};
use crate::palace::error::{Error, Result};
use crate::palace::handle::shared::Shared;
use crate::palace::handle::unsynced::UnsyncedDependencies;
use crate::palace::view::directory::Directory;
use crate::palace::view::tail::{Origin, TailChange, entries};
use crate::palace::view::view::View;
use crate::segment::mark::Footprint;
use crate::store::StoreError;
use crate::store::group_commit::{Durability, Ticket};
use crate::store::own_segments::{OwnSegment, OwnSegments};
use crate::store::root::Root;
use crate::sync::atomic::Ordering;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Times that one commit is written again. Files that go back each time are no restore.
const ATTEMPTS: usize = 8;
/// Commits that are read at a time from the log of a snapshot.
const LOG_PAGE: usize = 1_000;

/// What a commit stands on: the files that hold what it builds on, and its own changes.
#[derive(Debug)]
pub struct Basis {
    segments: Vec<Footprint>,
    /// The newest snapshot. A restore to a time before it was made removes it.
    snapshot: Option<PathBuf>,
    own: Arc<OwnSegments>,
    /// The number of own segments that were lost by then, and of times that files went back.
    losses: u64,
    epoch: u64,
    replacements: u64,
    made: Vec<Entry<Bytes>>,
    /// The place of the commit in the log, once it has one.
    pub ticket: Option<Ticket>,
}

impl Basis {
    /// Returns the basis of a commit of these documents that is about to be added. `places` are the segments of other
    /// processes that hold changes of them, and `made` the changes of the commit.
    pub fn of(
        root: &Root,
        directory: &Directory,
        keys: &BTreeSet<Key>,
        places: &HashMap<SegmentId, u64>,
        made: Vec<Entry<Bytes>>,
    ) -> Self {
        let catalog = &directory.catalog;
        let mut segments: Vec<_> =
            places.keys().flat_map(|segment| catalog.footprints(*segment)).collect();
        let changes = || keys.iter().flat_map(|key| directory.tail.changes(key.as_str()));
        for own in directory.own().all_sealed() {
            if changes().any(|change| is_in(change, &own)) {
                let path = root.file(SEALED, &filename::segment(own.segment));
                segments.extend(own.footprint(path));
            }
        }
        let newest = catalog.all_snapshots().max_by_key(|snapshot| snapshot.meta().created_ms);
        let path = |id| root.file(SNAP, &filename::snapshot(id));
        Basis {
            segments,
            snapshot: newest.map(|newest| path(newest.id())),
            own: directory.own().clone(),
            losses: directory.own().losses(),
            epoch: directory.epoch,
            replacements: directory.replacements,
            made,
            ticket: None,
        }
    }

    /// Returns what tells whether the segment of the commit is there. Its content was checked when it was written.
    fn own_segment(&self, root: &Root) -> Option<Footprint> {
        let Ticket { instance, sequence } = self.ticket?;
        let own = self.own.with(instance, sequence)?;
        let file = own.file.as_ref()?;
        let directory = if own.sealed_bytes.is_some() { SEALED } else { OPEN };
        let path = root.file(directory, &filename::segment(own.segment));
        let identity = Stat { len: file.mark.end, ..file.identity };
        Some(Footprint { path, identity, content: None })
    }
}

fn is_in(change: &TailChange, own: &OwnSegment) -> bool {
    matches!(change.origin, Origin::Own(ticket) if own.holds(ticket.instance, ticket.sequence))
}

/// The second writing of a commit, in the log.
struct Again {
    ticket: Option<Ticket>,
    dependencies: UnsyncedDependencies,
    basis: Basis,
}

impl Shared {
    /// Makes sure that a commit stands on what is still there, after `outcome` of its writing. If that went back
    /// meanwhile, writes what it builds on again, and the commit itself if need be.
    ///
    /// # Errors
    /// That of `outcome`, if nothing went back; [`StoreError::OutcomeUnknown`].
    pub fn confirm(
        &self,
        mut basis: Basis,
        durability: Durability,
        mut outcome: Result<()>,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let same_epoch = self.epoch.load(Ordering::SeqCst) == basis.epoch;
            // If the question fails, it is not known what the commit stands on.
            let stands = || self.stands(&basis).map_err(|error| self.outcome_unknown(error));
            if same_epoch && (outcome.is_err() || stands()?) {
                return outcome;
            }
            let again = self.write_again(&basis);
            let Some(again) = again.map_err(|error| self.outcome_unknown(error))? else {
                return outcome;
            };
            outcome = self.wait_again(again.ticket, &again.dependencies, durability);
            basis = again.basis;
        }
        let source = Arc::new(StoreError::WentBack { path: self.root.path().to_owned() });
        Err(StoreError::OutcomeUnknown { source }.into())
    }

    fn wait_again(
        &self,
        ticket: Option<Ticket>,
        dependencies: &UnsyncedDependencies,
        durability: Durability,
    ) -> Result<()> {
        let rescued = match durability {
            Durability::Durable => self.put_on_disk(dependencies)?,
            Durability::Buffered => None,
        };
        for ticket in ticket.into_iter().chain(rescued) {
            self.log.wait(ticket, durability)?;
        }
        Ok(())
    }

    /// Returns true if nothing says that files of the basis went back. Otherwise only a rescan tells.
    fn stands(&self, basis: &Basis) -> Result<bool> {
        if basis.own.losses() != basis.losses {
            return Ok(false);
        }
        let fs = self.root.fs();
        if let Some(path) = &basis.snapshot
            && !exists(fs, path).at("access", path)?
        {
            return Ok(false);
        }
        for segment in &basis.segments {
            if !segment.stands(fs)? {
                return Ok(false);
            }
        }
        if basis.snapshot.is_none() && basis.segments.is_empty() {
            return Ok(true);
        }
        // Last, so that a restore of the whole palace that falls between two of these checks is noticed. The file has its
        // name only in the palace in which it was found when the commit was written.
        match basis.own_segment(&self.root) {
            Some(own) => Ok(own.stands(fs)?),
            None => Ok(self.root.still_there().map(|()| true)?),
        }
    }

    /// Rescans, and writes again what is gone of a commit and of what it builds on. Returns `None` if nothing went back.
    fn write_again(&self, basis: &Basis) -> Result<Option<Again>> {
        let begun = self.rescans_begun();
        let _writer = self.writer.lock()?;
        self.directory().ask_for_listing();
        let mut directory = self.rescanned_since(begun)?;
        let instance = self.instance(&mut directory)?;
        // What the commit builds on is in another directory.
        if directory.replacements != basis.replacements {
            return Err(StoreError::Replaced { path: self.root.path().to_owned() }.into());
        }
        if directory.epoch == basis.epoch {
            return Ok(None);
        }
        let ticket = self.add_missing(&mut directory, instance, &basis.made)?;
        let made = basis.made.clone();
        let keys: BTreeSet<Key> = made.iter().map(|entry| entry.key.clone()).collect();
        let places = foreign_places(&directory.tail, &keys);
        let segments = directory.catalog.unsynced(places.clone());
        let basis = Basis { ticket, ..Basis::of(&self.root, &directory, &keys, &places, made) };
        let dependencies = UnsyncedDependencies { keys, segments };
        Ok(Some(Again { ticket, dependencies, basis }))
    }

    /// Writes again what commits that are still there build on, before this process writes anything else. To be called by
    /// the thread that makes a commit.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn write_missing(&self, begun: u64) -> Result<()> {
        if self.epoch.load(Ordering::SeqCst) == self.healed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut directory = self.rescanned_since(begun)?;
        let instance = self.instance(&mut directory)?;
        // A document that is damaged must not keep this process from writing others.
        if let Err(error) = self.add_missing(&mut directory, instance, &[]) {
            tracing::warn!(%error, "what went back is missing from some documents");
        }
        self.healed.store(directory.epoch, Ordering::SeqCst);
        // Other commits may still need the views of before.
        if self.committing.load(Ordering::SeqCst) <= 1 {
            directory.past.clear();
        }
        Ok(())
    }

    /// Adds to the log what is missing of these changes, and of pending ones.
    fn add_missing(
        &self,
        directory: &mut Directory,
        instance: InstanceId,
        made: &[Entry<Bytes>],
    ) -> Result<Option<Ticket>> {
        let view = directory.view();
        let mut wanted = pending(&view)?;
        wanted.extend(made.iter().cloned());
        let keys = made.iter().map(|entry| entry.key.clone()).collect();
        let at_risk = to_rescue(&directory.tail, &directory.catalog, &keys)?;
        let mut entries = unwritten(&directory.tail, &at_risk);
        entries.push(missing(&directory.past, &view, wanted)?);
        drop(view);
        entries.retain(|entries| !entries.is_empty());
        let mut ticket = None;
        let abandoned = || Error::from(self.log.failed("another write failed meanwhile"));
        for body in records(entries, Vec::new())? {
            let place = directory.enqueue(&self.log, instance, body);
            ticket = Some(place.ok_or_else(abandoned)?);
        }
        Ok(ticket)
    }
}

/// Returns the changes in the tail whose dependencies are missing.
fn pending(view: &View) -> Result<Vec<Entry<Bytes>>> {
    let mut found = Vec::new();
    for (key, _) in view.tail.documents() {
        let Some(doc) = view.load(key)? else { continue };
        let changes = doc.pending().map(|(_, change)| Bytes::copy_from_slice(change));
        found.extend(changes.map(|change| Entry { key: key.clone(), change }));
        view.keep(key, doc);
    }
    Ok(found)
}

/// A change of a document.
type ChangeOf = (Key, ChangeHash);

/// Returns those of the changes `wanted`, and of what they build on, that are not in this view, each after those that it
/// builds on. A commit is returned whole. Only what one of the past views has can be returned.
fn missing(
    past: &[Arc<View>],
    view: &View,
    wanted: Vec<Entry<Bytes>>,
) -> Result<Vec<Entry<Bytes>>> {
    let mut heads: BTreeMap<Key, HashSet<ChangeHash>> = BTreeMap::new();
    for Entry { key, change } in &wanted {
        let stamp = author_of(change).into_iter();
        heads.entry(key.clone()).or_default().extend(stamp.map(|stamp| stamp.change));
    }
    loop {
        let mut found = Vec::new();
        for (key, heads) in &heads {
            found.extend(missing_of(past, view, key, heads, &wanted)?);
        }
        let lost: HashSet<ChangeOf> =
            found.iter().map(|(hash, entry)| (entry.key.clone(), *hash)).collect();
        let mut more = false;
        for (key, hash) in companions(past, &lost)? {
            more |= heads.entry(key).or_default().insert(hash);
        }
        if !more {
            return Ok(found.into_iter().map(|(_, entry)| entry).collect());
        }
    }
}

/// Returns what [`missing`] does, of one document.
fn missing_of(
    past: &[Arc<View>],
    view: &View,
    key: &Key,
    heads: &HashSet<ChangeHash>,
    wanted: &[Entry<Bytes>],
) -> Result<Vec<(ChangeHash, Entry<Bytes>)>> {
    let now = view.load(key)?.unwrap_or_default();
    if heads.iter().all(|head| now.contains(head)) {
        return Ok(Vec::new());
    }
    let failed = |source| Error::Document { key: key.clone(), source };
    let before = document_before(past, key, wanted)?;
    let beyond = before.since(&Heads::new(heads.iter().copied().collect()));
    let beyond: HashSet<ChangeHash> = beyond.into_iter().collect();
    let all = before.changes().map_err(failed)?.into_iter();
    let lost = all.filter(|(hash, _)| !beyond.contains(hash) && !now.contains(hash));
    let entry =
        |(hash, bytes): (_, Vec<u8>)| (hash, Entry { key: key.clone(), change: bytes.into() });
    Ok(lost.map(entry).collect())
}

/// Returns the changes that were made by one commit with some of these.
fn companions(past: &[Arc<View>], lost: &HashSet<ChangeOf>) -> Result<Vec<ChangeOf>> {
    let mut found = Vec::new();
    if lost.is_empty() {
        return Ok(found);
    }
    let mut add = |changes: Vec<ChangeOf>| {
        if changes.len() > 1 && changes.iter().any(|change| lost.contains(change)) {
            found.extend(changes);
        }
    };
    for view in past {
        for commit in view.tail.commits() {
            let changes = entries(&commit.body);
            // A change that cannot be read is none that was lost: those are known by their hashes.
            let named =
                |entry: Entry<Bytes>| Some((entry.key, author_of(&entry.change).ok()?.change));
            add(changes.filter_map(named).collect());
        }
        for snapshot in view.snapshots() {
            let mut after = None;
            loop {
                let page = snapshot.log_page(after, LOG_PAGE)?;
                let Some(last) = page.last() else { break };
                after = Some((last.instance, last.sequence));
                page.into_iter().for_each(|row| add(row.changes));
            }
        }
    }
    Ok(found)
}

/// Returns all that was known of a document, with these changes.
fn document_before(past: &[Arc<View>], key: &Key, changes: &[Entry<Bytes>]) -> Result<Doc> {
    let mut before = Doc::new();
    for view in past {
        if let Some(doc) = view.load(key)? {
            let merged = before.merge(&doc);
            drop(merged.map_err(|source| Error::Document { key: key.clone(), source })?);
        }
    }
    // A change that is refused is in no document, now or before.
    let changes = changes.iter().filter(|entry| entry.key == *key);
    drop(before.apply(changes.map(|entry| &entry.change[..])));
    Ok(before)
}
